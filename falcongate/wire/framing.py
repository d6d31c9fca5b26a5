"""Where an HTTP/1.1 message ends: one meaning, or an error (RFC 9112, 6 and 7).

Pure: bytes in, values out. Heads are read by llhttp in `server/http1.py` and
`upstream/answer.py`. Chunks are decoded here and not by llhttp, because httptools does not say
where a message ended, and the bytes behind it belong to the next one.
"""

from __future__ import annotations

import re
from typing import Final

_DIGITS: Final = re.compile(rb"[0-9]{1,18}")
_TOKEN: Final = rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]+"
_QUOTED: Final = rb'"(?:[\t\x20\x21\x23-\x5b\x5d-\x7e\x80-\xff]|\\[\t\x20-\x7e\x80-\xff])*"'
_CHUNK_HEAD: Final = re.compile(
    rb"([0-9A-Fa-f]{1,15})"
    rb"(?:[ \t]*;[ \t]*%b(?:[ \t]*=[ \t]*(?:%b|%b))?)*" % (_TOKEN, _TOKEN, _QUOTED)
)
_TRAILER: Final = re.compile(rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]+:[\t\x20-\x7e\x80-\xff]*")
_MAX_CHUNK_HEAD_BYTES: Final = 1_024
_MAX_EXTENSION_BYTES: Final = 16_384
_MAX_TRAILER_BYTES: Final = 8_192


class FramingError(ValueError):
    """The message has no end that everybody would agree on."""


def parse_content_length(value: bytes) -> int:
    """The length in bytes. Signs, lists, underscores and spaces are refused (RFC 9110, 8.6)."""
    if not _DIGITS.fullmatch(value):
        raise FramingError("Content-Length is not a plain decimal number")
    return int(value)


class ChunkedDecoder:
    """Takes the chunks apart as they arrive; extensions and trailers are checked and dropped."""

    __slots__ = ("_extension_bytes", "_in_trailers", "_remaining", "_trailer_bytes", "is_complete")

    def __init__(self) -> None:
        self.is_complete = False
        self._remaining = 0  # of the current chunk, with the CRLF behind it
        self._in_trailers = False
        self._extension_bytes = 0
        self._trailer_bytes = 0

    def decode(self, data: bytes) -> tuple[list[bytes], int]:
        """The body's bytes that `data` holds, in pieces, and how much of `data` was used up.

        What is not used must be given again with more behind it, unless `is_complete`: then it
        belongs to the next message. Raises FramingError.
        """
        pieces: list[bytes] = []
        at = 0
        while not self.is_complete:
            if self._remaining:
                used = self._take_chunk(data, at, pieces)
                if not used:
                    break
                at += used
                continue
            end = data.find(b"\r\n", at, at + _MAX_CHUNK_HEAD_BYTES + 2)
            if end < 0:
                self._refuse_endless_line(data, at)
                break
            line = data[at:end]
            at = end + 2
            if self._in_trailers:
                self._take_trailer(line)
            else:
                self._take_chunk_head(line)
        return pieces, at

    def _take_chunk(self, data: bytes, at: int, pieces: list[bytes]) -> int:
        remaining = self._remaining
        if remaining > 2:
            piece = data[at : at + remaining - 2]
            if piece:
                pieces.append(piece)
                self._remaining = remaining - len(piece)
                # Beside a long body, extensions may be long as well.
                self._extension_bytes = max(self._extension_bytes - len(piece), 0)
            return len(piece)
        # Exactly CRLF must follow; accepting less would shift every later chunk.
        ending = data[at : at + 2]
        if not b"\r\n".startswith(ending):
            raise FramingError("a chunk is longer than its size says")
        if len(ending) < 2:
            return 0
        self._remaining = 0
        return 2

    def _take_chunk_head(self, line: bytes) -> None:
        match = _CHUNK_HEAD.fullmatch(line)
        if match is None:
            raise FramingError("a chunk size is malformed")
        digits = match[1]
        self._extension_bytes += len(line) - len(digits)
        if self._extension_bytes > _MAX_EXTENSION_BYTES:
            raise FramingError("the chunk extensions are too long")
        size = int(digits, 16)
        if size:
            self._remaining = size + 2
        else:
            self._in_trailers = True

    def _take_trailer(self, line: bytes) -> None:
        if not line:
            self.is_complete = True
            return
        self._trailer_bytes += len(line)
        if self._trailer_bytes > _MAX_TRAILER_BYTES:
            raise FramingError("the trailers are too long")
        if not _TRAILER.fullmatch(line):
            raise FramingError("a trailer is malformed")

    @staticmethod
    def _refuse_endless_line(data: bytes, at: int) -> None:
        # One more than a line may have: its line break may have come in half.
        if len(data) - at > _MAX_CHUNK_HEAD_BYTES + 1 or b"\n" in data[at:]:
            raise FramingError("a chunk's line does not end in CRLF")


def chunk_of(data: bytes) -> bytes:
    """`data`, which must not be empty, as one chunk."""
    return b"%x\r\n%b\r\n" % (len(data), data)


LAST_CHUNK: Final = b"0\r\n\r\n"
