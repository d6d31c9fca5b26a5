"""The head of a request: one meaning, whoever reads it and whatever was read before, or a refusal."""

from __future__ import annotations

import re
from itertools import count

import pytest
from hypothesis import given
from hypothesis import strategies as st

from falcongate.config.settings import ServerSettings
from falcongate.errors import GatewayError
from falcongate.refusals import HeadTooLarge, MalformedRequest, TargetTooLong, UnsupportedCoding
from falcongate.server.http1 import RequestHead, check_unfinished, parse_head
from falcongate.wire.fields import FieldBlock
from tests.unit.server.heads import HEADS, SOUND_HEADS

SETTINGS = ServerSettings()
NOTHING_BEFORE = FieldBlock(b"", [], {})
_TOKEN = rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]+"

_fresh = count()


def request(*lines: str, first: str = "GET / HTTP/1.1") -> bytes:
    """A head of these lines."""
    return "\r\n".join([first, *lines, "\r\n"]).encode("latin-1")


def parsed(data: bytes, previous: FieldBlock = NOTHING_BEFORE) -> RequestHead:
    """What it says under the usual settings."""
    return parse_head(data, SETTINGS, previous)


def reading(data: bytes, previous: FieldBlock = NOTHING_BEFORE) -> tuple[object, ...] | None:
    """All that it says, or None where it is refused."""
    try:
        head = parsed(data, previous)
    except GatewayError:
        return None
    return (
        head.method,
        head.target,
        head.is_http11,
        head.keep_alive,
        head.is_chunked,
        head.content_length,
        head.block.environ,
        [field.line for field in head.block.fields],
    )


@given(HEADS)
def test_what_is_accepted_has_one_meaning_to_a_reader_that_is_strict(data: bytes) -> None:
    read = reading(data)
    if read is None:
        return
    method, target, is_http11, _, is_chunked, length, _, lines = read
    first, *rest = data.removesuffix(b"\r\n\r\n").split(b"\r\n")
    assert first == f"{method} {target} HTTP/1.{int(bool(is_http11))}".encode("latin-1")
    assert b"\n" not in data.replace(b"\r\n", b"")
    assert b"\r" not in data.replace(b"\r\n", b"")
    assert all(re.fullmatch(_TOKEN + rb":[\t\x20-\x7e\x80-\xff]*", line) for line in rest)
    assert lines == [line for line in rest if b"_" not in line.partition(b":")[0]]
    values: dict[bytes, list[bytes]] = {}
    for line in rest:
        name, _, value = line.partition(b":")
        values.setdefault(name.lower(), []).append(value.strip(b" \t"))
    lengths, codings = values.get(b"content-length", []), values.get(b"transfer-encoding", [])
    assert len(lengths) + len(codings) <= 1
    assert all(re.fullmatch(rb"[0-9]+", value) for value in lengths)
    assert length == (int(lengths[0]) if lengths else None)
    assert [coding.lower() for coding in codings] == ([b"chunked"] if is_chunked else [])
    assert is_http11 or not is_chunked


@given(st.lists(SOUND_HEADS, min_size=2, max_size=4))
def test_what_came_before_on_the_connection_changes_no_reading(heads: list[bytes]) -> None:
    previous = NOTHING_BEFORE
    for data in heads:
        alone = reading(data)
        assert reading(data, previous) == alone
        if alone is not None:
            previous = parsed(data, previous).block


@given(SOUND_HEADS)
def test_lines_that_are_all_known_are_read_like_new_ones(data: bytes) -> None:
    known = reading(data)
    # A line that was never there before has the whole head judged anew.
    fresh = b"X-Fresh: %d\r\n" % next(_fresh)
    new = reading(data[:-2] + fresh + b"\r\n")
    assert (known is None) == (new is None)
    if known is not None and new is not None:
        assert known[:6] == new[:6]


def test_the_same_fields_again_are_not_taken_apart_again() -> None:
    first = parsed(request("Host: a", "X: 1"))
    again = parsed(request("Host: a", "X: 1", first="POST /other HTTP/1.1"), first.block)
    assert again.block is first.block
    assert (again.method, again.target) == ("POST", "/other")


