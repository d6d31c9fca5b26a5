"""`scripts/bench`: every peer does the same work in turn; CPU is read from /proc."""

from __future__ import annotations

import argparse
import json
import os
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from scripts.benchmarks.peers import PEERS, ROOT, Ports, nginx_upstream
from scripts.benchmarks.report import render

if TYPE_CHECKING:
    from collections.abc import Iterator

CASES = ("get", "post", "download", "upload", "held")
PACED_PER_S = 1_000
_HERE = Path(__file__).parent
# What each case asks of a peer that only forwards to the files.
_NEEDS_SINK = ("post", "upload", "held")


def main() -> None:
    """Measure and print."""
    arguments = _parse()
    with tempfile.TemporaryDirectory(prefix="falcongate-bench-") as name, ExitStack() as stack:
        os.chmod(name, 0o755)  # noqa: PTH101, S103  # nginx's worker runs as another user
        folder = Path(name)
        files, sink = _free_port(), _free_port()
        upstream = [sys.executable, str(_HERE / "upstream.py")]
        stack.enter_context(_running([*upstream, str(sink)], {}, sink, core=1))
        files_command = nginx_upstream(folder, files)
        if files_command is None:
            raise SystemExit("scripts/bench needs nginx for the service behind the peers: apt install nginx")
        stack.enter_context(_running(files_command, {}, files, core=1))
        rows: list[dict[str, Any]] = []
        for round_number in range(arguments.rounds):
            for peer_name in arguments.peers:
                rows += _measure_peer(
                    peer_name, folder, (files, sink), arguments=arguments, round_number=round_number
                )
    results = _medians(rows)
    if arguments.json:
        text = json.dumps(results, indent=1)
        sys.stdout.write(text + "\n") if arguments.json == "-" else Path(arguments.json).write_text(text)
    if arguments.json != "-":
        sys.stdout.write(render(results))


def _parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="scripts/bench", description=__doc__)
    parser.add_argument("--cases", default=",".join(CASES), help="of: %(default)s")
    parser.add_argument("--peers", default=",".join(PEERS), help="of: %(default)s")
    parser.add_argument("--seconds", type=float, default=4.0, help="for each case and peer")
    parser.add_argument("--rounds", type=int, default=3, help="how often all of it; medians are shown")
    parser.add_argument("--json", metavar="FILE", help="write the results to FILE, or - to print them")
    parser.add_argument("--profile", metavar="FILE", help="py-spy's raw stacks of the gateway's small GETs")
    arguments = parser.parse_args()
    arguments.cases = [case for case in CASES if case in arguments.cases.split(",")]
    arguments.peers = [peer for peer in PEERS if peer in arguments.peers.split(",")]
    return arguments


def _measure_peer(
    name: str, folder: Path, upstreams: tuple[int, int], *, arguments: argparse.Namespace, round_number: int
) -> list[dict[str, Any]]:
    ports = Ports(_free_port(), *upstreams)
    peer = PEERS[name](folder, ports)
    if peer is None:
        if not round_number:
            sys.stderr.write(f"{name}: not here, skipped\n")
        return []
    rows = []
    for case in arguments.cases:
        if name == "nginx-unbuffered" and case not in ("download", "upload"):
            continue
        if name == "stock" and case in _NEEDS_SINK:
            environment = {**peer.environment, "BENCH_TARGET": f"http://127.0.0.1:{ports.sink}"}
        else:
            environment = peer.environment
        sys.stderr.write(f"round {round_number + 1}: {name}: {case}\n")
        with _running(peer.command, environment, ports.own, core=0) as process:
            row = _measure_case(case, process, ports.own, arguments)
        rows.append({"peer": name, "case": case, **row})
    return rows


def _measure_case(
    case: str, process: subprocess.Popen[bytes], port: int, arguments: argparse.Namespace
) -> dict[str, float]:
    if case == "held":
        return _measure_held(process, port)
    _load(case, port, 0.5)
    with _profiled(process, case, arguments):
        seen, cpu_s = _load_with_cpu(process, case, port, seconds=arguments.seconds)
    row = {**seen, "cpu_us": 1e6 * cpu_s / seen["requests"]}
    if "gb" in seen:
        row["cpu_s_per_gb"] = cpu_s / seen["gb"]
    else:
        paced, cpu_s = _load_with_cpu(process, case, port, seconds=arguments.seconds, rate=PACED_PER_S)
        row["paced_cpu_us"] = 1e6 * cpu_s / paced["requests"]
        row["paced_p50_ms"], row["paced_p99_ms"] = paced["p50_ms"], paced["p99_ms"]
    return row


