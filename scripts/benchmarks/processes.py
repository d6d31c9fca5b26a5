"""Starting and ending programs, and what /proc tells of them."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

ROOT = Path(__file__).resolve().parents[2]
PEER_CORE, OTHERS_CORE = 0, 1
_OURS = ("REDIS_URL", "MICROSERVICE_URLS", "PORT", "WEB_CONCURRENCY", "GUNICORN_CMD_ARGS")
_HTTP = (b"GET /api/files/small HTTP/1.1\r\nHost: gateway.test\r\n\r\n", b"HTTP/1.1 200")
_START_S = 20
_END_S = 10


@contextmanager
def running(
    command: list[str],
    environment: Mapping[str, str],
    port: int,
    *,
    core: int,
    log: Path,
    greeting: tuple[bytes, bytes] = _HTTP,
) -> Iterator[int]:
    """The process id of a program that answers a `greeting` on `port`; it is ended with all it started."""
    inherited = {
        name: value
        for name, value in os.environ.items()
        if name not in _OURS and not name.startswith("FALCONGATE_")
    }
    path = os.pathsep.join(filter(None, (str(ROOT), os.environ.get("PYTHONPATH"))))
    with log.open("wb") as output:
        process = subprocess.Popen(
            command,
            stdout=output,
            stderr=output,
            env={**inherited, "PYTHONPATH": path, **environment},
            preexec_fn=lambda: pin(0, core),  # noqa: PLW1509  # no threads here
            start_new_session=True,
        )
    try:
        _await_answer(port, process, log, greeting)
        yield process.pid
    finally:
        _end(process)


def _end(process: subprocess.Popen[bytes]) -> None:
    """First politely; then it and the children it may have left."""
    process.terminate()
    try:
        process.wait(_END_S)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def _await_answer(
    port: int, process: subprocess.Popen[bytes], log: Path, greeting: tuple[bytes, bytes]
) -> None:
    deadline = time.monotonic() + _START_S
    while time.monotonic() < deadline and process.poll() is None:
        try:
            with socket.create_connection(("127.0.0.1", port), timeout=1) as sock:
                sock.sendall(greeting[0])
                if sock.recv(4096).startswith(greeting[1]):
                    return
        except OSError:
            pass
        time.sleep(0.05)
    words = log.read_text(errors="replace")[-2000:]
    raise SystemExit(f"{process.args!r} does not answer on port {port}:\n{words}")


def is_pinned() -> bool:
    """Whether there are cores enough to give the peer one of its own."""
    return len(os.sched_getaffinity(0)) > 1


def pin(pid: int, core: int) -> None:
    """Keep a process to one core, if that leaves another one."""
    if is_pinned():
        os.sched_setaffinity(pid, {sorted(os.sched_getaffinity(0))[core]})


def free_port() -> int:
    """A port nobody listens on."""
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        port: int = sock.getsockname()[1]
        return port


def tree(pid: int) -> list[int]:
    """A process and all below it."""
    pids = [pid]
    for task in Path(f"/proc/{pid}/task").glob("*/children"):
        for child in task.read_text().split():
            pids += tree(int(child))
    return pids


def cpu_s(pid: int) -> float:
    """Seconds on a CPU, of all threads of a process and those below it."""
    return sum(_task_s(task) for each in tree(pid) for task in Path(f"/proc/{each}/task").iterdir())


def _task_s(task: Path) -> float:
    try:
        return int((task / "schedstat").read_text().split()[0]) / 1e9
    except FileNotFoundError:  # a kernel without schedstat counts in ticks
        fields = (task / "stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def resident_kb(pid: int) -> float:
    """Resident memory of a process and those below it."""
    pages = sum(int(Path(f"/proc/{each}/statm").read_text().split()[1]) for each in tree(pid))
    return pages * os.sysconf("SC_PAGE_SIZE") / 1024
