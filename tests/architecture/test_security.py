"""What the pages about security say is so: every attack has its test, every default is the one told."""

from __future__ import annotations

import json
import re

from pydantic import BaseModel

from falcongate.config.settings import GatewaySettings
from tests.architecture.test_docs import BY_NAME, defines
from tests.architecture.tree import DOCS, ROOT

CLASSES = set(range(1, 31))
"""The attacks that a gateway has to know, by their numbers on the page."""

ROW = re.compile(r"^\| (\d+) \| (.+) \| (.+) \| (.+) \|$", re.MULTILINE)
NAMED = re.compile(r"`(?:([\w/*-]+\.py)?(?:::(\w+))?|(corpus/[\w/*.-]+))`")
DEFAULT = re.compile(r"^\| `([\w.*]+)` \| `([^`]+)` \|", re.MULTILINE)


def rows() -> dict[int, str]:
    """What each attack is shown by."""
    return {int(row[1]): row[4] for row in ROW.finditer((DOCS / "security.md").read_text("utf-8"))}


def missing_in(shown_by: str) -> list[str]:
    """What a row names and there is not."""
    missing, file = [], ""
    for found in NAMED.finditer(shown_by):
        named, test, corpus = found.groups()
        file = named or file
        if corpus:
            is_there = any((ROOT / "tests").glob(corpus))
        else:
            path = ROOT / "tests" / file
            is_there = path.is_file() and (test is None or defines(path, test))
        if not is_there:
            missing.append(found[0])
    return missing


def default_of(setting: str) -> object:
    """The default of a setting by its dotted name; `services.*.retries` is that of any service."""
    section, *rest = setting.split(".")
    model: type[BaseModel] = GatewaySettings
    if rest and rest[0] == "*":
        model, rest = BY_NAME[section], rest[1:]
    else:
        rest = [section, *rest]
    for name in rest[:-1]:
        annotation = model.model_fields[name].annotation
        assert isinstance(annotation, type)
        assert issubclass(annotation, BaseModel)
        model = annotation
    return model.model_fields[rest[-1]].get_default(call_default_factory=True)


def as_told(value: object) -> str:
    """A value as the page writes it: as TOML would have it."""
    return "unset" if value is None else json.dumps(value)


def test_every_attack_has_its_row() -> None:
    assert rows().keys() == CLASSES


def test_every_attack_names_tests_that_are_there() -> None:
    wrong = {number: missing for number, row in rows().items() if (missing := missing_in(row))}

    assert not wrong


def test_every_attack_is_shown_by_something() -> None:
    assert not {number for number, row in rows().items() if not NAMED.search(row)}


def test_every_file_of_attacks_is_named() -> None:
    text = (DOCS / "security.md").read_text("utf-8")

    assert not {
        path.name
        for folder in ("system", "fuzz")
        for path in (ROOT / "tests" / folder).glob("test_*.py")
        if (folder == "fuzz" or path.name.startswith("test_attacks_")) and path.name not in text
    }


def test_every_default_is_the_one_told() -> None:
    told = DEFAULT.findall((ROOT / "SECURITY.md").read_text("utf-8"))

    assert len(told) > 10
    assert {setting: text for setting, text in told if as_told(default_of(setting)) != text} == {}
