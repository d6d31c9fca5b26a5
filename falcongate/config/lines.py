"""On which line of a file a key stands. Asked only when there is a mistake to show.

`tomllib` forgets lines, so the keys are found a second time here, in text that it has already
accepted. Values are not read, and keys within an inline table belong to the line of the table.
"""

from __future__ import annotations

import re
import tomllib
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

_TEXT: Final = (
    r'"""(?:\\.|[^\\])*?"{3,5}|'
    r"'''.*?'{3,5}|"
    r'"(?:\\.|[^"\\\n])*"|'
    r"'[^'\n]*'"
)
_TOKEN: Final = re.compile(rf"(?:{_TEXT})|#[^\n]*|[\[\]{{}}\n]", re.DOTALL)
_NAME: Final = r"""(?:[A-Za-z0-9_-]+|"(?:\\.|[^"\\\n])*"|'[^'\n]*')"""
_KEY: Final = rf"{_NAME}(?:[ \t]*\.[ \t]*{_NAME})*"
_STATEMENT: Final = re.compile(rf"[ \t]*(?:(?P<bracket>\[\[?)[ \t]*)?(?P<key>{_KEY})")


def line_of(text: str, location: Sequence[str | int]) -> int | None:
    """The line, from 1, of the key at `location`, else of the nearest table around it.

    None if not even the outermost stands in `text`.
    """
    lines = _lines(text)
    for length in range(len(location), 0, -1):
        line = lines.get(tuple(location[:length]))
        if line is not None:
            return line
    return None


def _lines(text: str) -> dict[tuple[str | int, ...], int]:
    lines: dict[tuple[str | int, ...], int] = {}
    table: tuple[str, ...] = ()
    for line, statement in _statements(text):
        found = _STATEMENT.match(statement)
        if found is None:
            continue  # empty, or a comment
        key = _names(found["key"])
        if found["bracket"]:
            table, key = key, ()
        for length in range(1, len(table + key) + 1):
            lines.setdefault((table + key)[:length], line)
        if not key:
            # [a.b] may have come before [a], which is where mistakes in a belong.
            lines[table] = line
    return lines


def _statements(text: str) -> Iterator[tuple[int, str]]:
    """Each statement with the line it begins on: what ends with a line that closes all its brackets."""
    depth, start, line, begin = 0, 0, 1, 1
    for token in _TOKEN.finditer(text):
        if token[0] in ("[", "{"):
            depth += 1
        elif token[0] in ("]", "}"):
            depth -= 1
        line += token[0].count("\n")
        if token[0] == "\n" and depth == 0:
            yield begin, text[start : token.start()]
            start, begin = token.end(), line
    yield begin, text[start:]


def _names(key: str) -> tuple[str, ...]:
    """The parts of a dotted key, by the parser that knows how to unquote them."""
    names, table = [], tomllib.loads(f"{key} = 0")
    while isinstance(table, dict):
        ((name, table),) = table.items()
        names.append(name)
    return tuple(names)
