"""What workers have counted outlives them, is counted once, and takes up one file."""

from __future__ import annotations

import errno
import fcntl
import os
import random
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from prometheus_client.mmap_dict import MmapedDict, mmap_key

from falcongate.telemetry import metric_files
from falcongate.telemetry.metric_files import Broken, absorb, clear, entries_of, read_all, running


class EndedHere(BaseException):
    """The process was killed."""


def write(directory: Path, name: str, **values: float) -> None:
    """A worker's file as prometheus_client makes it."""
    shared = MmapedDict(str(directory / name))
    for label, value in values.items():
        shared.write_value(mmap_key("m", "m_total", ["l"], [label], "help"), value, 0.0)
    shared.close()


def sums(directory: Path) -> dict[str, float]:
    """What a scrape would tell, by the label."""
    told: dict[str, float] = {}
    for name, data in read_all(directory):
        assert name.startswith("counter_")
        for key, value in entries_of(data):
            if not key.startswith(b"holds:"):
                label = key.decode().partition('"l": "')[2].partition('"')[0]
                told[label] = told.get(label, 0) + value
    return told


def names(directory: Path) -> set[str]:
    """All files of numbers."""
    return {path.name for path in directory.glob("*.db*")}


@settings(deadline=None)  # it waits for the disk
@given(st.dictionaries(st.text(min_size=1, max_size=40), st.floats(0, 1e12), max_size=20))
def test_what_prometheus_writes_is_read(values: dict[str, float]) -> None:
    path = Path(f"/dev/shm/metric-file-{os.getpid()}.db")  # noqa: S108  # hypothesis makes many
    try:
        shared = MmapedDict(str(path))
        for key, value in values.items():
            shared.write_value(key, value, 7.0)
        shared.close()
        read = {key.decode(): value for key, value in entries_of(path.read_bytes())}
    finally:
        path.unlink()
    assert read == values


@settings(deadline=None)  # it waits for the disk
@given(st.dictionaries(st.text(min_size=1, max_size=40), st.floats(0, 1e12), max_size=20))
def test_what_is_merged_could_be_prometheus_own(values: dict[str, float]) -> None:
    path = Path(f"/dev/shm/merged-file-{os.getpid()}.db")  # noqa: S108  # hypothesis makes many
    try:
        metric_files._write(path, {key.encode(): value for key, value in values.items()}, ())  # noqa: SLF001
        read = {key: value for key, value, _, _ in MmapedDict.read_all_values_from_file(str(path))}
    finally:
        path.unlink()
    assert read == values


def test_many_workers_come_and_go_and_leave_one_file(tmp_path: Path) -> None:
    for pid in range(1, 31):
        write(tmp_path, f"counter_{pid}.db", a=1, b=pid)
        write(tmp_path, f"gauge_livesum_{pid}.db", a=1)
        assert running(tmp_path) == 1
        absorb(tmp_path, [pid])
        assert sums(tmp_path) == {"a": pid, "b": sum(range(pid + 1))}
        assert names(tmp_path) == {"counter_merged.db"}


def test_live_workers_are_left_alone(tmp_path: Path) -> None:
    write(tmp_path, "counter_1.db", a=1)
    write(tmp_path, "counter_12.db", a=5)
    write(tmp_path, "counter_2.db", b=7)
    absorb(tmp_path, [1])
    assert names(tmp_path) == {"counter_merged.db", "counter_12.db", "counter_2.db"}
    assert sums(tmp_path) == {"a": 6, "b": 7}


def test_a_later_worker_with_the_number_of_an_earlier_one_counts(tmp_path: Path) -> None:
    write(tmp_path, "counter_1.db", a=1)
    absorb(tmp_path, [1])
    write(tmp_path, "counter_1.db", a=2)
    assert sums(tmp_path) == {"a": 3}
    absorb(tmp_path, [1])
    assert sums(tmp_path) == {"a": 3}


@pytest.mark.parametrize("ends_before", range(8))
@pytest.mark.parametrize("ends_after", [False, True])
def test_killed_at_any_step_nothing_is_lost_or_counted_twice(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, ends_before: int, *, ends_after: bool
) -> None:
    """The master is killed before, or right after, each thing that it does to the disk."""
    write(tmp_path, "counter_1.db", a=1, b=10)
    absorb(tmp_path, [1])
    for pid in (2, 3):
        write(tmp_path, f"counter_{pid}.db", a=pid, c=1)
    whole = {"a": 6.0, "b": 10.0, "c": 2.0}
    done = 0

    def counting(act: Callable[..., object]) -> Callable[..., object]:
        def acting(*arguments: object, **named: object) -> object:
            nonlocal done
            if done == ends_before and not ends_after:
                raise EndedHere
            result = act(*arguments, **named)
            if done == ends_before:
                raise EndedHere
            done += 1
            assert sums(tmp_path) == whole
            return result

        return acting

    with monkeypatch.context() as patched:
        for name in ("unlink", "replace", "write_bytes"):
            patched.setattr(Path, name, counting(getattr(Path, name)))
        try:
            absorb(tmp_path, [2, 3])
        except EndedHere:
            pass
        else:
            assert done <= ends_before
    assert sums(tmp_path) == whole
    absorb(tmp_path, [2, 3])
    assert sums(tmp_path) == whole
    absorb(tmp_path, [4])
    assert sums(tmp_path) == whole
    assert names(tmp_path) - {"counter_merged.db.new"} == {"counter_merged.db"}


