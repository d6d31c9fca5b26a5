"""Header fields as lines of a head, each spelling understood once.

Lines are forwarded as they came; what rooms decide by is the lower-case name beside each.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Any, Final

_MAX_KNOWN_LINES: Final = 4_096
_MAX_KNOWN_LINE_BYTES: Final = 256
_SECRET_NAMES: Final = frozenset(
    (b"authorization", b"cookie", b"set-cookie", b"proxy-authorization", b"x-api-key")
)

HOP_BY_HOP: Final = frozenset(
    (
        b"connection",
        b"keep-alive",
        b"proxy-connection",
        b"te",
        b"trailer",
        b"transfer-encoding",
        b"upgrade",
        b"proxy-authenticate",
        b"proxy-authorization",
    )
)
"""Fields that end at this hop (RFC 9110, 7.6.1); those named in `Connection` come on top."""


class Field:
    """One header field: its line without the line break, and the parts of it.

    `name` is in lower case, `value` without white space around it. `key` is the name as WSGI has
    it, `text` the value as text; `key` is empty for a name with an underscore.
    """

    __slots__ = ("key", "line", "name", "text", "value")

    def __init__(self, line: bytes) -> None:
        name, _, value = line.partition(b":")
        self.line = line
        self.name = name.lower()
        self.value = value.strip(b" \t")
        self.text = self.value.decode("latin-1")
        self.key = _wsgi_key(self.name)


def _wsgi_key(name: bytes) -> str:
    # SECURITY: X_Forwarded_For and X-Forwarded-For are one key in WSGI and in many services.
    if b"_" in name:
        return ""
    key = name.decode("latin-1").upper().replace("-", "_")
    return key if key in ("CONTENT_TYPE", "CONTENT_LENGTH") else f"HTTP_{key}"


# PERF: another line with every request, behind platforms and in traces. Nothing in it could be read in two
# ways, so that it needs no judge; for its sake all other lines would be judged anew.
_ONCE: Final = re.compile(rb"(?:[Tt]raceparent|[Xx]-[Rr]equest-[Ii][Dd]): [0-9A-Za-z+/=-]{20,200}")

# PERF: callers and services repeat their lines; finding one costs a tenth of taking it apart.
# Bounded in number and length, and emptied when full, as anybody can make up lines.
_known: dict[bytes, Field] = {}


def known_fields(head: bytes) -> list[Field] | None:
    """The fields of a head whose every line was in an accepted head before; None if one was not.

    A line is accepted or refused for itself, whatever stands around it; what two lines together
    may not say (two lengths, a length and a coding) has to be looked at by whoever asks.
    """
    known = _known
    lines = head.split(b"\r\n")[1:-2]
    try:
        return [known[line] for line in lines]
    except KeyError:
        pass
    fields = []
    for line in lines:
        field = known.get(line)
        if field is None:
            if not _ONCE.fullmatch(line):
                return None
            field = Field(line)
        fields.append(field)
    return fields


def fields_of(head: bytes) -> list[Field]:
    """The fields of a head that llhttp has accepted, in their order."""
    return [_known.get(line) or _learn(line) for line in head.split(b"\r\n")[1:-2]]


def block_of_environ(environ: dict[str, Any]) -> FieldBlock:
    """The same where the server only gives WSGI's view of them: one of a name, in title case."""
    fields = []
    for key, value in environ.items():
        name = key.removeprefix("HTTP_")
        if name is not key or (key in ("CONTENT_TYPE", "CONTENT_LENGTH") and value):
            title = name.replace("_", "-").title()
            fields.append(Field(f"{title}: {value}".encode("latin-1")))
    return FieldBlock(b"", fields, environ)


def _learn(line: bytes) -> Field:
    field = Field(line)
    # Secrets are not kept longer than their request, and codings that nobody here reads must be
    # judged each time, whichever side said them first.
    is_strange = field.name == b"transfer-encoding" and field.value.lower() != b"chunked"
    is_kept = field.name not in _SECRET_NAMES and not is_strange and not _ONCE.fullmatch(line)
    if is_kept and len(line) <= _MAX_KNOWN_LINE_BYTES:
        if len(_known) >= _MAX_KNOWN_LINES:
            _known.clear()
        _known[line] = field
    return field


_FRAMING_KEYS: Final = frozenset(("CONTENT_LENGTH", "HTTP_TRANSFER_ENCODING", "HTTP_CONNECTION"))


class FieldBlock:
    """All fields of one request's head, as they came, and what was made of them so far.

    PERF: a caller sends the same block again and again on one connection, so what follows from
    it alone is kept with it: `environ` for WSGI, what was last `forwarded` to a service
    (`forwarded_for` says under which rules), and whether there is a word about framing in it.
    """

    __slots__ = ("data", "environ", "fields", "forwarded", "forwarded_for", "has_framing")

    def __init__(self, data: bytes, fields: list[Field], environ: dict[str, Any]) -> None:
        self.data = data
        self.fields = fields
        self.environ = environ
        self.forwarded = b""
        self.forwarded_for: object = None
        self.has_framing = not _FRAMING_KEYS.isdisjoint(environ)


class Start:
    """How an answer begins: what stands in its head but for the framing.

    `status` is the code and the reason, `block` all header lines with a line break behind each.
    """

    __slots__ = ("block", "has_date", "has_length", "status")

    def __init__(self, status: str, block: bytes, *, has_length: bool, has_date: bool) -> None:
        self.status = status
        self.block = block
        self.has_length = has_length
        self.has_date = has_date


def lines_of(headers: list[tuple[str, str]]) -> list[bytes]:
    """WSGI's headers as lines. Raises ValueError for characters that have no place in a head."""
    text = "\r\n".join([f"{name}: {value}" for name, value in headers])
    breaks = max(len(headers) - 1, 0)
    # SECURITY: a line break inside a value would begin a field, or an answer, of somebody else's.
    if text.count("\n") != breaks or text.count("\r") != breaks or "\0" in text:
        raise ValueError("a response header holds a control character")
    return text.encode("latin-1").split(b"\r\n") if text else []


@lru_cache(maxsize=256)
def connection_tokens(value: bytes) -> frozenset[bytes]:
    """The lower-cased names in a `Connection` field."""
    return frozenset(token.strip().lower() for token in value.split(b",")) - {b""}
