"""A body that arrives: whole, or said to be cut short; never a byte of the next message."""

from __future__ import annotations

import itertools
from typing import cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from falcongate.wire.body import Body, BodyCutShort
from falcongate.wire.channel import Channel
from falcongate.wire.framing import LAST_CHUNK, chunk_of

PIECES = st.lists(st.binary(min_size=1, max_size=30), max_size=6)
PAUSES = st.lists(st.booleans(), max_size=6)


class FakeChannel:
    """Gives `arriving` one after the other: bytes, None where nothing is there yet, b"" at the end.

    No more is given than was asked for, as a socket does.
    """

    def __init__(self, *arriving: bytes | None, buffer: bytes = b"") -> None:
        self.buffer = buffer
        self.arriving = list(arriving)

    def receive_now(self, limit: int) -> bytes | None:
        """What has arrived."""
        if not self.arriving:
            return None
        data = self.arriving.pop(0)
        if data is not None and len(data) > limit:
            self.arriving.insert(0, data[limit:])
            return data[:limit]
        return data


def body_on(channel: FakeChannel, *, length: int | None = None, is_chunked: bool = False) -> Body:
    """A body that arrives there."""
    return Body(cast("Channel", channel), length=length, is_chunked=is_chunked)


def received(body: Body, *, times: int = 100) -> bytes:
    """All of it, or what came in so many goes."""
    found = b""
    for _ in range(times):
        found += body.receive_now() or b""
        if body.is_complete:
            break
    return found


def with_pauses(pieces: list[bytes], pauses: list[bool]) -> list[bytes | None]:
    """The pieces, with nothing there before some of them."""
    arriving: list[bytes | None] = []
    for number, piece in enumerate(pieces):
        if number < len(pauses) and pauses[number]:
            arriving.append(None)
        arriving.append(piece)
    return arriving


def reframed(body: bytes, cuts: list[int]) -> bytes:
    """The body in chunks of other sizes."""
    places = sorted({0, len(body), *(cut % (len(body) + 1) for cut in cuts)})
    chunks = [chunk_of(body[begin:end]) for begin, end in itertools.pairwise(places)]
    return b"".join(chunks) + LAST_CHUNK


@given(PIECES, PAUSES, st.binary(max_size=10), st.binary(max_size=10))
def test_a_body_of_known_length_takes_its_bytes_and_leaves_the_rest(
    pieces: list[bytes], pauses: list[bool], buffered: bytes, behind: bytes
) -> None:
    whole = buffered + b"".join(pieces)
    channel = FakeChannel(*with_pauses([*pieces, behind], pauses), buffer=buffered)
    body = body_on(channel, length=len(whole))
    assert received(body) == whole
    assert body.is_complete
    assert body.remaining == 0
    assert channel.buffer + b"".join(piece or b"" for piece in channel.arriving) == behind


