"""Packages of npm for programs of these tests: installed once, however many want them at the same time."""

from __future__ import annotations

import contextlib
import fcntl
import functools
import shutil
import subprocess
from pathlib import Path

_INSTALL_S = 180


@functools.cache
def is_installed(folder: Path) -> bool:
    """Whether Node.js is here, with what the `package.json` of a folder names; npm installs it if it can."""
    npm = shutil.which("npm")
    if npm is None or shutil.which("node") is None:
        return False
    whole = folder / "node_modules" / ".whole"
    folder.joinpath("node_modules").mkdir(exist_ok=True)
    with (folder / "node_modules" / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not whole.exists():
            command = [npm, "install", "--no-audit", "--no-fund", "--no-package-lock", "--ignore-scripts"]
            with contextlib.suppress(subprocess.SubprocessError):
                subprocess.run(command, cwd=folder, timeout=_INSTALL_S, capture_output=True, check=True)  # noqa: S603
                whole.touch()
    return whole.exists()
