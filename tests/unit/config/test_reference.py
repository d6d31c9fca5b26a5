"""`conf/gateway.toml` is what the models say, and whatever it says can be used."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from falcongate.config.access import AccessSettings
from falcongate.config.load import load
from falcongate.config.policies import ConcurrencySettings, LimitSettings
from falcongate.config.reference import render_page, render_reference, walk

ROOT = Path(__file__).parents[3]
REFERENCE = ROOT / "conf/gateway.toml"
PAGE = ROOT / "docs/reference.md"
COMMENTED = re.compile(r"^# (\w+ = .*)$", re.MULTILINE)


def test_the_file_is_the_one_that_is_made() -> None:
    assert REFERENCE.read_text("utf-8") == render_reference(), "run scripts/fix"


def test_the_page_is_the_one_that_is_made() -> None:
    assert PAGE.read_text("utf-8") == render_page(), "run scripts/fix"


def test_the_page_has_a_row_for_each_setting() -> None:
    rows = PAGE.read_text("utf-8").splitlines()

    for table in walk():
        for setting in table.settings:
            assert any(row.startswith(f"| `{setting.name}` |") for row in rows), setting.name
    assert sum(row.startswith("| `") for row in rows) == sum(len(table.settings) for table in walk())


def test_it_is_valid_as_it_stands_with_examples_of_what_has_a_name() -> None:
    settings = load({}, str(REFERENCE))

    assert settings.limits == {"api": LimitSettings(rate=("200/m",))}
    assert settings.concurrency == {"uploads": ConcurrencySettings(limit=20)}
    assert settings.access == {"watched": AccessSettings(mode="shadow", identity="required")}
    assert list(settings.issuers) == ["sign-on"]
    others = settings.model_copy(update={"limits": {}, "concurrency": {}, "access": {}, "issuers": {}})
    assert others == load({"MICROSERVICE_URLS": "hello=http://127.0.0.1:8001"})
    assert load({"HELLO_URL": "http://hello"}, str(REFERENCE)).services["hello"].url == ("http://hello",)


@pytest.mark.parametrize("default", COMMENTED.findall(render_reference()))
def test_each_default_changes_nothing_when_it_is_said(default: str, tmp_path: Path) -> None:
    file = tmp_path / "gateway.toml"
    file.write_text(render_reference().replace(f"# {default}\n", f"{default}\n"), "utf-8")

    assert load({}, str(file)) == load({}, str(REFERENCE))


def test_all_defaults_change_nothing_when_they_are_said(tmp_path: Path) -> None:
    file = tmp_path / "gateway.toml"
    said, count = COMMENTED.subn(r"\1", render_reference())
    file.write_text(said, "utf-8")

    settings = load({}, str(file))

    assert count > 40
    assert settings == load({}, str(REFERENCE))
    assert len(settings.services["hello"].model_fields_set) > 15
    assert "max_connections" in settings.server.model_fields_set
