"""Whether a machine is enough, rule by rule."""

from __future__ import annotations

from dataclasses import replace

import pytest

from falcongate.findings import Finding, Level
from falcongate.server.machine import Machine
from falcongate.server.machine_verdict import CALLER_BYTES, MASTER_BYTES, WORKER_BYTES, verdict_on_machine

MIB = 1_048_576
GOOD = Machine(
    platform="none",
    memory_bytes=512 * MIB,
    cores=2,
    quota_cores=None,
    open_files=1_048_576,
    backlog=4_096,
    temporary="/tmp",  # noqa: S108  # a name that is shown
    free_bytes=1_000 * MIB,
    is_clock_set=True,
)


def findings(machine: Machine, *, workers: int = 2, own_redis_bytes: int = 0) -> list[Finding]:
    """The verdict on a machine."""
    return list(
        verdict_on_machine(machine, workers=workers, max_connections=10_000, own_redis_bytes=own_redis_bytes)
    )


def bad(machine: Machine, *, workers: int = 2, own_redis_bytes: int = 0) -> list[Finding]:
    """Those of its findings that are not ok."""
    found = findings(machine, workers=workers, own_redis_bytes=own_redis_bytes)
    return [finding for finding in found if finding.level != Level.OK]


def test_a_good_machine() -> None:
    assert not bad(GOOD)
    assert len(findings(GOOD)) == 5


@pytest.mark.parametrize(
    ("workers", "own_redis_mib", "level", "remedy"),
    [
        (5, 0, Level.OK, ""),
        (6, 0, Level.WARNING, "WEB_CONCURRENCY=5"),
        (7, 0, Level.PROBLEM, "WEB_CONCURRENCY=5"),
        (5, 64, Level.WARNING, "WEB_CONCURRENCY=4"),
        (5, 256, Level.PROBLEM, "WEB_CONCURRENCY=2"),
    ],
)
def test_memory_against_workers(workers: int, own_redis_mib: int, level: Level, remedy: str) -> None:
    fits_five = MASTER_BYTES + 5 * (WORKER_BYTES + 1_000 * CALLER_BYTES)
    machine = replace(GOOD, memory_bytes=fits_five, cores=64)
    memory = findings(machine, workers=workers, own_redis_bytes=own_redis_mib * MIB)[0]
    assert memory.level == level
    assert remedy in memory.remedy


def test_memory_without_a_limit() -> None:
    assert not bad(replace(GOOD, memory_bytes=None, cores=64), workers=50)


@pytest.mark.parametrize(
    ("cores", "quota", "workers", "told"),
    [
        (2, None, 4, []),
        (2, None, 5, ["set WEB_CONCURRENCY=2"]),
        (64, 1.5, 4, ["set WEB_CONCURRENCY=2"]),
        (64, 0.5, 2, []),
        (64, 0.5, 3, ["set WEB_CONCURRENCY=1"]),
    ],
)
def test_workers_against_cores(cores: int, quota: float | None, workers: int, told: list[str]) -> None:
    machine = replace(GOOD, memory_bytes=None, cores=cores, quota_cores=quota)
    assert [finding.remedy for finding in bad(machine, workers=workers)] == told


def test_more_cores_than_workers_are_told() -> None:
    assert any("could be up to 8" in one.found for one in findings(replace(GOOD, cores=8)))


def test_descriptors() -> None:
    (finding,) = bad(replace(GOOD, open_files=1_024))
    assert "a worker takes 462 callers and not 10000" in finding.found
    assert "20200" in finding.remedy
    assert "max_connections = 462" in finding.remedy
    assert not bad(replace(GOOD, open_files=None))


def test_a_short_queue() -> None:
    (finding,) = bad(replace(GOOD, backlog=128))
    assert "somaxconn=2048" in finding.remedy
    assert not bad(replace(GOOD, backlog=None))


@pytest.mark.parametrize(
    ("free_mib", "level"), [(100, Level.WARNING), (15, Level.PROBLEM), (0, Level.PROBLEM)]
)
def test_room_for_metrics(free_mib: int, level: Level) -> None:
    (finding,) = bad(replace(GOOD, free_bytes=free_mib * MIB))
    assert finding.level == level


def test_nowhere_to_write() -> None:
    (finding,) = bad(replace(GOOD, temporary=None, free_bytes=0))
    assert finding.level == Level.PROBLEM
    assert "tmpfs" in finding.remedy


def test_the_clock() -> None:
    (finding,) = bad(replace(GOOD, is_clock_set=False))
    assert "nobody sets its clock" in finding.found
    assert not bad(replace(GOOD, is_clock_set=None))
