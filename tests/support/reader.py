"""Somebody who does what a page says: writes its files, and types its commands at a bash.

It happens in a copy of the tree. Ports of the page stand for free ones. What is started there ends when
the reader leaves, or starts another on the same port.
"""

from __future__ import annotations

import compileall
import contextlib
import hashlib
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

from tests.support.callers import Caller
from tests.support.pages import Block, commands, differs, status_of
from tests.support.processes import ROOT, GatewayFailed, until
from tests.support.redis_servers import free_port
from tests.support.wire import WireError

_TREE = (
    "falcongate",
    "conf",
    "scripts",
    "requirements",
    "setup.py",
    "pyproject.toml",
    "Procfile",
    "docs",
    "tests",
)
_SERVER = re.compile(
    r"(?:\w+=(?:'[^']*'|\"[^\"]*\"|\S*)\s+)*(?:\.venv/bin/)?"
    r"(?:scripts/run|falcongate serve|falcongate demo|gunicorn|honcho start|redis-server)\b"
)
_OF_ITSELF = re.compile(r"scripts/test *(?:#.*)?$")
"""It would run these tests, too, so it is not run."""
_PORT = re.compile(r"((?:127\.0\.0\.1|localhost|0\.0\.0\.0|\[::\]):|\bPORT=|--port[ =])(\d{4,5})\b")
_LISTENS = re.compile(r"Listening at: (https?)://[\d.]+:(\d+)|MICROSERVICE_URLS=|Ready to accept connections")
_LOOKS = re.compile(
    r"\s*(?:falcongate (?:breaker (?:list|show)|why|audit|routes|keys (?:list|show)|tokens list)\b"
    r"|curl (?!.*(?:-X|-d|--data|-T)\b))"
)
_STEADY = {
    # A busy machine keeps Redis waiting for longer than the budget that is the default.
    "[redis]": "\n[redis]\nbudget_ms = 2000\n",
    # What is kept by chance would be shown beside what a page is about.
    "[decisions]": "\n[decisions]\nratio = 0\n",
}
"""What the files of a page say besides, so that what comes of them is the same each time."""
_GATEWAY_PORT = "8000"
_WITHIN_S = 60
_SHOWS_WITHIN_S = 3


