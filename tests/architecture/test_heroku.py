"""What a platform reads of this repository: Procfile, app.json, requirements.txt.

The rules for app.json are those of Heroku's article "app.json Schema". What only the platform knows is not
checked: whether a plan, a stack or a size of dynos is still sold.
"""

import json
import re
from typing import Any

import pytest

from falcongate.config.environment import parse_process
from falcongate.config.load import load
from tests.architecture.tree import ROOT, texts

KEYS = {
    "addons", "buildpacks", "description", "env", "environments", "formation", "image", "keywords", "logo",
    "name", "repository", "scripts", "stack", "success_url", "website",
}  # fmt: skip
PROCESS = re.compile(r"^([A-Za-z0-9_-]+):\s*(\S.*)$")


@pytest.fixture(scope="module")
def app() -> dict[str, Any]:
    """app.json."""
    document: dict[str, Any] = json.loads((ROOT / "app.json").read_text("utf-8"))
    return document


def processes() -> dict[str, str]:
    """The commands of the Procfile, by the names of their processes."""
    found = [PROCESS.fullmatch(line) for line in (ROOT / "Procfile").read_text("utf-8").splitlines()]
    return {match[1]: match[2] for match in found if match}


def test_app_json_has_known_keys_only(app: dict[str, Any]) -> None:
    assert app.keys() <= KEYS
    assert re.fullmatch(r"[A-Za-z_.-].{2,29}", app["name"])
    assert len(app["description"]) <= 140
    assert all(isinstance(word, str) for word in app["keywords"])
    assert re.fullmatch(r"heroku-\d\d|container", app["stack"])


def test_every_variable_is_described_and_has_a_value_a_generator_or_is_optional(app: dict[str, Any]) -> None:
    for name, variable in app["env"].items():
        assert re.fullmatch(r"[A-Z][A-Z0-9_]*", name)
        assert variable.keys() <= {"description", "value", "required", "generator"}
        assert variable["description"].endswith(".")
        assert isinstance(variable.get("value", ""), str)
        assert isinstance(variable.get("required", False), bool)
        assert variable.get("generator", "secret") == "secret"
        assert "value" in variable or "generator" in variable or variable["required"] is False


def test_the_values_are_good_for_the_gateway(app: dict[str, Any]) -> None:
    said = {name: variable.get("value", "") for name, variable in app["env"].items()}
    # The platform's generator makes 64 hexadecimal digits; the add-on gives the address.
    said |= {"FALCONGATE_ADMIN_TOKEN": "0f" * 32, "REDIS_URL": "rediss://:secret@host:6379"}
    said["FALCONGATE_CONFIG"] = str(ROOT / said["FALCONGATE_CONFIG"])
    settings = load(said)
    process, problems = parse_process(said)
    assert not problems
    assert (settings.server.trusted_hops, settings.redis.insecure_skip_verify, process.workers) == (
        1,
        True,
        2,
    )


def test_variables_are_read_by_the_gateway(app: dict[str, Any]) -> None:
    code = "\n".join(text for path, text in texts() if "falcongate" in path.relative_to(ROOT).parts)
    assert all(f'"{name}"' in code for name in app["env"])


def test_addons_buildpacks_and_formation(app: dict[str, Any]) -> None:
    for addon in app["addons"]:
        assert addon.keys() <= {"plan", "as", "options"}
        assert re.fullmatch(r"[a-z0-9-]+(?::[a-z0-9-]+)?", addon["plan"])
    # The add-on's name is what its variable begins with: REDIS_URL.
    assert [addon["as"] for addon in app["addons"]] == ["REDIS"]
    assert all(buildpack.keys() == {"url"} for buildpack in app["buildpacks"])
    assert app["formation"].keys() <= processes().keys()
    for process in app["formation"].values():
        assert process.keys() <= {"quantity", "size"}
        assert process["quantity"] >= 1


def test_the_procfile_checks_before_it_serves() -> None:
    assert processes() == {
        "release": "falcongate check",
        "web": "gunicorn -c conf/gunicorn.py falcongate.wsgi:app",
    }


def test_a_platform_installs_the_pins_and_the_command() -> None:
    lines = (ROOT / "requirements.txt").read_text("utf-8").splitlines()
    assert [line for line in lines if not line.startswith("#")] == ["-r requirements/base.txt", "."]
