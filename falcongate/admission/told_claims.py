"""Header lines that tell services the claims of a token that was proven."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final
from urllib.parse import quote

if TYPE_CHECKING:
    from collections.abc import Mapping

# Printable ASCII but for the percent sign, which must not be taken for one of ours.
_PLAIN: Final = "".join(map(chr, range(0x20, 0x7F))).replace("%", "")
_PLAIN_IN_LIST: Final = _PLAIN.replace(",", "")


def told_lines(headers: Mapping[str, str], claims: Mapping[str, object]) -> bytes:
    """The lines with their line breaks; `headers` names the claim that each header tells.

    SECURITY: whoever has chosen a user's name has not chosen headers: all but printable ASCII is
    percent-encoded, and the comma too where it parts a list. Objects are not told.
    """
    lines = []
    for header, claim in headers.items():
        value = claims.get(claim)
        if isinstance(value, list):
            text = ",".join(_text(one, _PLAIN_IN_LIST) for one in value if _is_plain(one))
        elif _is_plain(value):
            text = _text(value, _PLAIN)
        else:
            continue
        lines.append(f"{header}: {text}\r\n")
    return "".join(lines).encode("ascii")


def _is_plain(value: object) -> bool:
    return isinstance(value, str | int | float)


def _text(value: object, safe: str) -> str:
    text = str(value).lower() if isinstance(value, bool) else str(value)
    inner = text.strip(" ")
    # A reader takes spaces around a value for nothing.
    before = len(text) - len(text.lstrip(" ")) if inner else len(text)
    after = len(text) - len(inner) - before
    return "%20" * before + quote(inner, safe=safe) + "%20" * after
