"""The short name of a configuration."""

from __future__ import annotations

import copy
import os
import re
import subprocess
import sys
from typing import Any

import pytest

from falcongate.config.settings import GatewaySettings
from falcongate.config.version import version_of

SAID: dict[str, Any] = {
    "redis": {"url": "redis://:secret@redis"},
    "admin": {"sign_in": {"client_secret": "a-secret-of-this-test"}},
    "limits": {"api": {"rate": "200/m", "methods": ["GET", "POST"]}},
    "services": {"hr": {"url": "http://hr"}, "lms": {"url": "http://lms"}},
}
MAKE = (
    "from falcongate.config.settings import GatewaySettings\n"
    "from falcongate.config.version import version_of\n"
    "print(version_of(GatewaySettings.model_validate(eval(input()))))"
)


def version(said: dict[str, Any]) -> str:
    return version_of(GatewaySettings.model_validate(said))


def test_it_is_the_same_in_every_process() -> None:
    told = {
        subprocess.run(  # noqa: S603  # our own program
            [sys.executable, "-c", MAKE],
            input=repr(SAID),
            text=True,
            capture_output=True,
            check=True,
            env={"PYTHONHASHSEED": seed, "PATH": os.defpath},
        ).stdout.strip()
        for seed in ("1", "2")
    }

    assert told == {version(SAID)}
    assert re.fullmatch("[0-9a-f]{8}", version(SAID))


def test_what_is_said_in_another_order_is_the_same() -> None:
    assert version(dict(reversed(SAID.items()))) == version(SAID)


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (("limits", "api", "rate"), "201/m"),
        (("services", "hr", "url"), "http://hr2"),
        (("redis", "url"), "redis://:secre7@redis"),
        (("admin", "sign_in", "client_secret"), "another-secret-of-it"),
    ],
)
def test_it_is_another_as_soon_as_any_setting_is(path: tuple[str, ...], value: str) -> None:
    other = copy.deepcopy(SAID)
    table = other
    for part in path[:-1]:
        table = table[part]
    table[path[-1]] = value

    assert version(other) != version(SAID)
