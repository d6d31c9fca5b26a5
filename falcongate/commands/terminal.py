"""What is read from a command line and written to a terminal, the same for all commands."""

from __future__ import annotations

from argparse import ArgumentTypeError
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from falcongate.config.values import seconds_of

if TYPE_CHECKING:
    from argparse import ArgumentParser, Namespace
    from collections.abc import Callable, Sequence


def add_actions(
    command: ArgumentParser, *options: ArgumentParser
) -> Callable[[str, Callable[[Namespace], int], str], ArgumentParser]:
    """What adds to a command what can be done by it: a word, what runs, and its purpose."""
    actions = command.add_subparsers(required=True, metavar="ACTION")

    def add(name: str, run: Callable[[Namespace], int], purpose: str) -> ArgumentParser:
        made = actions.add_parser(name, help=purpose, description=purpose, parents=options)
        made.set_defaults(run=run)
        return made

    return add


def number(text: str, least: int = 1, most: int = 256) -> int:
    """An argument that is a whole number between these. Raises ArgumentTypeError."""
    if not text.isascii() or not text.isdigit() or not least <= int(text) <= most:
        raise ArgumentTypeError(f"must be a number from {least} to {most}, not {text!r}")
    return int(text)


def length(text: str, *, most_days: int = 30) -> float:
    """The seconds of an argument like 15m. Raises ArgumentTypeError."""
    try:
        return seconds_of(text, most_days=most_days)
    except ValueError as error:
        raise ArgumentTypeError(str(error)) from None


def moment(unix_s: float) -> str:
    """Local time to the second; `-` for never."""
    return datetime.fromtimestamp(unix_s, UTC).astimezone().isoformat(timespec="seconds") if unix_s else "-"


def shown(text: str) -> str:
    """A text without what would move a terminal's cursor, in any alphabet.

    SECURITY: reasons, names and paths are anybody's text, and a terminal obeys escape sequences.
    """
    return "".join(sign if sign.isprintable() else ascii(sign)[1:-1] for sign in text)


def aligned(rows: Sequence[Sequence[str]]) -> str:
    """Rows as lines, column under column; whatever stands in them is shown and not obeyed."""
    safe = [[shown(text) for text in row] for row in rows]
    widths = [max(map(len, column)) for column in zip(*safe, strict=True)]
    padded = ("  ".join(map(str.ljust, row, widths)).rstrip() for row in safe)
    return "\n".join(padded)
