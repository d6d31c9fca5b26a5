"""The head of a service's answer: one meaning, or the service spoke nonsense.

Pure: bytes in, values out. Services are not trusted to speak HTTP: what would let one answer
reach into the next, or into a field of ours, is refused here (RFC 9112, 6.3).
"""

from __future__ import annotations

import re
from types import SimpleNamespace
from typing import Final

from httptools import HttpParserError, HttpParserUpgrade, HttpResponseParser

from falcongate.wire.fields import HOP_BY_HOP, Field, connection_tokens, fields_of, known_fields
from falcongate.wire.framing import FramingError, parse_content_length

MAX_ANSWER_HEAD_BYTES: Final = 65_536
MAX_ANSWER_FIELDS: Final = 256
_MAX_KEPT_BYTES: Final = 2_048
_STATUS_LINE: Final = re.compile(rb"HTTP/1\.([01]) ([1-5][0-9][0-9])(?: ([\t\x20-\x7e\x80-\xff]*))?\r\n")
_LENGTH, _CODING, _CONNECTION, _DROP = range(4)
_KINDS: Final = dict.fromkeys(HOP_BY_HOP, _DROP) | {
    b"content-length": _LENGTH,
    b"transfer-encoding": _CODING,
    b"connection": _CONNECTION,
}
_ORDINARY_TOKENS: Final = frozenset((b"close", b"keep-alive", b"upgrade"))


# What httptools asks a protocol for; absent attributes would cost it an exception each.
_CALLBACKS: Final = (
    "on_status", "on_header", "on_headers_complete", "on_body",
    "on_message_begin", "on_message_complete", "on_chunk_header", "on_chunk_complete",
)  # fmt: skip
_NO_CALLBACKS: Final = SimpleNamespace(**dict.fromkeys(_CALLBACKS))


class ServiceNonsense(ValueError):
    """The head has no meaning, or more than one."""


class AnswerHead:
    """What the head says. `fields` are those for the caller, in their order.

    `length` is in bytes, None without a Content-Length. `may_stay` says whether the connection
    can carry another request after the body. `upgrade` is the protocol that it changes to.

    PERF: services say the same again and again, so a head may be that of several answers in turn: `data` is
    what it was read from, b"" if it is not to be kept, and `begun` what was made of it for callers.
    """

    __slots__ = ("begun", "data", "fields", "is_chunked", "length", "may_stay", "reason", "status", "upgrade")

    def __init__(self, status: int, reason: bytes, *, is_http11: bool) -> None:
        self.status = status
        self.reason = reason.decode("latin-1")
        self.may_stay = is_http11
        self.fields: list[Field] = []
        self.length: int | None = None
        self.is_chunked = False
        self.upgrade = b""
        self.data = b""
        self.begun: object = None

    def agrees_to_websocket(self, accept: bytes) -> bool:
        """Whether a 101 is the whole agreement to a handshake that asked for this `accept`."""
        accepts = [field.value for field in self.fields if field.name == b"sec-websocket-accept"]
        is_agreed = self.upgrade == b"websocket" and accepts == [accept]
        return is_agreed and not self.length and not self.is_chunked


def parse_answer(data: bytes, previous: AnswerHead | None = None) -> AnswerHead:
    """Read a whole head, from the status line to the empty line. Raises ServiceNonsense.

    `previous` is the head before on this connection, which is the answer if nothing has changed.
    """
    if previous is not None and previous.data == data:
        return previous
    line = _STATUS_LINE.match(data)
    if line is None:
        raise ServiceNonsense("no status line of HTTP/1")
    fields = known_fields(data)
    is_known = fields is not None
    if fields is None:
        _judge(data)
        fields = fields_of(data)
    if len(fields) > MAX_ANSWER_FIELDS:
        raise ServiceNonsense("too many fields")
    head = AnswerHead(int(line[2]), line[3] or b"", is_http11=line[1] == b"1")
    # SECURITY: known lines are no secrets, and those of others are not kept longer than their request.
    if is_known and len(data) <= _MAX_KEPT_BYTES:
        head.data = data
    try:
        _sort(head, fields)
    except FramingError as error:
        raise ServiceNonsense(str(error)) from None
    if head.status == 101:
        head.upgrade = _upgrade_in(fields)
    if head.is_chunked and (head.length is not None or line[1] == b"0"):
        raise ServiceNonsense("Transfer-Encoding with Content-Length, or in HTTP/1.0")
    return head


def _judge(data: bytes) -> None:
    """Have llhttp accept or refuse a head. It judges; taking apart is cheaper in one go."""
    parser = HttpResponseParser(_NO_CALLBACKS)
    try:
        parser.feed_data(data)
    except HttpParserUpgrade:
        pass
    except HttpParserError as error:
        raise ServiceNonsense(str(error)) from None


def _sort(head: AnswerHead, fields: list[Field]) -> None:
    """Tell framing and hop-by-hop fields from those that are for the caller."""
    nominated: frozenset[bytes] = frozenset()
    for field in fields:
        kind = _KINDS.get(field.name)
        if kind is None:
            head.fields.append(field)
        elif kind == _LENGTH:
            if head.length is not None:
                raise FramingError("two Content-Length fields")
            head.length = parse_content_length(field.value)
            head.fields.append(field)
        elif kind == _CODING:
            if head.is_chunked or field.value.lower() != b"chunked":
                raise FramingError("a transfer coding other than chunked")
            head.is_chunked = True
        elif kind == _CONNECTION:
            nominated |= connection_tokens(field.value)
    if nominated:
        _obey_connection(head, nominated)


def _upgrade_in(fields: list[Field]) -> bytes:
    """The protocol that `Upgrade` names, if `Connection` says that it is meant (RFC 9110, 7.8)."""
    tokens = [
        token for field in fields if field.name == b"connection" for token in connection_tokens(field.value)
    ]
    named = [field.value.lower() for field in fields if field.name == b"upgrade"]
    return named[0] if b"upgrade" in tokens and len(named) == 1 else b""


def _obey_connection(head: AnswerHead, nominated: frozenset[bytes]) -> None:
    # RFC 9112, 9.3: HTTP/1.1 stays unless told to close, HTTP/1.0 closes unless told to stay.
    head.may_stay = b"close" not in nominated and (head.may_stay or b"keep-alive" in nominated)
    if not nominated <= _ORDINARY_TOKENS:
        head.fields = [field for field in head.fields if field.name not in nominated]
