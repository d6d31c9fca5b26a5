"""The scripts that install and start, in a copy of the folder whose Python has nothing to download.

The Python is a stand-in for what needs the network, `venv` and `pip`: it writes down what it was
asked, and passes everything else on to the Python of these tests.
"""

from __future__ import annotations

import re
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.honest import HonestUpstream
from tests.support.processes import ROOT, until
from tests.support.programs import Program, get, program

STAND_IN = f"""#!/usr/bin/env bash
set -euo pipefail
case "$1 ${{2:-}}" in
    "-c import sys; print"*) echo "${{SAYS_VERSION:-3.11}}" ;;
    "-m venv")
        echo "$*" >>calls
        mkdir -p .venv/bin
        cp "$0" .venv/bin/python
        printf '#!/bin/sh\\nexec "%s" -m falcongate "$@"\\n' "{sys.executable}" >.venv/bin/falcongate
        chmod +x .venv/bin/falcongate
        ;;
    "-m pip")
        echo "$*" >>calls
        exit "${{PIP_ENDS_WITH:-0}}"
        ;;
    *) exit 70 ;;
esac
"""


class Copy:
    """A copy of what the scripts read, and the Python that they are given."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        for name in ("scripts", "requirements"):
            shutil.copytree(ROOT / name, folder / name)
        shutil.copy(ROOT / "setup.py", folder)
        self.python = folder / "python-of-tests"
        self.python.write_text(STAND_IN, "utf-8")
        self.python.chmod(0o755)
        self.environ = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "PYTHON": str(self.python)}

    def install(self, *names: str, **environ: str) -> subprocess.CompletedProcess[str]:
        """Run `scripts/install`."""
        return subprocess.run(  # noqa: S603  # our own script
            [str(self.folder / "scripts/install"), *names],
            env=self.environ | environ,
            capture_output=True,
            text=True,
            check=False,
            timeout=30,
        )

    def calls(self) -> list[str]:
        """What Python was asked since the last time."""
        path = self.folder / "calls"
        lines = path.read_text("utf-8").splitlines() if path.exists() else []
        path.unlink(missing_ok=True)
        return [line.replace(" --quiet --disable-pip-version-check", "") for line in lines]


@pytest.fixture
def copy(tmp_path: Path) -> Copy:
    """A copy in which nothing is installed, in a folder with a space in its name."""
    return Copy(tmp_path / "the gateway")


BASE = "-m pip install --requirement requirements/base.txt"
TEST = "-m pip install --requirement requirements/test.txt"
ITSELF = "-m pip install --no-deps --editable ."


def test_install_makes_the_environment_once(copy: Copy) -> None:
    first = copy.install()
    assert first.returncode == 0, first.stderr
    assert copy.calls() == ["-m venv --clear .venv", BASE, ITSELF]
    assert "making .venv with Python 3.11" in first.stdout
    again = copy.install()
    assert (again.returncode, again.stdout) == (0, "")
    assert copy.calls() == []


def test_install_adds_what_is_named_to_what_is_there(copy: Copy) -> None:
    copy.install()
    copy.calls()
    assert "installing test" in copy.install("test").stdout
    assert copy.calls() == [TEST]
    copy.install("test")
    copy.install()
    assert copy.calls() == []


def test_install_begins_anew_when_a_pin_has_changed(copy: Copy) -> None:
    copy.install("test")
    copy.calls()
    with (copy.folder / "requirements/base.txt").open("a") as pins:
        pins.write("another==1\n")
    copy.install("test")
    assert copy.calls() == [f"{BASE} --requirement requirements/test.txt", ITSELF]


def test_install_makes_the_environment_anew_for_another_python(copy: Copy) -> None:
    copy.install()
    copy.calls()
    # What runs in .venv is a copy made before, so it is told apart by its own text.
    installed = copy.folder / ".venv/bin/python"
    installed.write_text(STAND_IN.replace("SAYS_VERSION:-3.11", "OTHER:-3.12"), "utf-8")
    copy.install()
    assert copy.calls() == ["-m venv --clear .venv", BASE, ITSELF]


def test_an_installation_that_failed_is_not_taken_for_one(copy: Copy) -> None:
    assert copy.install(PIP_ENDS_WITH="1").returncode == 1
    copy.calls()
    assert copy.install().returncode == 0
    assert copy.calls() == [BASE, ITSELF]


@pytest.mark.parametrize("version", ["2.7", "3.10", "3.15"])
def test_install_names_the_versions_it_can_use(copy: Copy, version: str) -> None:
    done = copy.install(SAYS_VERSION=version)
    assert done.returncode == 1
    (line,) = done.stderr.splitlines()
    assert line.endswith(f"is Python {version}; set PYTHON to a Python 3.11 to 3.14")
    assert copy.calls() == []


def test_install_says_which_python_does_not_run(copy: Copy) -> None:
    done = copy.install(PYTHON="no-such-python")
    assert done.returncode == 1
    assert "no-such-python does not run; set PYTHON" in done.stderr


def test_install_knows_only_requirements_that_are_there(copy: Copy) -> None:
    done = copy.install("tset")
    assert done.returncode == 1
    assert "there is no requirements/tset.txt" in done.stderr


def run(copy: Copy, *options: str) -> list[str]:
    """The command line of `scripts/run`, on any free port."""
    return [str(copy.folder / "scripts/run"), "--bind", "127.0.0.1:0", "--workers", "1", *options]


@pytest.mark.parametrize(
    ("has_program", "redis_url", "installed"),
    [(False, "", ["embedded"]), (True, "", []), (False, "redis://127.0.0.1", [])],
    ids=["nothing", "a program", "an address"],
)
def test_run_installs_a_server_for_the_shared_state_where_there_is_none(
    copy: Copy, tmp_path: Path, *, has_program: bool, redis_url: str, installed: list[str]
) -> None:
    tools = tmp_path / "tools"
    tools.mkdir()
    for name in ("bash", "cat", "chmod", "cp", "dirname", "env", "mkdir", "sha256sum"):
        (tools / name).symlink_to(shutil.which(name) or name)
    if has_program:
        (tools / "valkey-server").touch(0o755)
    environ = copy.environ | {"PATH": str(tools), "REDIS_URL": redis_url}
    with program(tmp_path, run(copy, "--config", "none.toml"), **environ) as running:
        assert running.process.wait(30) == 2, running.err
    more = [f"-m pip install --requirement requirements/{name}.txt" for name in installed]
    assert copy.calls() == ["-m venv --clear .venv", BASE, ITSELF, *more]


def hello(running: Program) -> int:
    """The status of a request to the demonstration service."""
    return get(running.address(), "/api/hello/").status


def test_run_starts_the_demonstration_and_an_interrupt_ends_it(copy: Copy, tmp_path: Path) -> None:
    with program(tmp_path, run(copy), **copy.environ) as running:
        assert hello(running) == 200
        until(lambda: "Ctrl-C" in running.out, "it says what to try")
        base = "http://{}:{}".format(*running.address())
        assert running.out.startswith("scripts/install: making .venv")
        assert re.search(rf"curl '{base}/api/hello/.* # what arrived", running.out)
        assert running.interrupt() == 0
        until(lambda: not running.members(), "all of its processes are gone")
        assert "Traceback" not in running.err


def test_run_is_ended_by_a_signal_to_the_script_alone(copy: Copy, tmp_path: Path) -> None:
    with program(tmp_path, run(copy), **copy.environ) as running:
        assert hello(running) == 200
        assert running.end(signal.SIGTERM) == 0
        until(lambda: not running.members(), "all of its processes are gone")


@pytest.mark.parametrize("way", ["--config", "--config=", "FALCONGATE_CONFIG", "MICROSERVICE_URLS"])
def test_run_with_services_of_one_s_own_starts_the_gateway_alone(
    copy: Copy, tmp_path: Path, way: str
) -> None:
    honest = HonestUpstream()
    config = tmp_path / "gateway.toml"
    config.write_text(f'[services.honest]\nurl = "{honest.url}"\n', "utf-8")
    options = {"--config": ["--config", str(config)], "--config=": [f"--config={config}"]}.get(way, [])
    said = {"FALCONGATE_CONFIG": str(config), "MICROSERVICE_URLS": f"honest={honest.url}"}
    environ = copy.environ | {name: value for name, value in said.items() if name == way}
    try:
        with program(tmp_path, run(copy, *options), **environ) as running:
            assert get(running.address(), "/api/honest/x").status == 200
            assert hello(running) == 404
            assert len(running.members()) == 2
            assert "curl" not in running.out
            assert running.end() == 0
    finally:
        honest.stop()


def test_run_starts_nothing_with_a_configuration_that_has_mistakes(copy: Copy, tmp_path: Path) -> None:
    with program(tmp_path, run(copy, "--config", str(tmp_path / "none.toml")), **copy.environ) as running:
        assert running.process.wait(15) == 2
        assert "none.toml: the file cannot be read" in running.err
        assert running.members() == []
