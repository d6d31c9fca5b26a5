"""Programs of ours other than a gateway in the middle of a test: commands and scripts, as people run them."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import subprocess
from collections.abc import Iterator, Sequence
from pathlib import Path

from tests.support.callers import Answer, Caller
from tests.support.processes import ROOT, GatewayFailed, until

_LISTENING = re.compile(r"Listening at: http://(127\.0\.0\.1):(\d+)")


class Program:
    """A program that was started in a session of its own, with what it has written so far."""

    def __init__(
        self, directory: Path, command: Sequence[str], *, stdin: int = subprocess.DEVNULL, **environ: str
    ) -> None:
        self._out, self._err = directory / "out", directory / "err"
        with self._out.open("wb") as out, self._err.open("wb") as err:
            self.process = subprocess.Popen(  # noqa: S603  # our own command
                command,
                cwd=ROOT,
                env={"PYTHONPATH": str(ROOT), "PYTHONUNBUFFERED": "1", "TMPDIR": str(directory), **environ},
                stdin=stdin,
                stdout=out,
                stderr=err,
                start_new_session=True,
            )

    @property
    def out(self) -> str:
        """Standard output so far."""
        return self._out.read_text("utf-8")

    @property
    def err(self) -> str:
        """Standard error so far."""
        return self._err.read_text("utf-8")

    def address(self) -> tuple[str, int]:
        """Where its gunicorn listens, waited for until it answers."""
        found = until(self._listening, "gunicorn listens", within_s=30)
        address = (found[1], int(found[2]))
        until(lambda: answers(address), "the gateway answers", within_s=30)
        return address

    def _listening(self) -> re.Match[str] | None:
        if self.process.poll() is not None:
            raise GatewayFailed(f"it ended at once:\n{self.err}")
        return _LISTENING.search(self.err)

    def members(self) -> list[int]:
        """The living processes of its session: all that it has started."""
        found = []
        for path in Path("/proc").glob("[0-9]*/stat"):
            try:
                fields = path.read_text("utf-8", "replace").rpartition(")")[2].split()
            except OSError:
                continue
            if int(fields[3]) == self.process.pid and fields[0] != "Z":
                found.append(int(path.parent.name))
        return found

    def end(self, number: signal.Signals = signal.SIGTERM) -> int:
        """Ask it to end, and answer its exit status."""
        self.process.send_signal(number)
        return self.process.wait(15)

    def interrupt(self) -> int:
        """Do what Ctrl-C in a terminal does: signal all of them; answer the exit status of the first."""
        os.killpg(self.process.pid, signal.SIGINT)
        return self.process.wait(15)


@contextlib.contextmanager
def program(
    directory: Path, command: Sequence[str], *, stdin: int = subprocess.DEVNULL, **environ: str
) -> Iterator[Program]:
    """A program that is gone afterwards, with all that it has started."""
    started = Program(directory, command, stdin=stdin, **environ)
    try:
        yield started
    finally:
        if started.process.stdin is not None:
            started.process.stdin.close()
        with contextlib.suppress(ProcessLookupError):
            os.killpg(started.process.pid, signal.SIGKILL)
        started.process.wait(10)


def get(address: tuple[str, int], target: str) -> Answer:
    """Ask once, on a connection of its own."""
    with Caller(address) as caller:
        return caller.get(target)


def answers(address: tuple[str, int]) -> bool:
    """Whether a gateway is there."""
    try:
        return get(address, "/health/live").status == 200
    except OSError:
        return False
