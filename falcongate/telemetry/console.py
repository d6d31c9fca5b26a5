"""The line of a request as it is read on a terminal.

SECURITY: callers choose most of what stands in it, and a terminal obeys escape sequences. All that others
have chosen is told in printable ASCII.
"""

from __future__ import annotations

from functools import lru_cache
from time import localtime, strftime
from typing import TYPE_CHECKING, Final

from falcongate.telemetry.milliseconds import milliseconds

if TYPE_CHECKING:
    from falcongate.telemetry.record import Record

_COLOURS: Final = {2: "\x1b[32m", 3: "\x1b[36m", 4: "\x1b[33m", 5: "\x1b[31m"}
_DIM: Final = "\x1b[2m"
_PLAIN: Final = "\x1b[0m"


class ConsoleLines:
    """Makes the lines; with `has_colours` the status tells its class from afar."""

    def __init__(self, *, has_colours: bool) -> None:
        self._colours = _COLOURS if has_colours else {}
        self._dim, self._plain = (_DIM, _PLAIN) if has_colours else ("", "")

    def render(self, record: Record) -> str:
        """The line of one request, in local time, with its line break."""
        second = int(record.ended)
        colour = self._colours.get(record.status // 100, "")
        status = f"{colour}{record.status or '-'}{self._plain if colour else ''}"
        words = [
            f"{_moment(second)}.{int((record.ended - second) * 1000):03d}",
            status,
            printable(record.method),
            printable(record.path),
        ]
        if record.service:
            words += ["->", record.service]
        if record.tried:
            words.append(printable(record.tried[-1].target))
        if len(record.tried) > 1:
            words.append(f"({len(record.tried)} attempts)")
        words += _went_wrong(record)
        words += [f"{milliseconds(record.duration_s)} ms", f"{record.sent_bytes} bytes"]
        words.append(printable(record.caller) or "unix")
        if record.identity:
            words.append(printable(record.identity))
        ids = f"{record.request_id} {record.trace_id}" if record.trace_id else record.request_id
        return f"{' '.join(words)} {self._dim}{ids}{self._plain}\n"

    def render_dropped(self, count: int) -> str:
        """The line that says how many are missing."""
        return f"{self._dim}-- {count} lines dropped: nobody read them fast enough{self._plain}\n"


def printable(text: str) -> str:
    """A text without anything that a terminal could obey or show as something else."""
    if text.isascii() and text.isprintable() and "\\" not in text:
        return text
    return text.encode("unicode_escape").decode("ascii")


def _went_wrong(record: Record) -> list[str]:
    words = []
    if record.problem:
        by = f" by {', '.join(record.refused_by)}" if record.refused_by else ""
        words.append(f"{record.problem}{by}")
    if record.reason:
        words.append(f"({printable(record.reason)})")
    if record.would_refuse:
        words.append(f"(would be refused by {', '.join(record.would_refuse)})")
    return words


@lru_cache(maxsize=4)
def _moment(second: int) -> str:
    return strftime("%H:%M:%S", localtime(second))
