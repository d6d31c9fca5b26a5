"""Visits of Chromium to the page for operators, at a gateway that is played or at a real one."""

from __future__ import annotations

import contextlib
import json
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from tests.support.npm import is_installed
from tests.support.processes import GatewayFailed, until
from tests.support.programs import program
from tests.support.sign_in import CHROMIUM

_SCRIPTS = Path(__file__).parent
_VISIT_S = 100
_PICTURE = Path(__file__).parents[3] / "docs/images/admin.png"


def has_browser() -> bool:
    """Whether Node.js is here with what drives the browser and looks for barriers."""
    return is_installed(_SCRIPTS)


@contextlib.contextmanager
def played_gateway(directory: Path) -> Iterator[str]:
    """Where a gateway answers that plays what a visit asks for."""
    directory.mkdir()
    command = [sys.executable, "-m", "tests.support.admin_page.gateway"]
    with program(directory, command) as started:

        def port() -> str:
            if started.process.poll() is not None:
                raise GatewayFailed(f"the played gateway ended at once:\n{started.err}")
            return started.out.partition("\n")[0]

        yield f"http://127.0.0.1:{until(port, 'the played gateway listens')}"
        if "Traceback" in started.err:
            raise GatewayFailed(f"the played gateway failed:\n{started.err}")


def visit(profile: Path, gateway: str, name: str, *more: str) -> dict[str, Any]:
    """What was seen on this visit to a gateway that is played."""
    return _seen("visit.mjs", profile, gateway, name, *more)


def operate(profile: Path, gateway: str, callers: str) -> dict[str, Any]:
    """What an operator sees who signs in and steers at a real gateway, that callers reach elsewhere."""
    return _seen("operate.mjs", profile, gateway, callers)


def _seen(script: str, profile: Path, *arguments: str) -> dict[str, Any]:
    node = shutil.which("node") or "node"
    done = subprocess.run(  # noqa: S603  # our own command
        [node, str(_SCRIPTS / script), CHROMIUM or "", str(profile), *arguments],
        capture_output=True,
        text=True,
        check=False,
        timeout=_VISIT_S,
    )
    if done.returncode:
        raise GatewayFailed(f"the visit did not come to its end:\n{done.stderr}")
    seen: dict[str, Any] = json.loads(done.stdout)
    return seen


def render_picture() -> None:
    """Make the picture in the documentation anew."""
    has_browser()
    _PICTURE.parent.mkdir(exist_ok=True)
    with TemporaryDirectory() as there, played_gateway(Path(there) / "gateway") as gateway:
        visit(Path(there) / "profile", gateway, "picture", str(_PICTURE))


if __name__ == "__main__":
    render_picture()
