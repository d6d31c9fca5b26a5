"""The head of an answer: status, fields and framing as bytes. Pure but for the date."""

from __future__ import annotations

from typing import Final
from wsgiref.handlers import format_date_time

from gevent import get_hub

from falcongate.wire.fields import Start, lines_of

_BODILESS: Final = ("204", "304")


class AnswerHead:
    """A rendered head and what follows from it."""

    __slots__ = ("data", "is_chunked", "keep_alive")

    def __init__(self, data: bytes, *, is_chunked: bool, keep_alive: bool) -> None:
        self.data = data
        self.is_chunked = is_chunked
        self.keep_alive = keep_alive


class _HttpDate:
    """The `Date` field, made once a second."""

    __slots__ = ("_second", "_text")

    def __init__(self) -> None:
        self._second = 0
        self._text = ""

    def text(self) -> str:
        # PERF: the event loop has read the clock already (RFC 9110, 5.6.7 for the form).
        second = int(get_hub().loop.now())
        if second != self._second:
            self._second = second
            self._text = format_date_time(second)
        return self._text


_date = _HttpDate()


def start_of(status: str, headers: list[tuple[str, str]]) -> Start:
    """The same from WSGI's own form. Raises ValueError for control characters."""
    names = {name.lower() for name, _ in headers}
    return Start(
        status,
        b"".join([line + b"\r\n" for line in lines_of(headers)]),
        has_length="content-length" in names,
        has_date="date" in names,
    )


def render_head(start: Start, *, method: str, is_http11: bool, keep_alive: bool) -> AnswerHead:
    """The head of the answer to a request of `method`, ready to be sent.

    A body of unknown length is sent in chunks to HTTP/1.1 callers and ends with the connection
    for others.
    """
    ending = "" if start.has_date else f"Date: {_date.text()}\r\n"
    is_chunked = False
    if start.status.startswith("101"):
        data = b"".join((f"HTTP/1.1 {start.status}\r\n".encode("latin-1"), start.block, b"\r\n"))
        return AnswerHead(data, is_chunked=False, keep_alive=False)
    if not start.has_length and method != "HEAD" and not start.status.startswith(_BODILESS):
        is_chunked = is_http11
        keep_alive = keep_alive and is_chunked
    if is_chunked:
        ending += "Transfer-Encoding: chunked\r\n"
    if not keep_alive:
        ending += "Connection: close\r\n"
    elif not is_http11:
        ending += "Connection: keep-alive\r\n"
    first = f"HTTP/1.1 {start.status}\r\n"
    data = b"".join((first.encode("latin-1"), start.block, ending.encode(), b"\r\n"))
    return AnswerHead(data, is_chunked=is_chunked, keep_alive=keep_alive)


def render_early_hints(headers: list[tuple[str, str]]) -> bytes:
    """A 103 (RFC 8297)."""
    return b"\r\n".join((b"HTTP/1.1 103 Early Hints", *lines_of(headers), b"\r\n"))
