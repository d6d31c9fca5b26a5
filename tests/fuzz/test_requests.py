"""Requests on a connection: no crash, no hang, and one reading, whoever reads and in whatever pieces."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest
from hypothesis import given

from tests.fuzz.choices import BLOBS, Choices, pieces_of
from tests.fuzz.conftest import KeepTrying
from tests.fuzz.readings import Message, Reading, by_h11, by_the_gateway
from tests.fuzz.streams import request_stream

# What h11 refuses and we do not: white space before a chunk extension (RFC 9112, 7.1.1 allows it), and
# framing fields in trailers, which go nowhere here. It is asked again with neither, byte for byte as long.
_SPACE_BEFORE_EXTENSION = re.compile(rb"(?<=\r\n)([0-9A-Fa-f]+)([ \t]+)(?=;)")
_FRAMING_IN_TRAILER = re.compile(rb"(?<=\r\n)[CcTt](?=ontent-length:|ransfer-encoding:)", re.IGNORECASE)


def spared_for_h11(raw: bytes, body_at: int) -> bytes:
    """The same stream without what h11 is stricter about than it need be; the body begins at `body_at`."""
    before = raw[: body_at - 2]
    rest = _SPACE_BEFORE_EXTENSION.sub(
        lambda found: found[2].translate(_ZEROS) + found[1], raw[body_at - 2 :]
    )
    return before + _FRAMING_IN_TRAILER.sub(b"X", rest)


_ZEROS = bytes.maketrans(b" \t", b"00")


def _plain(message: Message) -> Message:
    """The message, its codings in lower case: h11 says them so."""
    fields = tuple(
        (name, value.lower() if name == b"transfer-encoding" else value) for name, value in message.fields
    )
    return replace(message, fields=fields)


def _assert_read_alike(raw: bytes, reading: Reading) -> None:
    """What the gateway would forward is what h11 finds in the same place."""
    rest = raw
    for message, is_forwardable in zip(reading.messages, reading.is_forwardable, strict=True):
        while rest.startswith(b"\r\n"):
            rest = rest[2:]
        ours, theirs = _plain(message), by_h11(rest)
        if theirs is None:
            theirs = by_h11(spared_for_h11(rest, rest.find(b"\r\n\r\n") + 4))
            if theirs is None:
                assert not is_forwardable, f"h11 refuses {rest!r}, we read {message}"
                return
            # Its body may hold what was changed for h11.
            assert len(theirs[0].body) == len(ours.body)
            ours = replace(ours, body=theirs[0].body)
        assert theirs[0] == ours
        rest = rest[len(rest) - len(theirs[1]) :]


def _assert_goes_on_alike(one: Reading, other: Reading) -> None:
    """Neither found a request that the other did not, unless one has ended there."""
    both = min(len(one.messages), len(other.messages))
    assert one.messages[:both] == other.messages[:both]
    for reading, longer in ((one, other), (other, one)):
        if len(longer.messages) > both:
            assert reading.end, f"without an end, {longer.messages[both]} is missing"


def _judge(raw: bytes, sizes: list[int]) -> None:
    whole = by_the_gateway([raw])
    _assert_read_alike(raw, whole)
    _assert_goes_on_alike(whole, by_the_gateway(pieces_of(raw, sizes)))


_BEGIN = b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"


@pytest.mark.parametrize(
    "raw",
    [
        _BEGIN + b'5 ; a="b;c"\r\nhello\r\n0\r\n\r\n',  # h11 refuses the space
        _BEGIN + b"0\r\nTransfer-Encoding: identity\r\n\r\n",  # h11 refuses such a trailer
        b"\r\n\r\n\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n",  # forgiven in one piece, not in single bytes
    ],
)
@pytest.mark.parametrize("sizes", [[], [1] * 300])
def test_where_others_are_stricter_there_is_one_reading_still(raw: bytes, sizes: list[int]) -> None:
    _judge(raw, sizes)


def test_a_stream_of_requests_has_one_reading(keep_trying: KeepTrying) -> None:
    @given(BLOBS)
    def target(blob: bytes) -> None:
        choices = Choices(blob)
        sizes = choices.sizes(4_000)
        _judge(request_stream(choices), sizes)

    keep_trying(target)


def test_a_body_that_nobody_reads_is_never_the_next_request(keep_trying: KeepTrying) -> None:
    @given(BLOBS)
    def target(blob: bytes) -> None:
        choices = Choices(blob)
        sizes = choices.sizes(4_000)
        raw = request_stream(choices)
        read, unread = by_the_gateway([raw]), by_the_gateway(pieces_of(raw, sizes), reads_bodies=False)
        heads = [replace(message, body=b"") for message in read.messages]
        assert unread.messages[: len(heads)] == heads[: len(unread.messages)]
        assert len(unread.messages) <= len(heads) + (read.end == "cut")

    keep_trying(target)
