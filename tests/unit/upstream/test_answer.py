"""The head of a service's answer: one meaning, or nonsense."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from falcongate.upstream.answer import MAX_ANSWER_FIELDS, AnswerHead, ServiceNonsense, parse_answer

SPACES = st.sampled_from([b" "] * 6 + [b"", b"\t", b"\x0b"])
VALUES = st.sampled_from(
    [b"a", b"", b"5", b"5, 5", b"+5", b"chunked", b"Chunked", b"chunked, chunked", b"gzip", b"gzip, chunked",
     b"close", b"keep-alive", b"Close, X", b"a\0", b"a\rb", b"a\nb: c", b"a\r\n b", b"\xe9", b"\x01"]
)  # fmt: skip
NAMES = st.sampled_from(
    [b"Content-Length", b"content-length", b"Transfer-Encoding", b"Connection", b"Keep-Alive", b"Upgrade",
     b"TE", b"Proxy-Authenticate", b"Trailer", b"X", b"Date", b"Content_Length", b"X ", b" X", b"", b"X\xe9"]
)  # fmt: skip
ENDS = st.sampled_from([b"\r\n"] * 12 + [b"\n", b"\r"])
FIELDS = st.tuples(NAMES, st.just(b":"), SPACES, VALUES, ENDS).map(b"".join)
SOUND_FIELDS = st.sampled_from(
    [b"Content-Length: 5\r\n", b"content-length: 6\r\n", b"Transfer-Encoding: chunked\r\n",
     b"Upgrade: h2c\r\n", b"Connection: close\r\n", b"Connection: keep-alive\r\n",
     b"Connection: X, Date\r\n", b"X: 1\r\n", b"Keep-Alive: timeout=5\r\n", b"Date: then\r\n",
     b"TE: trailers\r\n"]
)  # fmt: skip
START_LINES = st.sampled_from(
    [b"HTTP/1.1 200 OK\r\n"] * 4
    + [b"HTTP/1.0 200 OK\r\n", b"HTTP/1.1 204\r\n", b"HTTP/1.1 304 \r\n", b"HTTP/1.1 101 Switching\r\n"]
    + [b"HTTP/1.1 200 OK\n", b"HTTP/2 200\r\n", b"HTTP/1.1 600 X\r\n", b"HTTP/1.1  200 OK\r\n"]
)
HEADS = st.tuples(START_LINES, st.lists(FIELDS | SOUND_FIELDS, max_size=4)).map(
    lambda parts: (
        (parts[0] + b"".join(parts[1])).partition(b"\r\n\r\n")[0].removesuffix(b"\r\n") + b"\r\n\r\n"
    )
)
END_AT_THIS_HOP = {
    b"connection", b"keep-alive", b"proxy-connection", b"te", b"trailer", b"transfer-encoding", b"upgrade",
    b"proxy-authenticate", b"proxy-authorization",
}  # fmt: skip


def answer(*lines: str, first: str = "HTTP/1.1 200 OK") -> AnswerHead:
    """What a head of these lines says."""
    return parse_answer("\r\n".join([first, *lines, "\r\n"]).encode("latin-1"))


def names(head: AnswerHead) -> list[str]:
    """Whatever is for the caller."""
    return [field.name.decode() for field in head.fields]


@given(HEADS)
def test_what_is_accepted_has_one_meaning_to_a_reader_that_is_strict(data: bytes) -> None:
    try:
        head = parse_answer(data)
    except ServiceNonsense:
        return
    first, *lines = data.removesuffix(b"\r\n\r\n").split(b"\r\n")
    assert b"\n" not in b"".join([first, *lines])
    assert b"\r" not in b"".join([first, *lines])
    assert first.startswith(b"HTTP/1.%d %d" % (b"HTTP/1.1" in first, head.status))
    assert all(re.fullmatch(rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]+:[\t\x20-\x7e\x80-\xff]*", line) for line in lines)
    fields = [(line.partition(b":")[0].lower(), line.partition(b":")[2].strip(b" \t")) for line in lines]
    lengths = [value for name, value in fields if name == b"content-length"]
    codings = [value.lower() for name, value in fields if name == b"transfer-encoding"]
    tokens = [
        token.strip().lower()
        for name, value in fields
        if name == b"connection"
        for token in value.split(b",")
    ]
    assert len(lengths) + len(codings) <= 1
    assert head.length == (int(lengths[0]) if lengths else None)
    assert codings == ([b"chunked"] if head.is_chunked else [])
    assert not (head.is_chunked and b"HTTP/1.0" in first)
    assert head.may_stay == (b"close" not in tokens and (b"HTTP/1.1" in first or b"keep-alive" in tokens))
    assert [field.line for field in head.fields] == [
        line
        for line, (name, _) in zip(lines, fields, strict=True)
        if name not in END_AT_THIS_HOP | set(tokens)
    ]


@given(HEADS)
def test_a_head_reads_the_same_a_second_time(data: bytes) -> None:
    def reading() -> tuple[object, ...] | None:
        try:
            head = parse_answer(data)
        except ServiceNonsense:
            return None
        lines = [field.line for field in head.fields]
        return head.status, head.reason, head.length, head.is_chunked, head.may_stay, lines

    assert reading() == reading()


@pytest.mark.parametrize(
    ("first", "status", "reason"),
    [
        ("HTTP/1.1 200 OK", 200, "OK"),
        ("HTTP/1.0 404 Not Found", 404, "Not Found"),
        ("HTTP/1.1 200 ", 200, ""),
        ("HTTP/1.1 204", 204, ""),
        ("HTTP/1.1 599 caf\u00e9\t!", 599, "caf\u00e9\t!"),
        ("HTTP/1.1 100 Continue", 100, "Continue"),
    ],
)
def test_the_status_line_is_handed_on_as_it_came(first: str, status: int, reason: str) -> None:
    head = answer("X: 1", first=first)
    assert (head.status, head.reason) == (status, reason)


@pytest.mark.parametrize(
    "first",
    ["HTTP/1.1 200OK", "HTTP/1.1 20 OK", "HTTP/1.1 2000 OK", "HTTP/1.1 099 X", "HTTP/1.1 600 X",
     "HTTP/1.2 200 OK", "HTTP/2.0 200 OK", "HTTP/1.1  200 OK", "http/1.1 200 OK", "ICY 200 OK",
     "RTSP/1.0 200 OK", " HTTP/1.1 200 OK", "HTTP/1.1 200 O\0K", "HTTP/1.1 200 O\nK", "HTTP/1.1 200 O\rK",
     "HTTP/1.1 200\tOK", "GET / HTTP/1.1", ""],
)  # fmt: skip
def test_what_is_no_status_line_is_nonsense(first: str) -> None:
    with pytest.raises(ServiceNonsense):
        answer("X: 1", first=first)


@pytest.mark.parametrize(
    "lines",
    [
        ["Content-Length: 5", "Content-Length: 5"],
        ["Content-Length: 5", "content-length: 6"],
        ["Content-Length: 5, 5"],
        ["Content-Length: -1"],
        ["Content-Length:"],
        ["Content-Length: 5", "Transfer-Encoding: chunked"],
        ["Transfer-Encoding: chunked", "Content-Length: 5"],
        ["Transfer-Encoding: chunked", "Transfer-Encoding: chunked"],
        ["Transfer-Encoding: gzip"],
        ["Transfer-Encoding: gzip, chunked"],
        ["Transfer-Encoding: chunked", "Transfer-Encoding: gzip"],
        ["X: a", " folded"],
        ["X : a"],
        ["X: a\nY: b"],
        ["X: a\rb"],
        ["X: \0"],
        ["no colon"],
    ],
)
def test_fields_that_could_be_read_in_two_ways_are_nonsense(lines: list[str]) -> None:
    for _ in range(2):  # when its lines are known, too
        with pytest.raises(ServiceNonsense):
            answer(*lines)


def test_chunks_are_not_for_http10() -> None:
    with pytest.raises(ServiceNonsense):
        answer("Transfer-Encoding: chunked", first="HTTP/1.0 200 OK")


def test_an_answer_says_how_long_it_is() -> None:
    assert answer("Content-Length: 17").length == 17
    assert not answer("Content-Length: 17").is_chunked
    assert answer("Transfer-Encoding: Chunked").is_chunked
    assert answer("Transfer-Encoding: Chunked").length is None
    assert answer().length is None


@pytest.mark.parametrize(
    ("minor", "connection", "stays"),
    [
        (1, [], True),
        (0, [], False),
        (1, ["Close"], False),
        (1, ["keep-alive, close"], False),
        (1, ["close", "keep-alive"], False),
        (1, ["x"], True),
        (0, ["Keep-Alive"], True),
        (0, ["keep-alive, close"], False),
        (0, ["upgrade"], False),
    ],
)
def test_http11_stays_unless_told_to_close_and_http10_closes_unless_told_to_stay(
    minor: int, connection: list[str], *, stays: bool
) -> None:
    lines = [f"Connection: {value}" for value in connection]
    assert answer(*lines, first=f"HTTP/1.{minor} 200 OK").may_stay is stays


def test_what_ends_at_this_hop_is_not_for_the_caller() -> None:
    head = answer(
        "Server: x",
        "Connection: keep-alive",
        "Keep-Alive: timeout=5",
        "Upgrade: h2c",
        "Trailer: x",
        "Proxy-Authenticate: Basic",
        "Transfer-Encoding: chunked",
        "set-cookie: a=1",
        "Set-Cookie: b=2",
    )
    assert names(head) == ["server", "set-cookie", "set-cookie"]


def test_what_connection_names_is_not_for_the_caller_wherever_it_stands() -> None:
    head = answer("X-Before: 1", "Connection: X-Before, x-BEHIND", "X-Behind: 1", "X-Other: 1")
    assert names(head) == ["x-other"]


def test_an_answer_has_no_end_of_fields() -> None:
    most = [f"X-{number}: 1" for number in range(MAX_ANSWER_FIELDS)]
    assert len(answer(*most).fields) == MAX_ANSWER_FIELDS
    for _ in range(2):
        with pytest.raises(ServiceNonsense):
            answer(*most, "X: 1")


def test_a_head_that_comes_again_is_the_one_before() -> None:
    data = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nServer: again\r\n\r\n"
    parse_answer(data)
    known = parse_answer(data)
    assert parse_answer(data, known) is known
    other = parse_answer(data.replace(b"5", b"6"), known)
    assert (known.length, other.length) == (5, 6)


@pytest.mark.parametrize("line", [b"Set-Cookie: session=secret", b"X: " + b"x" * 300])
def test_no_head_is_kept_with_a_secret_or_much_in_it(line: bytes) -> None:
    data = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n%b\r\n\r\n" % line
    heads = [parse_answer(data) for _ in range(3)]
    assert [head.data for head in heads] == [b"", b"", b""]
    assert parse_answer(data, heads[-1]) is not heads[-1]


def test_a_long_head_of_short_lines_is_not_kept() -> None:
    lines = b"".join(b"X-%d: %b\r\n" % (number, b"x" * 200) for number in range(20))
    data = b"HTTP/1.1 200 OK\r\n%b\r\n" % lines
    parse_answer(data)
    assert parse_answer(data).data == b""
