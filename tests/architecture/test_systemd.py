"""The unit of systemd is sound in itself and says what the gateway's settings say.

It is run under a systemd by scripts/try-unit.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

from falcongate.cli import main
from falcongate.config.settings import GatewaySettings
from tests.architecture.tree import DOCS, ROOT

UNIT = ROOT / "conf/systemd/falcongate.service"
HIGHEST_EXPOSURE = 2.0
needs_systemd = pytest.mark.skipif(
    shutil.which("systemd-analyze") is None, reason="systemd-analyze (Debian: systemd) is not installed"
)


def said(name: str) -> str:
    """What the unit says under a name that it has once."""
    (value,) = re.findall(rf"^{name}=(.*)$", UNIT.read_text("utf-8"), re.MULTILINE)
    return str(value)


def analyze(*arguments: str) -> subprocess.CompletedProcess[str]:
    """Run systemd-analyze."""
    command = ["systemd-analyze", "--no-pager", *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)  # noqa: S603


@needs_systemd
def test_systemd_accepts_the_unit(tmp_path: Path) -> None:
    # Its programs are looked for, so they are named where this machine has them.
    copy = tmp_path / UNIT.name
    copy.write_text(
        UNIT.read_text("utf-8").replace("/opt/falcongate/bin", str(Path(sys.executable).parent)), "utf-8"
    )

    verified = analyze("verify", str(copy))

    assert (verified.returncode, verified.stdout + verified.stderr) == (0, "")


@needs_systemd
def test_the_service_is_exposed_no_more_than_its_page_says() -> None:
    judged = analyze("security", "--offline=true", str(UNIT))

    exposure = re.search(r"Overall exposure level for falcongate.service: ([\d.]+) OK", judged.stdout)
    assert exposure, judged.stdout + judged.stderr
    assert float(exposure[1]) <= HIGHEST_EXPOSURE
    assert f"at most {HIGHEST_EXPOSURE}" in (DOCS / "deploying-systemd.md").read_text("utf-8")


def test_the_unit_runs_what_is_there(capsys: pytest.CaptureFixture[str]) -> None:
    gunicorn, option, config, application = said("ExecStart").split()

    assert gunicorn == "/opt/falcongate/bin/gunicorn"
    assert option == "-c"
    assert find_spec(config.removeprefix("python:"))
    assert application in (ROOT / "Procfile").read_text("utf-8")
    for line in (said("ExecStartPre"), said("ExecReload")):
        program, command, *options = line.split()
        assert program == "/opt/falcongate/bin/falcongate"
        with pytest.raises(SystemExit) as ended:
            main([command, "--help"])
        assert ended.value.code == 0
        assert all(option in capsys.readouterr().out for option in options if option.startswith("--"))


def test_the_unit_gives_the_gateway_its_time_and_its_files() -> None:
    server = GatewaySettings().server

    assert int(said("TimeoutStopSec")) >= server.graceful_timeout_s + 10
    assert int(said("LimitNOFILE")) >= 3 * server.max_connections
    assert said("KillMode") == "mixed"
    assert said("Type") == "notify"