class Reader:
    """A bash in a copy of the tree, of which `folder` is the top."""

    def __init__(self, tree: Path, folder: Path, redis_url: str) -> None:
        self.folder = folder
        self._redis_url = redis_url
        self._count = 0
        self._ports: dict[str, str] = {}
        self._servers: dict[str, int] = {}
        self._typed: list[str] = []
        self._told: list[str] = []
        self._notes = folder.with_name(folder.name + "-notes")
        self._notes.mkdir(parents=True)
        # At a terminal curl shows no progress of what it writes there.
        (self._notes / ".curlrc").write_text("silent\nshow-error\n", "ascii")
        shutil.copytree(tree, folder, symlinks=True)
        _install(folder)
        self._bash = subprocess.Popen(
            ["bash", "--norc", "--noprofile"],  # noqa: S607  # any bash
            cwd=folder,
            env=self._environ(),
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            text=True,
            start_new_session=True,
        )
        # Each server becomes a group of its own, which can be interrupted as by Ctrl-C.
        self._say("set -m")

    def _environ(self) -> dict[str, str]:
        return {
            "PATH": f"{self.folder}/.venv/bin:/usr/local/bin:/usr/bin:/bin:/usr/sbin:/usr/local/sbin",
            "PYTHONPATH": str(self.folder),
            "PYTHONUNBUFFERED": "1",
            "HOME": str(self._notes),
            "TMPDIR": str(self._notes),
            "LANG": "C.UTF-8",
            "WEB_CONCURRENCY": "1",
            # One of the gateway's own would not be told from those of gateways of other tests.
            "REDIS_URL": self._redis_url,
            "PORT": self.placed("PORT=" + _GATEWAY_PORT).partition("=")[2],
        }

    def placed(self, text: str) -> str:
        """A text of the page with free ports in place of its own."""
        return _PORT.sub(lambda found: found[1] + self._port(found[2]), text)

    def _port(self, number: str) -> str:
        if number not in self._ports:
            self._ports[number] = str(free_port())
        return self._ports[number]

    def _as_shown(self, text: str) -> str:
        for number, free in self._ports.items():
            text = re.sub(rf"\b{free}\b", number, text)
        return text.replace(str(self.folder), "~")

    def reads(self, block: Block) -> None:
        """Do what one block says; AssertionError if it does not become what the page says."""
        if block.language == "text" and block.is_under and self._typed:
            self._compares(block.text)
            return
        self._typed = []
        if block.language == "bash":
            self._typed = commands(block.text)
            self._told = [self.types(command) for command in self._typed]
        elif block.language == "diff":
            self._patches(block.text)
        elif block.file:
            path = self.folder / block.file
            path.parent.mkdir(parents=True, exist_ok=True)
            text = self.placed(block.text)
            if block.language == "toml":
                text += "".join(lines for table, lines in _STEADY.items() if table not in text)
            path.write_text(text, "utf-8")
        elif block.language == "python":
            script = self._notes / "shown.py"
            script.write_text(self.placed(block.text), "utf-8")
            self._typed = [f"python {script}\n"]
            self._told = [self.types(self._typed[0])]

    def _compares(self, shown: str) -> None:
        deadline = time.monotonic() + _SHOWS_WITHIN_S
        while difference := differs(shown, "".join(self._told)):
            # What only looks may be looked at again: news takes a moment.
            if not _LOOKS.match(self._typed[-1]) or time.monotonic() > deadline:
                raise AssertionError(difference)
            self._told[-1] = self.types(self._typed[-1])

    def _patches(self, text: str) -> None:
        patched = subprocess.run(
            ["patch", "--strip=1", "--fuzz=0", "--no-backup-if-mismatch"],  # noqa: S607  # any patch
            cwd=self.folder,
            input=text,
            capture_output=True,
            text=True,
            check=False,
        )
        assert patched.returncode == 0, patched.stdout + patched.stderr

    def types(self, command: str) -> str:
        """Run one command to its end, or start it if it is a server; what it has written."""
        if _OF_ITSELF.match(command):
            return ""
        if _SERVER.match(command) and not status_of(command):
            self._starts(command)
            return ""
        script, told, ended = self._paths(command)
        self._say(f". {script} </dev/null >{told} 2>&1; echo $? >{ended}.new; mv {ended}.new {ended}")
        until(lambda: ended.exists() or self._bash.poll() is not None, command, within_s=_WITHIN_S)
        text = self._as_shown(told.read_text("utf-8", "replace"))
        status = int(ended.read_text("ascii")) if ended.exists() else self._bash.returncode
        assert status == status_of(command), f"{command}ended with status {status}:\n{text}\n{self._logs()}"
        return text

    def _starts(self, command: str) -> None:
        port = self._port_of(command)
        if port in self._servers:
            self._interrupts(self._servers.pop(port))
        script, told, noted = self._paths(command)
        self._say(f". {script} </dev/null >{told} 2>&1 &\necho $! >{noted}.new; mv {noted}.new {noted}")
        until(noted.exists, command)
        pid = self._servers[port] = int(noted.read_text("ascii"))

        def listens() -> bool:
            if not Path(f"/proc/{pid}").exists():
                raise GatewayFailed(f"{command}ended at once:\n{told.read_text('utf-8')}")
            found = _LISTENS.search(told.read_text("utf-8", "replace"))
            return found is not None and (found[1] != "http" or _answers(int(found[2])))

        until(listens, f"{command}listens", within_s=30)

    def _port_of(self, command: str) -> str:
        said = _PORT.search(command.replace("--port ", "--port="))
        is_of_itself = said and ("--bind" in command or "--port" in command or "PORT=" in command)
        return said[2] if said and is_of_itself else _GATEWAY_PORT

    def _paths(self, command: str) -> tuple[Path, Path, Path]:
        self._count += 1
        script = self._notes / f"{self._count}.sh"
        script.write_text(self.placed(command), "utf-8")
        told = script.with_suffix(".out")
        told.touch()
        return script, told, script.with_suffix(".status")

    def _say(self, line: str) -> None:
        assert self._bash.stdin is not None
        self._bash.stdin.write(line + "\n")
        self._bash.stdin.flush()

    def _interrupts(self, pid: int) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(pid, signal.SIGINT)
        until(lambda: not self._members(pid), "what was interrupted ends", within_s=30)

    def _members(self, group: int | None = None) -> list[int]:
        """The living processes of this session, or of one group of it."""
        found = []
        for path in Path("/proc").glob("[0-9]*/stat"):
            with contextlib.suppress(OSError):
                fields = path.read_text("utf-8", "replace").rpartition(")")[2].split()
                ours = int(fields[2]) == group if group else int(fields[3]) == self._bash.pid
                if ours and fields[0] != "Z":
                    found.append(int(path.parent.name))
        return found

    def _logs(self) -> str:
        logs = sorted(self._notes.glob("*.out"), key=lambda path: path.stat().st_mtime)
        return "\n".join(path.read_text("utf-8", "replace")[-3000:] for path in logs[-3:])

    def leaves(self) -> None:
        """End all that was started; harmless if it is gone."""
        for pid in self._servers.values():
            with contextlib.suppress(ProcessLookupError):
                os.killpg(pid, signal.SIGINT)
        with contextlib.suppress(Exception):
            until(lambda: self._members() in ([], [self._bash.pid]), "all ends")
        for pid in self._members():
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        if self._bash.stdin:
            self._bash.stdin.close()
        self._bash.wait(10)


def _answers(port: int) -> bool:
    with contextlib.suppress(OSError, WireError), Caller(("127.0.0.1", port)) as caller:
        return caller.get("/health/live/").status == 200
    return False


def copy_tree(folder: Path) -> None:
    """What a clone has, with its modules compiled, for readers to copy."""
    folder.mkdir()
    for name in (*_TREE, *(path.name for path in ROOT.glob("*.md"))):
        if (ROOT / name).is_dir():
            shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("node_modules"))
        else:
            shutil.copy2(ROOT / name, folder / name)
    compileall.compile_dir(folder / "falcongate", quiet=2)


def _install(folder: Path) -> None:
    """An environment in which all is installed, as `scripts/install` would leave it."""
    made, ours = Path(sys.prefix), folder / ".venv"
    ours.mkdir()
    shutil.copy(made / "pyvenv.cfg", ours)
    for name in ("bin", "lib"):
        (ours / name).symlink_to(made / name)
    pins = (folder / "setup.py").read_bytes()
    pins += b"".join(path.read_bytes() for path in sorted((folder / "requirements").glob("*.txt")))
    version = "{}.{}".format(*sys.version_info)
    stamp = hashlib.sha256(f"{folder} {version}\n".encode() + pins).hexdigest()
    for name in ("base", "test", "embedded"):
        (ours / f".installed-{name}").write_text(f"{stamp}  -\n", "ascii")
