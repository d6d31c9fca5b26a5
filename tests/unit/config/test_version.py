"""A configuration's short name: the same for the same settings, and no word on secrets."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from falcongate.config.load import load
from falcongate.config.version import version_of

ROOT = Path(__file__).resolve().parents[3]
HR = '[services.hr]\nurl = "http://hr:8000"\n'
PAY = '[services.pay]\nurl = "http://pay:8000"\n'
LIMIT = '[limits.api]\nrate = "10/m"\n'
TEXT = HR + PAY + LIMIT
CODE = (
    "import sys; from falcongate.config.load import load; from falcongate.config.version import version_of;"
    "print(version_of(load(environ={}, path=sys.argv[1])))"
)


def version(tmp_path: Path, text: str, **environ: str) -> str:
    """That of a file and these variables."""
    path = tmp_path / "gateway.toml"
    path.write_text(text, "utf-8")
    return version_of(load(environ=environ, path=str(path)))


def test_it_is_eight_hex_digits(tmp_path: Path) -> None:
    assert re.fullmatch(r"[0-9a-f]{8}", version(tmp_path, TEXT))


def test_the_same_settings_have_the_same_however_they_are_written(tmp_path: Path) -> None:
    own = version(tmp_path, TEXT)
    assert version(tmp_path, f"# a word\n{LIMIT}{PAY}{HR}") == own
    assert version(tmp_path, HR + LIMIT, MICROSERVICE_URLS="pay=http://pay:8000") == own


@pytest.mark.parametrize("change", ["11/m", "10/h", '10/m"\nmode = "shadow'])
def test_another_setting_makes_another(tmp_path: Path, change: str) -> None:
    assert version(tmp_path, TEXT.replace("10/m", change)) != version(tmp_path, TEXT)


def test_a_secret_makes_no_difference(tmp_path: Path) -> None:
    told = {version(tmp_path, TEXT, REDIS_URL=f"redis://:{secret}@redis:6379/0") for secret in ("one", "two")}
    assert len(told) == 1
    assert told != {version(tmp_path, TEXT)}


def test_every_process_says_the_same(tmp_path: Path) -> None:
    own = version(tmp_path, TEXT)
    for seed in ("1", "2"):
        said = subprocess.run(  # noqa: S603  # our own code
            [sys.executable, "-c", CODE, str(tmp_path / "gateway.toml")],
            capture_output=True,
            check=True,
            text=True,
            cwd=ROOT,
            env={"PYTHONHASHSEED": seed, "PATH": os.defpath},
        )
        assert said.stdout.strip() == own
