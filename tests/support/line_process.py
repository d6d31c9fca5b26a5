"""The process of `line_worker.py`, as a test sees it."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

from tests.support.processes import ROOT, until

BUDGET_MS = 50
# Far above the budget, for a busy machine, and far below what any wait without a budget takes.
LONGEST_S = 0.6


class LineProcess:
    """Callers that ask Redis all the time, in a process of their own."""

    def __init__(self, directory: Path, settings: dict[str, Any]) -> None:
        directory.mkdir(parents=True, exist_ok=True)
        self._stderr = directory / "worker.log"
        document = json.dumps({"budget_ms": BUDGET_MS} | settings)
        with self._stderr.open("wb") as log:
            self._process = subprocess.Popen(  # noqa: S603 - our own command
                [sys.executable, "-m", "tests.support.line_worker", document, str(directory)],
                cwd=ROOT,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
            )

    def seen(self, command: str = "seen") -> dict[str, Any]:
        """What its callers have seen since the last `forget`."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(command + "\n")
        self._process.stdin.flush()
        line = self._process.stdout.readline()
        assert line, self._stderr.read_text("utf-8")[-3000:]
        seen: dict[str, Any] = json.loads(line)
        return seen

    def log(self) -> str:
        """What it has written on standard error."""
        return self._stderr.read_text("utf-8")

    def await_degraded(self) -> None:
        """Wait until it has noticed that a server is away."""
        until(lambda: self.seen()["is_degraded"], "it is noticed")

    def await_health(self) -> None:
        """Wait until callers are answered again, all of them."""
        until(lambda: not self.seen()["is_degraded"], "it is back")
        self.seen("forget")
        until(lambda: self.seen()["answers"], "a caller is answered")
        self.seen("forget")

        def are_all_answered() -> bool:
            seen = self.seen()
            if seen["away"]:
                # A busy machine may pause for longer than the budget, once.
                self.seen("forget")
            return not seen["away"] and seen["answers"] > 50

        until(are_all_answered, "callers are answered, all of them")

    def check(self) -> None:
        """What holds whatever was done to the server."""
        seen = self.seen()
        assert seen["mixed_up"] == 0
        assert seen["longest_s"] < LONGEST_S
        assert seen["callers"] == 8
        assert "Traceback" not in self.log()

    def end(self) -> None:
        """End it."""
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is not None:
                pipe.close()
        self._process.terminate()
        self._process.wait(10)
