"""What a gateway's master says of itself to the commands on its host: which it is, and how a reload goes.

One small file for each master, in a directory that only its user can write to. A file whose process is gone,
or whose number another process has by now, says nothing.
"""

from __future__ import annotations

import json
import os
import stat
import tempfile
from contextlib import suppress
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Final, Literal

if TYPE_CHECKING:
    from collections.abc import Iterator

_PREFIX: Final = "falcongate-run-"
_MAX_BYTES: Final = 1_000_000
_MAX_ENDS: Final = 8

End = Literal["done", "refused", "failed", "superseded"]


@dataclass(frozen=True, slots=True)
class Notice:
    """What a master says: where it listens, the version of its configuration, how its last reloads went.

    `reloads` counts those that were asked for; of `wanted` workers `new` run what the last brings that was
    taken up. `ends` has by their number how the last few ended, and why, for people.
    """

    pid: int
    listens: str
    configuration: str
    reloads: int = 0
    new: int = 0
    wanted: int = 0
    ends: dict[str, tuple[End, str]] = field(default_factory=dict)

    def ended(self, number: int, end: End, report: str = "") -> Notice:
        """The same, and that this reload has ended so."""
        ends = [*self.ends.items(), (str(number), (end, report))]
        return replace(self, ends=dict(ends[-_MAX_ENDS:]))

    def end_of(self, number: int) -> tuple[str, str] | None:
        """How this reload ended, and why; None while it goes on."""
        said = self.ends.get(str(number))
        return (str(said[0]), str(said[1])) if said else None


def write(notice: Notice) -> None:
    """Say it, in place of what was said before. Raises OSError."""
    directory = Path(tempfile.gettempdir()) / f"{_PREFIX}{os.geteuid()}"
    directory.mkdir(mode=0o700, exist_ok=True)
    if not _is_owned(directory, os.geteuid()):
        # SECURITY: who could write there could have any process of ours told to reload.
        raise PermissionError(0, "belongs to somebody else, or others may write there", str(directory))
    _forget_the_gone(directory)
    text = json.dumps(asdict(notice) | {"began": _began(notice.pid)})
    new = directory / f".{notice.pid}.new"
    new.write_text(text, "utf-8")
    new.replace(directory / f"{notice.pid}.json")


def withdraw(pid: int) -> None:
    """Say nothing any more. Harmless if nothing was said."""
    with suppress(OSError):
        (Path(tempfile.gettempdir()) / f"{_PREFIX}{os.geteuid()}" / f"{pid}.json").unlink(missing_ok=True)


def read(pid: int) -> Notice | None:
    """What this master says; None if it does not run, or we may not signal it."""
    return next((each for each in read_all() if each.pid == pid), None)


def read_all() -> Iterator[Notice]:
    """What the masters say that run here and that we may signal."""
    for directory in sorted(Path(tempfile.gettempdir()).glob(f"{_PREFIX}*")):
        for path in sorted(directory.glob("[0-9]*.json")):
            if notice := _read(path):
                yield notice


def _read(path: Path) -> Notice | None:
    """None if it is of no process that runs, or of one that is not its owner's."""
    try:
        owner = path.parent.lstat().st_uid
        if os.geteuid() not in (owner, 0) or not _is_owned(path.parent, owner):
            return None
        said = json.loads(_contents(path))
        began = said.pop("began")
        notice = Notice(**said)
        is_it = _began(notice.pid) == began and Path(f"/proc/{notice.pid}").stat().st_uid == owner
    except (OSError, ValueError, TypeError, KeyError, AttributeError, RecursionError):
        return None
    return notice if is_it else None


def _contents(path: Path) -> bytes:
    # SECURITY: root reads what others have put there; a link or a pipe would lead or hold it.
    file = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        return os.read(file, _MAX_BYTES) if stat.S_ISREG(os.fstat(file).st_mode) else b""
    finally:
        os.close(file)


def _is_owned(directory: Path, owner: int) -> bool:
    found = directory.lstat()
    others = stat.S_IWGRP | stat.S_IWOTH
    return stat.S_ISDIR(found.st_mode) and found.st_uid == owner and not found.st_mode & others


def _forget_the_gone(directory: Path) -> None:
    """Whoever was killed could not take back what it had said."""
    for path in directory.glob("[0-9]*.json"):
        if not Path(f"/proc/{path.stem}").exists():
            path.unlink(missing_ok=True)


def _began(pid: int) -> str:
    """When a process began, as the kernel counts: two of the same number differ in it (proc(5))."""
    return Path(f"/proc/{pid}/stat").read_text("ascii").rpartition(")")[2].split()[19]
