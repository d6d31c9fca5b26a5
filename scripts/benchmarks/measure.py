"""One case with one peer: put it under load, read what that cost it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from scripts.benchmarks.processes import OTHERS_CORE, PEER_CORE, ROOT, cpu_s, pin, resident_kb, tree

if TYPE_CHECKING:
    from collections.abc import Iterator

    from scripts.benchmarks.peers import Ports

_LOAD = Path(__file__).with_name("load.py")
_SOCKETS = Path(__file__).with_name("sockets.py")
_WARM_UP_S = 0.5
_ALONE_PER_S = 100
_SETTLE_S = 1.0


def measure(case: str, pid: int, ports: Ports, *, seconds: float, rate: float) -> dict[str, float]:
    """What was seen by the callers, and the CPU or memory it took process `pid`."""
    port = ports.own
    if case == "held":
        return _memory(pid, port)
    if case == "sockets-idle":
        return _memory_of_sockets(pid, port)
    if case == "alone":
        seen = _load(case, port, seconds, _ALONE_PER_S)
        # From the core where the gateway asks Redis.
        there_and_back = _load("ping", ports.redis, seconds, _ALONE_PER_S, core=PEER_CORE)
        return {**seen, "ping_ms": there_and_back["p50_ms"]}
    _load(case, port, _WARM_UP_S)
    seen, spent_s = _load_with_cpu(pid, case, port, seconds=seconds)
    if case in ("sockets", "sockets-large"):
        seen["cpu_us"] = 1e6 * spent_s / seen["requests"]
        seen["busy_percent"] = seen["cpu_us"] * seen["per_s"] / 1e4
        return seen
    if case in ("download", "upload"):
        return {**seen, "cpu_s_per_gb": spent_s / seen["gb"]}
    # A program that is always busy is never woken, a wake-up costs several microseconds on either
    # side, and a slower program pays more of them: so the same work at one pace is the second look.
    paced, paced_s = _load_with_cpu(pid, case, port, seconds=seconds, rate=rate)
    seen["cpu_us"] = 1e6 * spent_s / seen["requests"]
    seen["busy_percent"] = seen["cpu_us"] * seen["per_s"] / 1e4
    paced["cpu_us"] = 1e6 * paced_s / paced["requests"]
    return seen | {f"paced_{name}": value for name, value in paced.items()}


def profile(pid: int, port: int, *, seconds: float, output: str) -> None:
    """py-spy's raw stacks of the last process below `pid` while it serves small GETs."""
    spy = Path(sys.executable).with_name("py-spy")
    if not spy.exists():
        sys.stderr.write("py-spy: not here, no profile\n")
        return
    command = [str(spy), "record", "--pid", str(tree(pid)[-1]), "--format", "raw", "--rate", "500"]
    command += ["--duration", str(max(int(seconds), 1)), "--output", output]
    with _caller("get", port, seconds + 1) as caller:
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=seconds + 60)
        _result(caller, "get")
    if done.returncode:
        sys.stderr.write(f"py-spy: {done.stderr[-500:]}\n")


def _memory(pid: int, port: int) -> dict[str, float]:
    """The most it grew while the callers waited, shared among them."""
    _load("get", port, _WARM_UP_S)
    before = most = resident_kb(pid)
    with _caller("held", port, 0) as caller:
        while caller.poll() is None:
            most = max(most, resident_kb(pid))
            time.sleep(0.02)
        seen = _result(caller, "held")
    return {**seen, "kb_per_caller": (most - before) / seen["requests"]}


def _memory_of_sockets(pid: int, port: int) -> dict[str, float]:
    """How much it has grown when all are open and nothing happens any more."""
    _load("sockets", port, _WARM_UP_S)
    before = resident_kb(pid)
    with _caller("sockets-idle", port, 0) as caller:
        if caller.stdout is None or caller.stdout.readline() != b"opened\n":
            raise SystemExit("the WebSockets could not be opened; their words are above")
        time.sleep(_SETTLE_S)
        grown = resident_kb(pid) - before
        out, _ = caller.communicate(b"\n")
    seen: dict[str, float] = json.loads(out)
    return {**seen, "kb_per_socket": grown / seen["requests"]}


def _load_with_cpu(
    pid: int, case: str, port: int, *, seconds: float, rate: float = 0
) -> tuple[dict[str, float], float]:
    before = cpu_s(pid)
    seen = _load(case, port, seconds, rate)
    return seen, cpu_s(pid) - before


def _load(
    case: str, port: int, seconds: float, rate: float = 0, *, core: int = OTHERS_CORE
) -> dict[str, float]:
    with _caller(case, port, seconds, rate, core=core) as caller:
        return _result(caller, case)


def _result(caller: subprocess.Popen[bytes], case: str) -> dict[str, float]:
    out, _ = caller.communicate()
    if caller.returncode:
        raise SystemExit(f"the callers of {case} ended with {caller.returncode}; their words are above")
    result: dict[str, float] = json.loads(out)
    return result


@contextmanager
def _caller(
    case: str, port: int, seconds: float, rate: float = 0, *, core: int = OTHERS_CORE
) -> Iterator[subprocess.Popen[bytes]]:
    """The callers' process; it ends by itself, at the latest when its patience does."""
    program = _SOCKETS if case.startswith("sockets") else _LOAD
    command = [sys.executable, str(program), case, str(port), str(seconds), str(rate)]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environment) as caller:
        try:
            pin(caller.pid, core)
            yield caller
        except BaseException:
            caller.kill()
            raise
