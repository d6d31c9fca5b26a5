"""What is over is freed at once: the garbage collector of a busy worker comes by seldom."""

from __future__ import annotations

import subprocess
import sys

from tests.support.processes import ROOT


def test_no_kind_of_request_leaves_a_cycle_behind() -> None:
    ended = subprocess.run(
        [sys.executable, "-m", "gevent.monkey", "--module", "tests.support.garbage"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    lines = ended.stdout.splitlines()
    assert len(lines) == 11
    assert [line for line in lines if not line.endswith(": ")] == []