def test_a_full_disk_changes_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(tmp_path, "counter_1.db", a=1)
    absorb(tmp_path, [1])
    write(tmp_path, "counter_2.db", a=2)

    def full(path: Path, data: bytes) -> int:
        with path.open("wb") as file:
            file.write(data[: len(data) // 2])
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(Path, "write_bytes", full)
        with pytest.raises(OSError, match="No space"):
            absorb(tmp_path, [2])
    assert sums(tmp_path) == {"a": 3}
    assert names(tmp_path) == {"counter_merged.db", "counter_2.db"}
    absorb(tmp_path, [2])
    assert sums(tmp_path) == {"a": 3}


def no_more_descriptors(*arguments: object, **named: object) -> int:
    """Stands for whatever opens a file."""
    del arguments, named
    raise OSError(errno.EMFILE, "Too many open files")


@pytest.mark.parametrize("unread", ["counter_merged.db", "counter_2.db"])
def test_what_cannot_be_read_is_not_taken_for_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, unread: str
) -> None:
    write(tmp_path, "counter_1.db", a=1)
    absorb(tmp_path, [1])
    write(tmp_path, "counter_2.db", a=2)
    with monkeypatch.context() as patched:
        for name in ("open", "read_bytes"):
            able = getattr(Path, name)

            def act(path: Path, *mode: str, able: Callable[..., object] = able, **named: object) -> object:
                return no_more_descriptors() if path.name == unread else able(path, *mode, **named)

            patched.setattr(Path, name, act)
        with pytest.raises(OSError, match="Too many"):
            absorb(tmp_path, [2])
    assert sums(tmp_path) == {"a": 3}
    absorb(tmp_path, [2])
    assert sums(tmp_path) == {"a": 3}


def test_a_reader_without_descriptors_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Numbers that are left out would look as if counters had gone back."""
    write(tmp_path, "counter_1.db", a=1)
    monkeypatch.setattr(os, "open", no_more_descriptors)
    with pytest.raises(OSError, match="Too many"):
        sums(tmp_path)


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\xff\xff\xff\x7f",
        b"\xff\xff\xff\xff\0\0\0\0",
        b"\x10\0\0\0cut short",
        b"\x40\0\0\0\0\0\0\0" + b"\xff" * 56,
    ],
)
def test_a_broken_file_costs_only_its_own_counts_and_goes_with_its_worker(
    tmp_path: Path, content: bytes
) -> None:
    write(tmp_path, "counter_1.db", a=1)
    (tmp_path / "counter_2.db").write_bytes(content)
    assert set(dict(read_all(tmp_path))) == {"counter_1.db", "counter_2.db"}
    absorb(tmp_path, [1, 2])
    assert sums(tmp_path) == {"a": 1}
    assert names(tmp_path) == {"counter_merged.db"}


def test_what_was_counted_before_a_file_breaks_off_stays(tmp_path: Path) -> None:
    write(tmp_path, "counter_1.db", a=1, b=2)
    data = (tmp_path / "counter_1.db").read_bytes()
    used = int.from_bytes(data[:4], "little")
    (tmp_path / "counter_1.db").write_bytes(data[: used - 1])
    with pytest.raises(Broken):
        sums(tmp_path)
    absorb(tmp_path, [1])
    assert sums(tmp_path) == {"a": 1}


def test_whoever_reads_meanwhile_reads_all_of_it_once(tmp_path: Path) -> None:
    """Workers end one after the other while two threads scrape."""
    count = 60
    for pid in range(1, count + 1):
        write(tmp_path, f"counter_{pid}.db", a=1)
    told: list[float] = []
    is_over = threading.Event()

    def scrape() -> None:
        while not is_over.is_set():
            told.append(sums(tmp_path)["a"])

    readers = [threading.Thread(target=scrape) for _ in range(2)]
    for reader in readers:
        reader.start()
    try:
        pids = list(range(1, count + 1))
        random.shuffle(pids)
        for pid in pids:
            absorb(tmp_path, [pid])
    finally:
        is_over.set()
        for reader in readers:
            reader.join()
    assert set(told) == {count}
    assert names(tmp_path) == {"counter_merged.db"}


def test_a_master_begins_with_nothing(tmp_path: Path) -> None:
    write(tmp_path, "counter_1.db", a=1)
    absorb(tmp_path, [1])
    write(tmp_path, "gauge_livesum_2.db", a=1)
    (tmp_path / "transitions.json").write_text("{}")
    (tmp_path / "somebody-else.txt").write_text("")
    clear(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["somebody-else.txt"]


def test_who_was_stopped_while_merging_stops_nobody(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(metric_files, "_TRIES", 3)
    write(tmp_path, "counter_1.db", a=1)
    with (tmp_path / "merging.lock").open("wb") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        with pytest.raises(OSError, match="for too long"):
            absorb(tmp_path, [1])
        assert sums(tmp_path) == {"a": 1}
    absorb(tmp_path, [1])
    assert sums(tmp_path) == {"a": 1}
    assert names(tmp_path) == {"counter_merged.db"}


def test_whoever_merges_does_not_have_prometheus_client() -> None:
    """In gunicorn's master it would have later workers share nothing."""
    code = "import falcongate.server.gunicorn_conf, sys; assert 'prometheus_client' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)  # noqa: S603  # our own code
