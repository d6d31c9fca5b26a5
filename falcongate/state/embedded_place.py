"""Where a Redis server of the gateway's own lives: made, found by others, and taken away.

A directory that belongs to the master, with what tells whose it is, and in it one for the server alone.
"""

from __future__ import annotations

import fcntl
import json
import os
import shutil
import signal
import socket
import tempfile
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO, TYPE_CHECKING, Final

from falcongate.errors import ConfigError, ConfigProblem

if TYPE_CHECKING:
    from collections.abc import Iterator

_PREFIX: Final = "falcongate-redis-"
_ANSWER_S: Final = 2.0
_ANSWER_BYTES: Final = 4096
_LAST_LINES: Final = 12
_MAX_SOCKET_PATH: Final = 100
_FIELD_OF_START: Final = 19  # of /proc/<pid>/stat, counted from behind the name


@dataclass(frozen=True, slots=True)
class Place:
    """One server's directory.

    `home` is where it keeps its data, which may be elsewhere; `user` and group are those that it runs
    as, or None: the master's own.
    """

    directory: Path
    home: Path
    user: tuple[int, int] | None

    @property
    def socket(self) -> Path:
        """Where it listens."""
        return _socket(self.directory)

    def ask(self, command: str, *, within_s: float = _ANSWER_S) -> str:
        """The first line of its answer, "" if it hangs up. Waits; raises OSError."""
        return _ask(self.socket, command, within_s)

    def open_log(self) -> IO[bytes]:
        """The file for what it writes."""
        return self._log().open("wb")

    def last_words(self) -> str:
        """The last lines that it has written; what matters is not always in the very last."""
        return "\n    ".join(self._log().read_text("utf-8", "replace").split("\n")[-_LAST_LINES:]).rstrip()

    def note_server(self, pid: int) -> None:
        """Tell the masters after us which process it is."""
        (self.directory / "redis.pid").write_text(str(pid), "ascii")

    def remove(self) -> None:
        """Take it away; data that is kept elsewhere stays."""
        shutil.rmtree(self.directory, ignore_errors=True)

    def _log(self) -> Path:
        return self.directory / "redis.log"


def make_place(kept: str | None, *, user: tuple[int, int] | None) -> Place:
    """A place for a new server, after servers whose masters are gone have been ended. Waits.

    `kept` is a directory for its data, made where it is missing. Raises ConfigError when that cannot be.
    """
    home = _home(kept, user) if kept else None
    root = Path(tempfile.gettempdir())
    if len(str(_socket(root / f"{_PREFIX}12345678"))) > _MAX_SOCKET_PATH:
        root = Path("/tmp")  # noqa: S108  # a socket's path must be short; the directory in it is private
    for left_over in root.glob(f"{_PREFIX}*"):
        _end_left_over(left_over)
    directory = Path(tempfile.mkdtemp(prefix=_PREFIX, dir=root))
    # systemd-tmpfiles takes away what has lain in /tmp for long, but not from under this lock. It is
    # held as long as the process lives.
    fcntl.flock(os.open(directory, os.O_RDONLY), fcntl.LOCK_SH)
    inner = _inner(directory)
    inner.mkdir(0o700)
    place = Place(directory, home or inner, user)
    if user:
        os.chown(inner, *user)
        directory.chmod(0o711)  # to pass through; what lies in it is not for others to change
    owner = {"master": os.getpid(), "started": _start_of(os.getpid()), "home": str(place.home)}
    (directory / "owner.json").write_text(json.dumps(owner), "ascii")
    return place


def running_embedded() -> list[str]:
    """Addresses of the servers that gateways of this user have started on this machine and that run."""
    found = []
    for directory in _directories():
        with suppress(OSError, ValueError, KeyError):
            owner = json.loads((directory / "owner.json").read_text("ascii"))
            if directory.lstat().st_uid == os.getuid() and _start_of(owner["master"]) == owner["started"]:
                found.append(f"unix://{_socket(directory)}")
    return found


def _directories() -> Iterator[Path]:
    for root in sorted({Path(tempfile.gettempdir()), Path("/tmp")}):  # noqa: S108  # as `make_place` chooses
        yield from sorted(root.glob(f"{_PREFIX}*"))


def _home(kept: str, user: tuple[int, int] | None) -> Path:
    home = Path(kept).absolute()
    try:
        if not home.is_dir():
            home.mkdir(parents=True)
            if user:
                os.chown(home, *user)
    except OSError as error:
        remedy = f"the directory cannot be made: {error.strerror}"
        problem = ConfigProblem("shared state", "redis.embedded_directory", str(home), remedy)
        raise ConfigError((problem,)) from error
    return home


def _inner(directory: Path) -> Path:
    return directory / "own"


def _socket(directory: Path) -> Path:
    return _inner(directory) / "redis.sock"


def _ask(path: Path, command: str, within_s: float = _ANSWER_S) -> str:
    with socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(within_s)
        connection.connect(str(path))
        connection.sendall(f"{command}\r\n".encode("ascii"))
        return connection.recv(_ANSWER_BYTES).partition(b"\r\n")[0].decode("utf-8", "replace")


def _end_left_over(directory: Path) -> None:
    """End the server of a master that is gone, and take away its directory."""
    try:
        if directory.lstat().st_uid != os.getuid() or directory.is_symlink():
            return
        owner = json.loads((directory / "owner.json").read_text("ascii"))
        if _start_of(owner["master"]) == owner["started"]:
            return
        _end_server(directory, Path(owner["home"]))
    except (OSError, ValueError, KeyError):
        return  # just being made or taken away by another
    shutil.rmtree(directory, ignore_errors=True)


def _end_server(directory: Path, home: Path) -> None:
    """Tell the server to end, and wait until it has hung up; kill it if it does not listen."""
    try:
        _ask(_socket(directory), "SHUTDOWN")
    except TimeoutError:
        pid = int((directory / "redis.pid").read_text("ascii"))
        # The number may be another process's by now: ours is where it keeps its data.
        if Path(f"/proc/{pid}/cwd").resolve() == home.resolve():
            os.kill(pid, signal.SIGKILL)
    except OSError:
        return  # nobody there


def _start_of(pid: int) -> str:
    """When a process was started, in the kernel's own count; "" when there is none."""
    try:
        return Path(f"/proc/{pid}/stat").read_text("ascii").rpartition(")")[2].split()[_FIELD_OF_START]
    except OSError:
        return _without_proc(pid)


def _without_proc(pid: int) -> str:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return ""
    except PermissionError:
        pass
    return "" if Path("/proc/self/stat").exists() else "running"
