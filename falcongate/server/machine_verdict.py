"""Whether what a machine gives is enough for the gateway, and what to do; pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from falcongate.findings import ok, problem, warning
from falcongate.server.machine import room_for_callers

if TYPE_CHECKING:
    from collections.abc import Iterator

    from falcongate.findings import Finding
    from falcongate.server.machine import Machine

_MIB: Final = 1_048_576
WORKER_BYTES: Final = 66 * _MIB
"""Resident memory of a worker with `conf/e3os.toml` after 300 requests (VmRSS, Python 3.13 on x86-64)."""
MASTER_BYTES: Final = 55 * _MIB
"""The same of the master. What both share of it is counted twice, as a platform may count it."""
CALLER_BYTES: Final = 23 * 1_024
"""What a caller takes who waits for a service; docs/performance.md, "memory of a held caller"."""
_CALLERS: Final = 1_000
_LITTLE_ROOM_BYTES: Final = 128 * _MIB
_NO_ROOM_BYTES: Final = 16 * _MIB
_WORKERS_PER_CORE: Final = 2
_BACKLOG: Final = 2_048


def verdict_on_machine(
    machine: Machine, *, workers: int, max_connections: int, own_redis_bytes: int
) -> Iterator[Finding]:
    """A finding for each thing that can run short. `own_redis_bytes` is 0 where Redis is elsewhere."""
    yield _memory(machine, workers, own_redis_bytes)
    yield _cores(machine, workers)
    yield _descriptors(machine, max_connections)
    if machine.backlog is not None and machine.backlog < _BACKLOG:
        yield warning(
            f"at most {machine.backlog} callers wait in the kernel to be accepted",
            f"sysctl -w net.core.somaxconn={_BACKLOG}, in the container's own settings if it is one",
        )
    yield _temporary(machine)
    if machine.is_clock_set is False:
        yield warning(
            "the kernel says that nobody sets its clock; ends of tokens and certificates go by it",
            "run chrony or systemd-timesyncd here; in a container or virtual machine, on its host",
        )
    elif machine.is_clock_set:
        yield ok("the clock is set by NTP or the like")


def _memory(machine: Machine, workers: int, own_redis_bytes: int) -> Finding:
    least = MASTER_BYTES + workers * WORKER_BYTES + own_redis_bytes
    busy = least + workers * _CALLERS * CALLER_BYTES
    parts = f"{workers} worker{'s' * (workers != 1)}{' and a Redis' if own_redis_bytes else ''}"
    if machine.memory_bytes is None:
        return ok(f"memory has no limit; {parts} need about {_mib(least)}")
    given = _mib(machine.memory_bytes)
    found = f"{parts} need {_mib(least)}, {_mib(busy)} with {_CALLERS} callers each, of {given}"
    fitting = (machine.memory_bytes - MASTER_BYTES - own_redis_bytes) // (
        WORKER_BYTES + _CALLERS * CALLER_BYTES
    )
    remedy = f"set WEB_CONCURRENCY={max(fitting, 1)}, or give it more memory"
    if least > machine.memory_bytes:
        return problem(f"{found}: the kernel will end workers", remedy)
    return warning(found, remedy) if busy > machine.memory_bytes else ok(found)


def _cores(machine: Machine, workers: int) -> Finding:
    cores = float(machine.cores) if machine.quota_cores is None else min(machine.cores, machine.quota_cores)
    found = f"{workers} worker{'s' * (workers != 1)} on {cores:g} core{'s' * (cores != 1)}"
    if workers > max(cores, 1.0) * _WORKERS_PER_CORE:
        return warning(
            f"{found}: a worker keeps one core busy, more only take memory and turns from each other",
            f"set WEB_CONCURRENCY={max(round(cores), 1)}",
        )
    if cores >= workers + 1:
        return ok(f"{found}: WEB_CONCURRENCY could be up to {int(cores)}")
    return ok(found)


def _descriptors(machine: Machine, max_connections: int) -> Finding:
    room = room_for_callers(max_connections, machine.open_files)
    if room < max_connections // 2:
        return warning(
            f"at most {machine.open_files} files may be open, so a worker takes {room} callers"
            f" and not {max_connections} (server.max_connections)",
            f"raise the hard limit to {2 * max_connections + 200}"
            " (ulimit -Hn, LimitNOFILE=, --ulimit nofile=),"
            f" or set server.max_connections = {room}",
        )
    files = "any number of" if machine.open_files is None else machine.open_files
    return ok(f"{files} files may be open: enough for {room} callers a worker")


def _temporary(machine: Machine) -> Finding:
    if machine.temporary is None:
        return problem(
            "no directory for temporary files can be written to: metrics and a Redis of its own live there",
            "mount a tmpfs on /tmp, or name a directory in TMPDIR and free some room",
        )
    found = f"{machine.temporary}: {_mib(machine.free_bytes)} free"
    remedy = "free some room, or name another directory in TMPDIR: workers end when it is full"
    if machine.free_bytes < _NO_ROOM_BYTES:
        return problem(found, remedy)
    return warning(found, remedy) if machine.free_bytes < _LITTLE_ROOM_BYTES else ok(found)


def _mib(size: int) -> str:
    return f"{size // _MIB:,} MiB"
