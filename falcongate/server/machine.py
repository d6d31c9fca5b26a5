"""What a machine, container or platform gives the gateway: read here, judged in `machine_verdict.py`."""

from __future__ import annotations

import ctypes
import os
import resource
import shutil
import tempfile
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Final, Literal

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

Platform = Literal["Heroku", "Kubernetes", "systemd", "a container", "none"]

_MAX_WORKERS_UNASKED: Final = 4
_OTHER_DESCRIPTORS: Final = 100
# Version 1 of cgroups has no word for "no limit", but a number that no machine has.
_NO_LIMIT_BYTES: Final = 1 << 60
_TIMEX_BYTES: Final = 256
_TIME_ERROR: Final = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class Machine:
    """What there is; None where it cannot be known, or where there is no limit.

    `memory_bytes` and `quota_cores` are limits of the cgroup, `open_files` the hard limit, `backlog` the
    longest queue of the kernel. `temporary` is where metrics are kept, None if nothing can be written.
    """

    platform: Platform
    memory_bytes: int | None
    cores: int
    quota_cores: float | None
    open_files: int | None
    backlog: int | None
    temporary: str | None
    free_bytes: int
    is_clock_set: bool | None


def workers_unasked() -> int:
    """How many workers there are when nobody says.

    A worker keeps one core busy. A container on a large host sees cores it has no share of, so more than a
    few workers are somebody's decision.
    """
    return min(_cores(), _MAX_WORKERS_UNASKED)


def room_for_callers(wanted: int, open_files: int | None) -> int:
    """How many of `wanted` callers may be connected: each may need a descriptor more, for its service."""
    if open_files is None:
        return wanted
    return min(wanted, max((open_files - _OTHER_DESCRIPTORS) // 2, 1))


def read_machine(environ: Mapping[str, str], root: Path = Path("/")) -> Machine:
    """Look at everything below `root`, and at what the variables of a platform say."""
    groups = list(_cgroups(root))
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    temporary, free_bytes = _temporary(environ.get("PROMETHEUS_MULTIPROC_DIR"))
    return Machine(
        platform=_platform(environ, root),
        memory_bytes=_memory_bytes(groups),
        cores=_cores(),
        quota_cores=_quota_cores(groups),
        open_files=None if hard == resource.RLIM_INFINITY else hard,
        backlog=_number(root / "proc/sys/net/core/somaxconn"),
        temporary=temporary,
        free_bytes=free_bytes,
        is_clock_set=_is_clock_set(),
    )


def _platform(environ: Mapping[str, str], root: Path) -> Platform:
    if "DYNO" in environ:
        return "Heroku"
    if "KUBERNETES_SERVICE_HOST" in environ:
        return "Kubernetes"
    if any((root / mark).exists() for mark in (".dockerenv", "run/.containerenv")):
        return "a container"
    # Also set for whoever is signed in, hence the service's own variable.
    return "systemd" if "INVOCATION_ID" in environ and "SHLVL" not in environ else "none"


def _cores() -> int:
    return len(os.sched_getaffinity(0))


def _cgroups(root: Path) -> Iterator[Path]:
    """The folders of this process's groups, and of all above them, in both versions of cgroups."""
    mount = root / "sys/fs/cgroup"
    for line in _text(root / "proc/self/cgroup").splitlines():
        _, controllers, path = [*line.split(":", 2), "", ""][:3]
        inner = PurePosixPath(path.lstrip("/"))
        for controller in controllers.split(","):
            for below in (inner, *inner.parents):
                yield mount / controller / below
    # A container sees the path that it has outside, and its own group at the top.
    yield from (mount, mount / "memory", mount / "cpu")


def _memory_bytes(groups: Iterable[Path]) -> int | None:
    found = [
        limit
        for group in groups
        for name in ("memory.max", "memory.limit_in_bytes")
        if (limit := _number(group / name)) is not None and limit < _NO_LIMIT_BYTES
    ]
    return min(found, default=None)


def _quota_cores(groups: Iterable[Path]) -> float | None:
    found = []
    for group in groups:
        quota, _, period = _text(group / "cpu.max").partition(" ")
        if quota.isdecimal() and period.strip().isdecimal():
            found.append(int(quota) / int(period))
        old_quota, old_period = _number(group / "cpu.cfs_quota_us"), _number(group / "cpu.cfs_period_us")
        if old_quota and old_period and old_quota > 0:
            found.append(old_quota / old_period)
    return min(found, default=None)


def _temporary(given: str | None) -> tuple[str | None, int]:
    """Where metrics are kept, and how much room there is; None if nobody can write there."""
    try:
        # Where it is missing it is made at the start.
        place = Path(given) if given else Path(tempfile.gettempdir())
        while not place.exists():
            place = place.parent
        with tempfile.TemporaryFile(dir=place) as file:
            file.write(b"x")
        return given or str(place), shutil.disk_usage(place).free
    except OSError:
        return None, 0


def _is_clock_set() -> bool | None:
    """Whether the kernel is told the time by somebody; None where it does not say."""
    adjtimex = getattr(ctypes.CDLL(None), "adjtimex", None)
    if adjtimex is None:
        return None
    # All zero: nothing is set, only asked.
    answer: int = adjtimex(ctypes.create_string_buffer(_TIMEX_BYTES))
    return None if answer < 0 else answer != _TIME_ERROR


def _text(path: Path) -> str:
    with suppress(OSError):
        return path.read_text("utf-8", "replace").strip()
    return ""


def _number(path: Path) -> int | None:
    with suppress(ValueError):
        return int(_text(path))
    return None
