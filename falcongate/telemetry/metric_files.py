"""The files in which workers keep their numbers: read them, and add up those of workers that are gone.

The format is prometheus_client's. It is not imported here: gunicorn's master, which merges, must not have it
(once imported where the numbers are not shared, it would not share those of later workers either).

A file of numbers that only grow outlives its worker, or what was counted would be forgotten. `absorb` adds it
to the one file `<kind>_merged.db` and removes it. That is two steps, and in between whoever reads would count
it twice; so the merged file names those that it holds until they are gone, and readers leave these out.
"""

from __future__ import annotations

import fcntl
import os
from contextlib import contextmanager, suppress
from struct import Struct
from time import sleep
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

DIRECTORY_VARIABLE: Final = "PROMETHEUS_MULTIPROC_DIR"
"""Where prometheus_client has workers share their numbers; it reads it itself."""

COUNTED_TRANSITIONS: Final = "transitions.json"
"""Beside them: which transitions of breakers have been counted."""

KINDS: Final = ("counter", "histogram")
"""Kinds of files whose numbers count for ever."""

_LOCK: Final = "merging.lock"
_HEAD_BYTES: Final = 8
# Each worker has one, for the gauge of how many there are, and `absorb` removes it.
_OF_EACH_WORKER: Final = "gauge_livesum_"
_VALUE_BYTES: Final = 16
_INTEGER: Final = Struct("i")
_DOUBLE: Final = Struct("d")
# The value, and when it was set: nothing of ours needs that.
_TWO_DOUBLES: Final = Struct("dd")
# No metric's: theirs are JSON.
_HOLDS: Final = b"holds:"
_LOOKS: Final = 100
_TRY_AGAIN_AFTER_S: Final = 0.01
_TRIES: Final = 50


class Broken(Exception):
    """A file that a worker died writing, or that a full disk cut short."""


def entries_of(data: bytes) -> Iterator[tuple[bytes, float]]:
    """All numbers of a file's bytes, and before each what it is of, as prometheus_client writes that.

    Raises Broken where they end before their time.
    """
    used, there = _used_of(data), len(data)
    at = _HEAD_BYTES
    while at < used:
        if at + _INTEGER.size > there:
            raise Broken
        length: int = _INTEGER.unpack_from(data, at)[0]
        at += _INTEGER.size
        # Padded to eight bytes, with one at least.
        value_at = at + length + 8 - (length + 4) % 8
        if length < 0 or value_at + _VALUE_BYTES > there:
            raise Broken
        yield data[at : at + length], _DOUBLE.unpack_from(data, value_at)[0]
        at = value_at + _VALUE_BYTES


def read_all(directory: Path) -> Iterator[tuple[str, bytes]]:
    """Every file's name and bytes, as they were at one time: none twice, and none missing.

    Raises OSError if the directory, or a file in it, cannot be read.
    """
    with _opened(directory) as files:
        contents = {name: _contents(files[name]) for name in _MERGED if name in files}
        held = {name for data in contents.values() for name in _held_by(data)}
        for name, file in files.items():
            if name not in held:
                yield name, contents.get(name) or _contents(file)


def absorb(directory: Path, pids: Iterable[int]) -> None:
    """Add up what processes that are gone have counted, and remove their files. Waits for the disk only.

    May be ended at any time, and called again; several processes take their turn. Raises OSError when the
    directory cannot be written, a file not be read, or another process does not come to an end: then all that
    was counted is there as it was.
    """
    gone = tuple(pids)
    for pid in gone:
        for gauges in directory.glob(f"gauge_live*_{pid}.db"):
            gauges.unlink(missing_ok=True)
    with _turn(directory):
        for kind in KINDS:
            _absorb_kind(directory, kind, [f"{kind}_{pid}.db" for pid in gone])


def count(directory: Path, kind: str, key: bytes) -> None:
    """Count one more of `key`, as prometheus_client writes it, for who has no file. Raises OSError."""
    with _turn(directory):
        path = directory / f"{kind}_merged.db"
        sums, held = _read_merged(path)
        sums[key] = sums.get(key, 0.0) + 1
        _write(path, sums, held)


@contextmanager
def _turn(directory: Path) -> Iterator[None]:
    with (directory / _LOCK).open("wb") as lock:
        _take_turn(lock.fileno())
        yield


def _take_turn(lock: int) -> None:
    """Wait for who merges, but not for one that was stopped in the middle."""
    for _ in range(_TRIES):
        with suppress(BlockingIOError):
            return fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        sleep(_TRY_AGAIN_AFTER_S)
    raise BlockingIOError("another process has been adding up for too long")