def test_a_head_that_only_ends_like_the_one_before_is_not_taken_for_it() -> None:
    first = parsed(request("X: 1"))
    longer = parsed(request("Content-Length: 5", "X: 1"), first.block)
    assert longer.content_length == 5


@pytest.mark.parametrize(
    "first",
    [
        "GET / HTTP/1.1",
        "DELETE /a%20b?c=d&e[]=1 HTTP/1.1",
        "OPTIONS * HTTP/1.1",
        "REPORT /x HTTP/1.1",
        "GET http://a.test/x HTTP/1.0",
        "CONNECT a.test:443 HTTP/1.1",
    ],
)
def test_the_request_line_is_handed_on_as_it_came(first: str) -> None:
    head = parsed(request("Host: a", first=first))
    assert f"{head.method} {head.target} HTTP/1.{int(head.is_http11)}" == first


@pytest.mark.parametrize(
    "first",
    ["GET /", "GET  / HTTP/1.1", "GET / HTTP/1.1 ", " GET / HTTP/1.1", "GET\t/ HTTP/1.1", "GET / HTTP/2.0",
     "GET / HTTP/1.2", "GET / HTTP/0.9", "GET / http/1.1", "GET /\u00e9 HTTP/1.1", "GET /a\x7f HTTP/1.1",
     "GET  HTTP/1.1", "", "GET / HTTP/1.1\n", "GET /a b HTTP/1.1", "G(T / HTTP/1.1"],
)  # fmt: skip
def test_a_request_line_that_is_not_three_words_of_http_is_refused(first: str) -> None:
    with pytest.raises(MalformedRequest):
        parsed(request("Host: a", first=first))


def test_a_method_that_nobody_knows_is_not_implemented() -> None:
    with pytest.raises(UnsupportedCoding):
        parsed(request("Host: a", first="NONSENSE / HTTP/1.1"))


@pytest.mark.parametrize(
    ("lines", "error"),
    [
        (["Content-Length: 5", "Content-Length: 5"], MalformedRequest),
        (["Content-Length: 5, 5"], MalformedRequest),
        (["Content-Length: +5"], MalformedRequest),
        (["Content-Length:"], MalformedRequest),
        (["Content-Length: 9999999999999999999"], MalformedRequest),
        (["Content-Length: 5", "Transfer-Encoding: chunked"], MalformedRequest),
        (["Transfer-Encoding: chunked", "Content-Length: 5"], MalformedRequest),
        (["Content-Length : 5"], MalformedRequest),
        (["Transfer-Encoding : chunked"], MalformedRequest),
        (["X: a", " folded"], MalformedRequest),
        (["X: a\nContent-Length: 5"], MalformedRequest),
        (["X: a\rb"], MalformedRequest),
        (["X: \0"], MalformedRequest),
        (["no colon"], MalformedRequest),
        ([": no name"], MalformedRequest),
    ],
)
def test_fields_that_could_be_read_in_two_ways_are_refused(lines: list[str], error: type[Exception]) -> None:
    with pytest.raises(error):
        parsed(request("Host: a", *lines))


@pytest.mark.parametrize(
    "coding", ["gzip", "gzip, chunked", "chunked, identity", "chunked, chunked", "xchunked"]
)
def test_a_coding_other_than_chunked_is_refused(coding: str) -> None:
    with pytest.raises((MalformedRequest, UnsupportedCoding)):
        parsed(request("Host: a", f"Transfer-Encoding: {coding}"))


def test_chunks_are_not_for_http10() -> None:
    with pytest.raises(MalformedRequest):
        parsed(request("Transfer-Encoding: chunked", first="POST / HTTP/1.0"))


def test_a_name_with_an_underscore_is_dropped() -> None:
    head = parsed(request("X_Forwarded_For: 1.2.3.4", "Content_Length: 5", "X-Real: 1"))
    assert head.block.environ == {"HTTP_X_REAL": "1"}
    assert [field.line for field in head.block.fields] == [b"X-Real: 1"]
    assert head.content_length is None


def test_fields_of_one_name_become_a_list_but_cookies_stay_cookies() -> None:
    head = parsed(request("Accept: a", "Cookie: b=1", "accept:  c ", "Cookie: d=2", "Content-Type: e"))
    assert head.block.environ == {"HTTP_ACCEPT": "a,c", "HTTP_COOKIE": "b=1; d=2", "CONTENT_TYPE": "e"}
    assert len(head.block.fields) == 5


