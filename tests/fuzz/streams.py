"""What is sent on one connection: sound messages, and what becomes of them when bytes are changed."""

from __future__ import annotations

from tests.fuzz.choices import Choices

TOKENS = [
    b"\r\n", b"\n", b"\r", b"\0", b" ", b"\t", b":", b",", b";", b"+", b"-", b"_", b"0x", b"0", b"\x0b",
    b"\x0c",
    b"\x7f", b"\x85", b"\xa0", b"\xff", b"\r\n ", b"\r\n\t", b"\r\n\r\n", b"\n\n", b"\r\r\n", b'"', b'\\"',
    b"%0d%0a",
    b"0\r\n\r\n", b"5\r\nhello\r\n", b"5;a=b\r\nhello\r\n", b"0\r\nX: 1\r\n\r\n", b"ffffffffffffffff\r\n",
    b"Content-Length: 5\r\n", b"Content-Length: 0\r\n", b"Content-Length: 05\r\n",
    b"Content-Length: 5, 5\r\n",
    b"content-length:5\r\n", b"Content-Length : 5\r\n", b"Content_Length: 7\r\n",
    b"Transfer-Encoding: chunked\r\n", b"transfer-encoding:\tChunked\r\n", b"Transfer-Encoding: identity\r\n",
    b"Transfer-Encoding:\x0bchunked\r\n", b"Transfer-Encoding: chunked, chunked\r\n",
    b"Transfer_Encoding: chunked\r\n", b"Connection: close\r\n", b"Connection: keep-alive\r\n",
    b"Connection: Upgrade\r\nUpgrade: h2c\r\n", b"Connection: content-length, host\r\n",
    b"Expect: 100-continue\r\n", b"Host: b\r\n", b"Host:\r\n", b"X-A: \r\n",
    b"HTTP/1.0", b"HTTP/1.1", b"HTTP/2.0", b" HTTP/1.1\r\n", b"/../", b"/%2e%2e/", b"#", b"http://a/", b"*",
    b"GET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n", b"POST ", b"HEAD ", b"CONNECT ",
    b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    b"HTTP/1.1 200 OK\r\n", b"HTTP/1.1 100 Continue\r\n\r\n", b"204", b"304", b"101", b"A" * 300,
]  # fmt: skip
CONTENTS = [b"hello", b"x", b"0\r\n\r\n", b"GET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n", b"\r\n", b"y" * 70]
FIELDS = [
    b"Host: a\r\n", b"Accept: */*\r\n", b"X-A:\tb c \r\n", b"Cookie: a=1\r\n", b"Connection: close\r\n",
    b"Connection: keep-alive\r\n", b"Expect: 100-continue\r\n", b"X_Y: 1\r\n", b"X-Empty:\r\n",
    b"X: \xe9\r\n",
]  # fmt: skip
REQUEST_LINES = [
    b"GET / HTTP/1.1\r\n", b"POST /a?b=c HTTP/1.1\r\n", b"GET /a%20b HTTP/1.0\r\n", b"OPTIONS * HTTP/1.1\r\n",
    b"HEAD / HTTP/1.1\r\n", b"REPORT /a HTTP/1.1\r\n", b"GET http://a/b HTTP/1.1\r\n",
    b"\r\nPUT / HTTP/1.1\r\n",
]  # fmt: skip
STATUS_LINES = [
    b"HTTP/1.1 200 OK\r\n", b"HTTP/1.0 200 OK\r\n", b"HTTP/1.1 204 No Content\r\n",
    b"HTTP/1.1 304 Not Modified\r\n", b"HTTP/1.1 404 \r\n",
]  # fmt: skip


def _body(choices: Choices) -> bytes:
    kind = choices.below(4)
    if kind == 0:
        return b"\r\n"
    if kind == 1:
        content = choices.of(CONTENTS)
        return b"Content-Length: %d\r\n\r\n%b" % (len(content), content)
    parts = [choices.of(CONTENTS) for _ in range(choices.below(3))]
    extension = choices.of([b"", b"", b";a=b", b' ; a="b;c"'])
    chunks = [b"%x%b\r\n%b\r\n" % (len(part), extension, part) for part in parts]
    return (
        b"Transfer-Encoding: chunked\r\n\r\n"
        + b"".join(chunks)
        + choices.of([b"0\r\n\r\n", b"0\r\nX: 1\r\n\r\n"])
    )


def _fields(choices: Choices) -> bytes:
    return b"".join(choices.of(FIELDS) for _ in range(choices.below(4)))


def _changed(choices: Choices, raw: bytes) -> bytes:
    """One change at one place: a token put in, bits turned, a piece cut out, doubled, moved or cut off."""
    kind, at, size = choices.below(10), choices.below(65_536) % (len(raw) + 1), choices.below(40) + 1
    token = choices.of(TOKENS)
    if kind < 3:
        at = raw.find(b"\r\n", at) + 2  # behind a line
    before, piece, behind = raw[:at], raw[at : at + size], raw[at + size :]
    if kind < 5:
        return before + token + piece + behind
    others = [
        before + bytes(byte ^ (1 << size % 8) for byte in piece[:1]) + piece[1:] + behind,
        before + token + raw[at + len(token) :],
        before + choices.of([behind, piece + piece + behind]),
        before + behind[:size] + piece + behind[size:],
        before,
    ]
    return others[kind - 5]


def request_stream(choices: Choices) -> bytes:
    """A few requests, with a few changes."""
    changes = choices.below(5)
    raw = b""
    for _ in range(choices.below(3) + 1):
        host = choices.of([b"Host: a\r\n"] * 7 + [b""])
        raw += choices.of(REQUEST_LINES) + host + _fields(choices) + _body(choices)
    for _ in range(changes):
        raw = _changed(choices, raw)
    return raw


def answer_stream(choices: Choices) -> bytes:
    """An answer with what may stand before and behind it, with a few changes."""
    changes = choices.below(5)
    raw = choices.of([b"", b"", b"", b"HTTP/1.1 103 Early Hints\r\nLink: <x>\r\n\r\n"])
    raw += choices.of(STATUS_LINES) + _fields(choices) + _body(choices)
    for _ in range(changes):
        raw = _changed(choices, raw)
    return raw