def running(directory: Path) -> int:
    """How many workers there are that have not ended, retired ones included. Raises OSError."""
    return sum(path.name.startswith(_OF_EACH_WORKER) for path in directory.iterdir())


def clear(directory: Path) -> None:
    """Remove all files of workers that none of those who come knows."""
    for pattern in ("*.db", "*.db.new", _LOCK, COUNTED_TRANSITIONS):
        for left_over in directory.glob(pattern):
            left_over.unlink(missing_ok=True)


_MERGED: Final = tuple(f"{kind}_merged.db" for kind in KINDS)


def _absorb_kind(directory: Path, kind: str, names: list[str]) -> None:
    path = directory / f"{kind}_merged.db"
    sums, held = _read_merged(path)
    if held:
        # Who merged before us did not come to an end.
        _remove(directory, held)
        _write(path, sums, ())
    present = [name for name in names if (directory / name).exists()]
    if not present:
        return
    for name in present:
        with suppress(FileNotFoundError, Broken), (directory / name).open("rb") as file:
            for key, value in entries_of(_contents(file.fileno())):
                sums[key] = sums.get(key, 0.0) + value
    _write(path, sums, present)
    _remove(directory, present)
    # A later process may have the number of one that is gone: its file must count.
    _write(path, sums, ())


def _read_merged(path: Path) -> tuple[dict[bytes, float], list[str]]:
    sums: dict[bytes, float] = {}
    held: list[str] = []
    # What is there and cannot be read must not be written anew.
    with suppress(FileNotFoundError, Broken):
        for key, value in entries_of(path.read_bytes()):
            if key.startswith(_HOLDS):
                held.append(key.removeprefix(_HOLDS).decode())
            else:
                sums[key] = value
    return sums, held


def _write(path: Path, sums: dict[bytes, float], held: Iterable[str]) -> None:
    """Put a file in place of another, in one step."""
    parts = [_entry(_HOLDS + name.encode(), 1.0) for name in held]
    parts += [_entry(key, value) for key, value in sums.items()]
    body = b"".join(parts)
    new = path.with_name(f"{path.name}.new")
    try:
        new.write_bytes(_INTEGER.pack(_HEAD_BYTES + len(body)) + b"\0" * _INTEGER.size + body)
        new.replace(path)
    except OSError:
        new.unlink(missing_ok=True)
        raise


def _entry(key: bytes, value: float) -> bytes:
    padding = b" " * (8 - (len(key) + 4) % 8)
    return b"".join((_INTEGER.pack(len(key)), key, padding, _TWO_DOUBLES.pack(value, 0.0)))


def _remove(directory: Path, names: Iterable[str]) -> None:
    for name in names:
        (directory / name).unlink(missing_ok=True)


@contextmanager
def _opened(directory: Path) -> Iterator[dict[str, int]]:
    """All files of the directory, open: what is removed from now on can be read all the same.

    The merged files are opened first. If they are others afterwards, there was a merger meanwhile.
    """
    for _ in range(_LOOKS):
        files: dict[str, int] = {}
        try:
            for name in (*_MERGED, *_names(directory)):
                if name not in files:
                    with suppress(FileNotFoundError):
                        files[name] = os.open(directory / name, os.O_RDONLY | os.O_CLOEXEC)
            if all(_is_same(directory / name, files.get(name)) for name in _MERGED):
                yield files
                return
        finally:
            for file in files.values():
                os.close(file)
    raise OSError(f"{directory} did not stay as it was for long enough to be read")


def _names(directory: Path) -> list[str]:
    return [path.name for path in directory.iterdir() if path.suffix == ".db"]


def _is_same(path: Path, file: int | None) -> bool:
    try:
        now = path.stat()
    except FileNotFoundError:
        return file is None
    return file is not None and os.path.samestat(now, os.fstat(file))


def _contents(file: int) -> bytes:
    """The part of a file that is used; less if it is broken."""
    used = _used_of(os.pread(file, _HEAD_BYTES, 0))
    return os.pread(file, min(used, os.fstat(file).st_size), 0)


def _used_of(data: bytes) -> int:
    return max(_INTEGER.unpack_from(data)[0], 0) if len(data) >= _HEAD_BYTES else 0


def _held_by(data: bytes) -> Iterator[str]:
    with suppress(Broken):
        for key, _ in entries_of(data):
            if not key.startswith(_HOLDS):
                return
            yield key.removeprefix(_HOLDS).decode()
