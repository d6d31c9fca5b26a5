"""The operator's command that has a running gateway take up its configuration anew."""

from __future__ import annotations

import os
import signal
import sys
import time
from typing import TYPE_CHECKING, Any, Final

from falcongate.commands.terminal import shown
from falcongate.server import notice

if TYPE_CHECKING:
    from argparse import Namespace
    from collections.abc import Callable

    from falcongate.server.notice import Notice

_LOOK_EVERY_S: Final = 0.1
# A worker that does not start is given up after a minute.
_MAX_SILENCE_S: Final = 90.0


def add_reload_command(command: Callable[..., Any]) -> None:
    """Add `reload` to the commands that `command` makes."""
    made = command(
        "reload", _reload, "Have the gateway on this host take up its configuration anew, worker by worker."
    )
    made.add_argument("--pid", type=int, metavar="N", help="which gateway, if several run here")


def _reload(arguments: Namespace) -> int:
    running = [each for each in notice.read_all() if arguments.pid in (None, each.pid)]
    if len(running) != 1:
        return _say_whom(running, arguments.pid)
    before = running[0]
    try:
        os.kill(before.pid, signal.SIGHUP)
    except ProcessLookupError:
        return _say_whom([], before.pid)
    return _follow(before)


def _say_whom(running: list[Notice], pid: int | None) -> int:
    if running:
        lines = [
            f"  --pid {each.pid}  {shown(each.listens)}  configuration {shown(each.configuration)}"
            for each in running
        ]
        _tell("several gateways run here; say which:", *lines)
    elif pid is not None:
        _tell(f"process {pid} is no gateway that you may signal")
    else:
        _tell("no gateway of yours runs on this host; in a container or another unit, run this there")
    return 1


def _follow(before: Notice) -> int:
    """Wait until the reload has come to its end, and tell how."""
    last, heard_at = before, time.monotonic()
    while time.monotonic() - heard_at < _MAX_SILENCE_S:
        now = notice.read(before.pid)
        if now is None:
            _tell(f"the gateway {before.pid} has ended")
            return 1
        if end := now.end_of(before.reloads + 1):
            return _tell_end(now, *end)
        if now != last:
            last, heard_at = now, time.monotonic()
            _tell(f"{now.new} of {now.wanted} workers run configuration {shown(now.configuration)}")
        time.sleep(_LOOK_EVERY_S)
    _tell(f"nothing was heard of gateway {before.pid} for {_MAX_SILENCE_S:g} s; its log may tell why")
    return 1


def _tell_end(now: Notice, end: str, report: str) -> int:
    if end == "done":
        print(f"Reloaded: {now.new} workers run configuration {shown(now.configuration)}.")
        return 0
    if end == "superseded":
        _tell("another reload was asked for before this one had come to its end")
        return 1
    lines = [shown(line) for line in report.splitlines()]
    _tell(f"not reloaded; configuration {shown(now.configuration)} goes on", *lines)
    return 2 if end == "refused" else 1


def _tell(*lines: str) -> None:
    print("falcongate reload:", "\n".join(lines), file=sys.stderr)