def _measure_held(process: subprocess.Popen[bytes], port: int) -> dict[str, float]:
    _load("get", port, 0.5)
    before = _resident_kb(process.pid)
    with _caller("held", port, 0) as caller:
        assert caller.stdout is not None
        caller.stdout.readline()
        most, end = before, time.monotonic() + 0.9
        while time.monotonic() < end:
            most = max(most, _resident_kb(process.pid))
            time.sleep(0.02)
        answered = json.loads(caller.stdout.readline())["requests"]
    return {"requests": answered, "kb_per_caller": (most - before) / answered}


def _load_with_cpu(
    process: subprocess.Popen[bytes], case: str, port: int, *, seconds: float, rate: float = 0
) -> tuple[dict[str, float], float]:
    before = _cpu_s(process.pid)
    seen = _load(case, port, seconds, rate)
    return seen, _cpu_s(process.pid) - before


def _load(case: str, port: int, seconds: float, rate: float = 0) -> dict[str, float]:
    with _caller(case, port, seconds, rate) as caller:
        out, _ = caller.communicate(timeout=seconds + 60)
    if caller.returncode:
        raise SystemExit(f"the load of {case} failed; its words are above")
    result: dict[str, float] = json.loads(out)
    return result


@contextmanager
def _caller(case: str, port: int, seconds: float, rate: float = 0) -> Iterator[subprocess.Popen[bytes]]:
    command = [sys.executable, str(_HERE / "load.py"), case, str(port), str(seconds)]
    if rate:
        command.append(str(rate))
    with subprocess.Popen(command, stdout=subprocess.PIPE) as caller:
        _pin(caller.pid, 1)
        yield caller


@contextmanager
def _profiled(process: subprocess.Popen[bytes], case: str, arguments: argparse.Namespace) -> Iterator[None]:
    if not arguments.profile or case != "get":
        yield
        return
    worker = _tree(process.pid)[-1]
    spy = [str(Path(sys.executable).parent / "py-spy"), "record", "--pid", str(worker), "--format", "raw"]
    spy += ["--rate", "500", "--duration", str(int(arguments.seconds)), "--output", arguments.profile]
    with subprocess.Popen(spy, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL):
        yield


@contextmanager
def _running(
    command: list[str], environment: dict[str, str], port: int, *, core: int
) -> Iterator[subprocess.Popen[bytes]]:
    path = os.pathsep.join((str(ROOT), os.environ.get("PYTHONPATH", "")))
    process = subprocess.Popen(
        command,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        env={**os.environ, "PYTHONPATH": path, **environment},
        preexec_fn=lambda: _pin(0, core),  # noqa: PLW1509  # no threads here
    )
    try:
        _await_port(port, process)
        yield process
    finally:
        process.terminate()
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _pin(pid: int, core: int) -> None:
    cores = sorted(os.sched_getaffinity(0))
    if len(cores) > 1:
        os.sched_setaffinity(pid, {cores[min(core, len(cores) - 1)]})


def _await_port(port: int, process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
        except OSError:
            if process.poll() is not None:
                break
            time.sleep(0.05)
        else:
            time.sleep(0.5)
            return
    raise SystemExit(f"{process.args!r} does not listen on port {port}")


def _free_port() -> int:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        port: int = sock.getsockname()[1]
        return port


def _tree(pid: int) -> list[int]:
    """A process and all below it."""
    pids = [pid]
    for task in Path(f"/proc/{pid}/task").glob("*/children"):
        for child in task.read_text().split():
            pids += _tree(int(child))
    return pids


def _cpu_s(pid: int) -> float:
    """Seconds on a CPU of all threads of a process and those below it, from the scheduler."""
    return (
        sum(
            int(path.read_text().split()[0])
            for each in _tree(pid)
            for path in Path(f"/proc/{each}/task").glob("*/schedstat")
        )
        / 1e9
    )


def _resident_kb(pid: int) -> float:
    return sum(
        int(Path(f"/proc/{each}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 1024
        for each in _tree(pid)
    )


def _medians(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """One row for each peer and case, with the median of every number."""
    groups: dict[tuple[str, str], list[dict[str, Any]]] = {}
    for row in rows:
        groups.setdefault((row["case"], row["peer"]), []).append(row)
    return [
        {"case": case, "peer": peer}
        | {
            key: round(statistics.median(row[key] for row in group), 3)
            for key in group[0]
            if key not in ("case", "peer")
        }
        for (case, peer), group in groups.items()
    ]


if __name__ == "__main__":
    main()
