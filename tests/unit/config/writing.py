"""Data written as TOML, with noise that looks like settings but is none."""

from __future__ import annotations

import json
from datetime import date, datetime, time
from typing import Any

from hypothesis import strategies as st

NOISE = [
    "",
    "# timeout_s = 1",
    "#[table]",
    '   # a = """',
]
LONG_VALUES = [
    '"""\n[table]\nkey = 1\n\\"\\"\\" = 2\n"""',
    "'''\n[table]\nkey = '' 1\n'''''",
    '[\n  "]",\n  # ]\n  [1, 2],\n  {key = 1},\n]',
    '{key = "}", inner = {key = [1]}}',
    '"""a"""" # " [',
    "'''a'''' # ' [",
    "'[table]'",
    '"a \\" = [" # key = 1',
    "1979-05-27 07:32:00",
]

keys = st.one_of(st.sampled_from(["a", "key", "table", "a.b", "timeout_s"]), st.text(max_size=4))
scalars = st.one_of(
    st.text(max_size=8), st.integers(-(2**63), 2**63 - 1), st.floats(), st.booleans(),
    st.datetimes(), st.dates(), st.times(),
)  # fmt: skip


def values(texts: st.SearchStrategy[Any] = scalars) -> st.SearchStrategy[Any]:
    """Whatever TOML can hold, with these among the values."""
    return st.recursive(
        st.one_of(scalars, texts),
        lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(keys, inner, max_size=3)),
        max_leaves=6,
    )


def text_of(value: object) -> str:
    """A value on one line."""
    if isinstance(value, dict):
        return "{" + ", ".join(f"{text_of(name)} = {text_of(item)}" for name, item in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(text_of, value)) + "]"
    if isinstance(value, datetime | date | time):
        return value.isoformat()
    if isinstance(value, str):
        return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
    return str(value).lower()  # true, nan, 1e+16


class Writer:
    """A file in the making, and on which line each key was put."""

    def __init__(self) -> None:
        self.lines: list[str] = []
        self.line_of: dict[tuple[str, ...], int] = {}

    def put(self, text: str, *located: tuple[str, ...]) -> None:
        """Add lines; the first of them is where these locations are."""
        for location in located:
            self.line_of[location] = len(self.lines) + 1
        self.lines += text.split("\n")

    @property
    def text(self) -> str:
        """The file."""
        return "\n".join(self.lines)


@st.composite
def files(draw: st.DrawFn) -> Writer:
    """Files of tables and keys, in all the ways to write them."""
    writer = Writer()
    tables = draw(st.lists(st.lists(keys, min_size=1, max_size=3).map(tuple), unique=True, max_size=4))
    _put_keys(draw, writer, (), {table[0] for table in tables})
    for table in tables:
        header = draw(st.sampled_from([".", " . "])).join(map(text_of, table))
        writer.put(draw(st.sampled_from(NOISE)))
        writer.put(draw(st.sampled_from([f"[{header}]", f"  [ {header} ] # [a]"])), table)
        _put_keys(draw, writer, table, {other[len(table)] for other in tables if len(other) > len(table)})
    return writer


def _put_keys(draw: st.DrawFn, writer: Writer, table: tuple[str, ...], taken: set[str]) -> None:
    for key in draw(st.lists(keys.filter(lambda key: key not in taken), unique=True, max_size=3)):
        value = draw(st.one_of(st.sampled_from(LONG_VALUES), values().map(text_of)))
        writer.put(draw(st.sampled_from(NOISE)))
        if draw(st.booleans()):
            writer.put(f"{text_of(key)} . inner = {value}", (*table, key), (*table, key, "inner"))
        else:
            writer.put(f"{text_of(key)} = {value}", (*table, key))
