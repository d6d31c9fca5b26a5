"""The command `falcongate doctor`, as an operator runs it."""

from __future__ import annotations

import re
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

from tests.support.processes import ROOT, environment, render_toml

_FINDING = re.compile(r"^  (ok|warning|problem) +(.*)\.$(?:\n           To do: (.*)\.$)?", re.MULTILINE)


@dataclass(frozen=True)
class Report:
    """What it has said. `findings` are levels, what was found, and what to do."""

    status: int
    out: str
    err: str
    took_s: float

    @property
    def findings(self) -> list[tuple[str, str, str]]:
        """Everything that was found, in its order."""
        return _FINDING.findall(self.out)

    def about(self, text: str) -> list[tuple[str, str, str]]:
        """Findings that begin with a text."""
        return [finding for finding in self.findings if finding[1].startswith(text)]

    def not_ok(self, text: str) -> list[tuple[str, str, str]]:
        """Those of them that are not ok, but for latency: this machine is busy."""
        told = self.about(text)
        return [one for one in told if one[0] != "ok" and "a PING takes" not in one[1]]


def doctor(directory: Path, settings: dict[str, object] | None = None, **environ: str) -> Report:
    """Run it on a configuration and with variables, and wait for its end."""
    arguments = []
    if settings is not None:
        config = directory / "doctor.toml"
        config.write_text(render_toml(settings), "utf-8")
        arguments = ["--config", str(config)]
    began = time.monotonic()
    done = subprocess.run(  # noqa: S603  # our own command
        [sys.executable, "-m", "falcongate", "doctor", *arguments],
        cwd=ROOT,
        # So that a small machine is large enough.
        env=environment() | {"WEB_CONCURRENCY": "1"} | environ,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    return Report(done.returncode, done.stdout, done.stderr, time.monotonic() - began)