@pytest.mark.parametrize(
    ("first", "lines", "length", "is_chunked"),
    [
        ("GET / HTTP/1.1", [], None, False),
        ("POST / HTTP/1.1", ["Content-Length: 0"], 0, False),
        ("POST / HTTP/1.0", ["content-length:  17\t"], 17, False),
        ("POST / HTTP/1.1", ["TRANSFER-ENCODING: Chunked"], None, True),
        ("GET / HTTP/1.1", ["Connection: Upgrade", "Upgrade: h2c", "Content-Length: 3"], 3, False),
    ],
)
def test_the_body_is_as_long_as_the_head_says(
    first: str, lines: list[str], length: int | None, *, is_chunked: bool
) -> None:
    head = parsed(request(*lines, first=first))
    assert (head.content_length, head.is_chunked) == (length, is_chunked)


@pytest.mark.parametrize(
    ("minor", "connection", "stays"),
    [
        (1, [], True),
        (0, [], False),
        (1, ["close"], False),
        (1, ["x, CLOSE"], False),
        (1, ["x", "close"], False),
        (1, ["closed"], True),
        (0, ["Keep-Alive"], True),
        (0, ["keep-alive, close"], False),
        (0, ["x"], False),
    ],
)
def test_http11_stays_unless_told_to_close_and_http10_closes_unless_told_to_stay(
    minor: int, connection: list[str], *, stays: bool
) -> None:
    lines = [f"Connection: {value}" for value in connection]
    assert parsed(request(*lines, first=f"GET / HTTP/1.{minor}")).keep_alive is stays


def test_what_the_limits_name_is_still_accepted_and_one_more_is_not() -> None:
    settings = ServerSettings(max_request_line_bytes=256, max_head_bytes=1024, max_headers=3)
    line = "GET /".ljust(256 - 9, "a") + " HTTP/1.1"
    parse_head(request(first=line), settings, NOTHING_BEFORE)
    with pytest.raises(TargetTooLong):
        parse_head(request(first="G" + line), settings, NOTHING_BEFORE)

    full = request("X: " + "a" * (1024 - len(request("X: "))))
    assert len(full) == 1024
    parse_head(full, settings, NOTHING_BEFORE)
    with pytest.raises(HeadTooLarge):
        parse_head(full.replace(b"X:", b"XX:"), settings, NOTHING_BEFORE)

    parse_head(request("A: 1", "B: 2", "C: 3"), settings, NOTHING_BEFORE)
    for _ in range(2):  # whether its lines are known or not
        with pytest.raises(HeadTooLarge):
            parse_head(request("A: 1", "B: 2", "C: 3", "D_: 4"), settings, NOTHING_BEFORE)


@given(SOUND_HEADS, st.integers(0, 1000))
def test_the_beginning_of_a_request_is_waited_for(data: bytes, cut: int) -> None:
    begun = data[: 1 + cut % len(data)]
    check_unfinished(begun, SETTINGS)


@pytest.mark.parametrize(
    "data",
    [
        b"\x16\x03\x01\x02\x00",
        b" GET",
        b"\r\nGET",
        b"GET / HTTP/1.1\n",
        b"GET / HTTP/1.1\r\nX: a\n",
        b"G(T",
        b"a" * 41,
    ],
)
def test_what_can_become_no_request_is_refused_at_once(data: bytes) -> None:
    with pytest.raises(MalformedRequest):
        check_unfinished(data, SETTINGS)


def test_what_is_too_long_already_is_refused_before_it_ends() -> None:
    settings = ServerSettings(max_request_line_bytes=256, max_head_bytes=1024)
    begun = b"GET /".ljust(256, b"a")
    check_unfinished(begun, settings)
    with pytest.raises(TargetTooLong):
        check_unfinished(begun + b"a", settings)
    fields = b"GET / HTTP/1.1\r\nX: ".ljust(1024, b"a")
    check_unfinished(fields, settings)
    with pytest.raises(HeadTooLarge):
        check_unfinished(fields + b"a", settings)