@given(PIECES, PAUSES, st.lists(st.integers(0, 200), max_size=4), st.binary(max_size=10))
def test_a_body_in_chunks_is_the_same_however_it_arrives(
    pieces: list[bytes], pauses: list[bool], cuts: list[int], behind: bytes
) -> None:
    whole = b"".join(pieces)
    data = reframed(whole, cuts) + behind
    step = max(len(data) // 5, 1)
    arriving = [data[at : at + step] for at in range(0, len(data), step)]
    channel = FakeChannel(*with_pauses(arriving, pauses))
    body = body_on(channel, is_chunked=True)
    assert received(body) == whole
    assert body.is_complete
    assert channel.buffer + b"".join(piece or b"" for piece in channel.arriving) == behind


@given(PIECES, PAUSES)
def test_without_a_length_the_end_of_the_connection_is_the_end(
    pieces: list[bytes], pauses: list[bool]
) -> None:
    body = body_on(FakeChannel(*with_pauses([*pieces, b""], pauses), buffer=b"first"))
    assert received(body) == b"first" + b"".join(pieces)
    assert body.is_complete


def test_what_was_buffered_behind_a_body_stays_there() -> None:
    channel = FakeChannel(buffer=b"helloGET /next")
    assert body_on(channel, length=5).receive_now() == b"hello"
    assert channel.buffer == b"GET /next"


def test_behind_the_last_chunk_nothing_is_waited_for() -> None:
    channel = FakeChannel(b"5\r\nhello\r\n", LAST_CHUNK, b"")
    body = body_on(channel, is_chunked=True)
    assert body.receive_now() == b"hello"
    assert body.receive_now() == b""
    assert body.is_complete
    assert channel.arriving == [b""]


def test_an_empty_body_is_complete_from_the_start() -> None:
    channel = FakeChannel(b"next", buffer=b"GET /next")
    body = body_on(channel, length=0)
    assert body.is_complete
    assert body.receive_now() == b""
    assert body.take_buffered() == b""
    assert channel.buffer == b"GET /next"


def test_only_a_body_of_unknown_length_ends_with_the_connection() -> None:
    assert body_on(FakeChannel()).is_until_close
    assert not body_on(FakeChannel(), length=5).is_until_close
    assert not body_on(FakeChannel(), is_chunked=True).is_until_close


def test_nothing_there_is_not_the_end() -> None:
    body = body_on(FakeChannel(None, b"hello"), length=5)
    assert body.receive_now() is None
    assert not body.is_complete
    assert body.receive_now() == b"hello"


def test_half_a_chunk_line_is_nothing_yet() -> None:
    body = body_on(FakeChannel(b"5", b"\r", None, b"\nhe", b"llo\r\n0\r\n\r\n"), is_chunked=True)
    assert body.receive_now() is None
    assert body.receive_now() == b"he"
    assert body.receive_now() == b"llo"


@pytest.mark.parametrize("arriving", [(b"",), (b"he", b"")])
def test_a_known_length_that_is_not_reached_says_how_much_is_missing(arriving: tuple[bytes, ...]) -> None:
    body = body_on(FakeChannel(*arriving), length=5)
    missing = 5 - len(b"".join(arriving))
    with pytest.raises(BodyCutShort, match=f"^{missing} bytes are missing"):
        received(body)
    assert not body.is_complete


@pytest.mark.parametrize("data", [b"5\r\nhello\r\n", b"5\r\nhel", b"5\r\nhello\r\n0\r\n", b"5"])
def test_chunks_without_a_last_one_are_cut_short(data: bytes) -> None:
    body = body_on(FakeChannel(data, b""), is_chunked=True)
    with pytest.raises(BodyCutShort, match="unknown number"):
        received(body)
    assert not body.is_complete


@pytest.mark.parametrize("data", [b"x\r\n", b"5\r\nhello!\r\n", b"5\nhello\r\n"])
def test_malformed_chunks_are_a_body_cut_short(data: bytes) -> None:
    for channel in (FakeChannel(data), FakeChannel(buffer=data)):
        with pytest.raises(BodyCutShort):
            received(body_on(channel, is_chunked=True))
    with pytest.raises(BodyCutShort):
        body_on(FakeChannel(buffer=data), is_chunked=True).take_buffered()


def test_what_is_buffered_is_taken_without_looking_for_more() -> None:
    channel = FakeChannel(b"ld", buffer=b"wor")
    body = body_on(channel, length=5)
    assert body.take_buffered() == b"wor"
    assert body.remaining == 2
    assert body.take_buffered() == b""
    assert channel.arriving == [b"ld"]


def test_bytes_that_were_moved_past_python_count() -> None:
    body = body_on(FakeChannel(), length=5)
    body.count_moved(3)
    assert (body.remaining, body.is_complete) == (2, False)
    body.count_moved(2)
    assert body.is_complete


def test_a_stream_that_ends_past_python_is_cut_short_unless_it_may_end_there() -> None:
    with pytest.raises(BodyCutShort):
        body_on(FakeChannel(), length=5).count_moved(0)
    body = body_on(FakeChannel())
    body.count_moved(7)
    assert not body.is_complete
    body.count_moved(0)
    assert body.is_complete


def test_a_body_of_known_length_never_asks_for_a_byte_of_the_next_message() -> None:
    channel = FakeChannel(b"helloGET / HTTP/1.1")
    assert received(body_on(channel, length=5)) == b"hello"
    assert channel.buffer == b""
    assert channel.arriving == [b"GET / HTTP/1.1"]
