"""`${...}` in the texts of a file."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from falcongate.config.expand import Expansion
from falcongate.config.load import load

ENVIRON = {"HOST": "hr", "EMPTY": "", "TRICK": "${HOST} $${HOST}", "N": "300"}


@pytest.mark.parametrize(
    ("text", "expanded"),
    [
        ("${HOST}", "hr"),
        ("http://${HOST}:${PORT:-8004}/", "http://hr:8004/"),
        ("${HOST:-unused}", "hr"),
        ("${EMPTY:-default}", "default"),
        ("${EMPTY:-}", ""),
        ("${UNSET:-}", ""),
        ("${UNSET:-a b:-c/$}", None),
        ("${UNSET:-a b:-c/}", "a b:-c/"),
        ("$${HOST}", "${HOST}"),
        ("$$${HOST}", "$${HOST}"),
        ("$HOST {HOST} $ $$ }", "$HOST {HOST} $ $$ }"),
        ("${TRICK}", "${HOST} $${HOST}"),
        ("${UNSET}", None),
        ("${EMPTY}", None),
        ("${}", None),
        ("${ HOST }", None),
        ("${1HOST}", None),
        ("${HOST", None),
        ("${HOST-default}", None),
        ("${HOST:default}", None),
        ("${UNSET:-${HOST}}", None),
        ("${file:}", None),
        ("${file:/nowhere/at/all}", None),
    ],
)
def test_a_reference_is_replaced_or_a_mistake(text: str, expanded: str | None) -> None:
    expansion = Expansion(ENVIRON)

    value = expansion.expand({"a": [{"b": text}]})

    if expanded is None:
        assert [mistake.location for mistake in expansion.mistakes] == [("a", 0, "b")]
    else:
        assert value == {"a": [{"b": expanded}]}
        assert not expansion.mistakes


@given(st.text().filter(lambda text: "${" not in text))
def test_what_holds_no_reference_stays_as_it_is(text: str) -> None:
    expansion = Expansion(ENVIRON)

    assert expansion.expand({"a": text, "b": [1, 1.5, True]}) == {"a": text, "b": [1, 1.5, True]}
    assert not expansion.mistakes


@given(st.text(min_size=1))
def test_a_variable_s_value_is_taken_as_it_is(value: str) -> None:
    assert Expansion({"A": value}).expand("x${A}y") == f"x{value}y"


def test_every_mistake_is_noted_with_its_variable() -> None:
    expansion = Expansion(ENVIRON)

    expansion.expand({"a": "${ONE} ${TWO}", "b": "${EMPTY}"})

    assert [(mistake.location, mistake.remedy.partition(";")[0]) for mistake in expansion.mistakes] == [
        (("a",), "the environment variable ONE is not set"),
        (("a",), "the environment variable TWO is not set"),
        (("b",), "the environment variable EMPTY is empty"),
    ]


def test_a_file_is_read_without_the_space_around_its_text(tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("\n s3cret text\r\n", "utf-8")
    expansion = Expansion({})

    assert expansion.expand({"a": f"<${{file:{tmp_path}/secret}}>"}) == {"a": "<s3cret text>"}
    assert expansion.hidden == {("a",)}


@pytest.mark.parametrize(
    ("content", "reason"), [(b"x" * 65_537, "larger than 65536 bytes"), (b"\xff", "not UTF-8 text")]
)
def test_what_is_no_secret_is_not_taken_for_one(content: bytes, reason: str, tmp_path: Path) -> None:
    (tmp_path / "secret").write_bytes(content)
    expansion = Expansion({})

    expansion.expand({"a": f"${{file:{tmp_path}/secret}}"})

    assert reason in expansion.mistakes[0].remedy


def test_a_reference_can_stand_for_a_number_or_a_truth(tmp_path: Path) -> None:
    file = tmp_path / "gateway.toml"
    file.write_text(
        'server_timing = "${TIMING:-false}"\n[services.hr]\nurl = "http://${HOST}"\n'
        'timeout_s = "${N}"\nretries = "${RETRIES:-0}"\nconnect_timeout_s = "0.${N}"\n',
        "utf-8",
    )

    settings = load(ENVIRON, str(file))

    service = settings.services["hr"]
    assert settings.server_timing is False
    assert (service.timeout_s, service.retries, service.connect_timeout_s) == (300, 0, 0.3)
