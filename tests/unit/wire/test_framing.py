"""Where a message ends: one meaning whatever the pieces it arrives in, or none."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from falcongate.wire.framing import LAST_CHUNK, ChunkedDecoder, FramingError, chunk_of, parse_content_length

EXTENSIONS = st.sampled_from([b"", b";a", b";a=1", b' ; a = "x;\\"y"', b";a;b=c", b'\t;q=""'])
CHUNKS = st.lists(st.tuples(st.binary(min_size=1, max_size=40), EXTENSIONS), max_size=5)
TRAILERS = st.lists(st.sampled_from([b"X-Sum: 1", b"a:", b"Content-Length: 5", b"x: \xe9\t"]), max_size=3)


def message(chunks: list[tuple[bytes, bytes]], trailers: list[bytes]) -> bytes:
    """These chunks, with their extensions, as they are sent."""
    lines = [b"%X%b\r\n%b\r\n" % (len(data), extension, data) for data, extension in chunks]
    return b"".join([*lines, b"0\r\n", *(line + b"\r\n" for line in trailers), b"\r\n"])


def in_pieces(data: bytes, cuts: list[int]) -> list[bytes]:
    """`data`, cut wherever `cuts` says."""
    places = [0, *sorted(cut % (len(data) + 1) for cut in cuts), len(data)]
    return [data[begin:end] for begin, end in itertools.pairwise(places)]


def decoded(arriving: list[bytes]) -> tuple[bytes, bytes, bool]:
    """What was read of these pieces, what was left, and whether the end was seen."""
    decoder = ChunkedDecoder()
    body = rest = b""
    for piece in arriving:
        rest += piece
        found, used = decoder.decode(rest)
        body += b"".join(found)
        rest = rest[used:]
    return body, rest, decoder.is_complete


def verdict(arriving: list[bytes]) -> tuple[bytes, bytes, bool] | None:
    """The same, or None where it is refused."""
    try:
        return decoded(arriving)
    except FramingError:
        return None


@given(CHUNKS, TRAILERS, st.binary(max_size=20), st.lists(st.integers(0, 1000), max_size=8))
def test_any_split_of_the_bytes_gives_the_same_body_and_leaves_the_next_message(
    chunks: list[tuple[bytes, bytes]], trailers: list[bytes], behind: bytes, cuts: list[int]
) -> None:
    body = b"".join(data for data, _ in chunks)
    data = message(chunks, trailers) + behind
    assert decoded(in_pieces(data, cuts)) == (body, behind, True)


@given(CHUNKS, TRAILERS)
def test_byte_by_byte_it_is_the_same_body(chunks: list[tuple[bytes, bytes]], trailers: list[bytes]) -> None:
    data = message(chunks, trailers)
    body = b"".join(data for data, _ in chunks)
    assert decoded([data[at : at + 1] for at in range(len(data))]) == (body, b"", True)


@given(CHUNKS, TRAILERS, st.integers(0, 1000))
def test_a_message_cut_anywhere_is_never_complete(
    chunks: list[tuple[bytes, bytes]], trailers: list[bytes], cut: int
) -> None:
    data = message(chunks, trailers)
    body, _, is_complete = decoded([data[: cut % len(data)]])
    assert not is_complete
    assert b"".join(data for data, _ in chunks).startswith(body)


@given(
    st.lists(
        st.sampled_from(
            [b"1", b"a", b"0", b"\r\n", b"\r", b"\n", b";", b"=", b'"', b" ", b"x:", b"-", b"\0"]
        ),
        max_size=14,
    ),
    st.lists(st.integers(0, 40), max_size=4),
)
def test_whether_bytes_are_refused_does_not_hang_on_their_split(pieces: list[bytes], cuts: list[int]) -> None:
    # The end makes a verdict due for what may still have become something.
    data = b"".join(pieces) + b"\r\n\n"
    whole = verdict([data])
    assert verdict(in_pieces(data, cuts)) == whole


@pytest.mark.parametrize(
    "data",
    [
        b"\r\n",
        b"+5\r\nhello\r\n",
        b"-5\r\nhello\r\n",
        b"0x5\r\nhello\r\n",
        b" 5\r\nhello\r\n",
        b"5 \r\nhello\r\n",
        b"5_0\r\n",
        b"g\r\n",
        b"\xb2\r\n",
        b"5\nhello\r\n",
        b"5\r\rhello\r\n",
        b"5;\nhello\r\n",
        b"5;a=\r\nhello\r\n",
        b"5;=a\r\nhello\r\n",
        b'5;a="\r\nhello\r\n',
        b"5;a\0\r\nhello\r\n",
        b"5,a\r\nhello\r\n",
        b"1234567890abcdef\r\n",
        b"5\r\nhello!\r\n",
        b"5\r\nhelloX",
        b"5\r\nhello\n0\r\n\r\n",
        b"5\r\nhello\rX",
        b"0\r\nno trailer\r\n\r\n",
        b"0\r\n folded: x\r\n\r\n",
        b"0\r\n: x\r\n\r\n",
        b"0\r\na : x\r\n\r\n",
        b"0\r\na: x\0y\r\n\r\n",
        b"0\r\na: x\ry\r\n\r\n",
        b"0\r\na: x\n\r\n",
        b"0\r\n\n",
    ],
)
def test_what_others_could_end_elsewhere_is_refused(data: bytes) -> None:
    with pytest.raises(FramingError):
        decoded([data])


@pytest.mark.parametrize(
    ("line", "is_long"),
    [(b"5;" + b"a" * 1_000, False), (b"5;" + b"a" * 1_200, True), (b"0" * 1_200, True)],
)
def test_a_line_that_does_not_end_soon_is_refused_whether_it_ends_or_not(
    line: bytes, *, is_long: bool
) -> None:
    for data in (line, line + b"\r\n"):
        assert (verdict([data]) is None) == is_long


def test_extensions_may_not_outweigh_a_body() -> None:
    chunk = b"1;" + b"a" * 999 + b"\r\nx\r\n"
    assert decoded([chunk * 16])[0] == b"x" * 16
    with pytest.raises(FramingError):
        decoded([chunk * 17])


def test_beside_a_long_body_extensions_may_be_long_as_well() -> None:
    chunk = b"400;" + b"a" * 996 + b"\r\n" + b"x" * 1024 + b"\r\n"
    assert decoded([chunk * 40])[0] == b"x" * 1024 * 40


def test_trailers_have_an_end() -> None:
    trailer = b"a:" + b"b" * 998 + b"\r\n"
    assert decoded([b"0\r\n" + trailer * 8 + b"\r\n"])[2]
    with pytest.raises(FramingError):
        decoded([b"0\r\n" + trailer * 9 + b"\r\n"])


def test_the_longest_chunk_is_no_number_that_wraps_around() -> None:
    assert decoded([b"fffffffffffffff\r\nhello"]) == (b"hello", b"", False)


@given(st.lists(st.binary(min_size=1), max_size=5))
def test_what_is_sent_in_chunks_is_read_back(pieces: list[bytes]) -> None:
    sent = b"".join(chunk_of(piece) for piece in pieces) + LAST_CHUNK
    assert decoded([sent]) == (b"".join(pieces), b"", True)


@given(st.integers(0, 10**18 - 1))
def test_a_length_is_its_digits(length: int) -> None:
    assert parse_content_length(b"%d" % length) == length


@pytest.mark.parametrize(
    "value",
    [
        b"",
        b"+1",
        b"-1",
        b" 1",
        b"1 ",
        b"1,1",
        b"1, 1",
        b"1_0",
        b"0x1",
        b"1.0",
        b"1e3",
        b"\xb2",
        b"1\n",
        b"1" * 19,
    ],
)
def test_a_length_that_is_not_plain_digits_is_refused(value: bytes) -> None:
    with pytest.raises(FramingError):
        parse_content_length(value)


@pytest.mark.parametrize("cut", range(1_020, 1_030))
def test_a_longest_line_is_a_line_wherever_it_is_cut(cut: int) -> None:
    data = b"5;" + b"a" * 1_022 + b"\r\nhello\r\n0\r\n\r\n"
    assert decoded([data[:cut], data[cut:]]) == (b"hello", b"", True)
