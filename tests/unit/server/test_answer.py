"""The head of an answer: what its status, its fields and its caller make of it."""

from __future__ import annotations

from email.utils import parsedate_to_datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from falcongate.server.answer import AnswerHead, render_early_hints, render_head, start_of

STATUSES = st.sampled_from(["200 OK", "204 No Content", "304 Not Modified", "404 Not Found", "503 caf\u00e9"])
METHODS = st.sampled_from(["GET", "HEAD", "POST"])
HEADERS = st.lists(
    st.sampled_from([("Content-Length", "5"), ("Date", "then"), ("X-A", "b"), ("content-type", "\u00e9")]),
    unique_by=lambda header: header[0],
)


def rendered(
    status: str = "200 OK",
    headers: tuple[tuple[str, str], ...] = (),
    *,
    method: str = "GET",
    is_http11: bool = True,
    keep_alive: bool = True,
) -> AnswerHead:
    """The head of an answer to such a request."""
    return render_head(
        start_of(status, list(headers)), method=method, is_http11=is_http11, keep_alive=keep_alive
    )


def fields_in(head: AnswerHead) -> dict[str, str]:
    """Its fields by lower-case name; none comes twice."""
    first, *lines, end, nothing = head.data.decode("latin-1").split("\r\n")
    assert first.startswith("HTTP/1.1 ")
    assert (end, nothing) == ("", "")
    fields = [line.split(": ", 1) for line in lines]
    assert len({name.lower() for name, _ in fields}) == len(fields)
    return {name.lower(): value for name, value in fields}


@given(status=STATUSES, headers=HEADERS, method=METHODS, is_http11=st.booleans(), keep_alive=st.booleans())
def test_what_the_head_promises_is_what_is_done(
    *, status: str, headers: list[tuple[str, str]], method: str, is_http11: bool, keep_alive: bool
) -> None:
    head = rendered(status, tuple(headers), method=method, is_http11=is_http11, keep_alive=keep_alive)
    fields = fields_in(head)
    has_length = "Content-Length" in dict(headers)
    has_body = method != "HEAD" and not status.startswith(("204", "304"))
    assert head.data.startswith(f"HTTP/1.1 {status}\r\n".encode("latin-1"))
    for name, value in headers:
        assert fields[name.lower()] == value
    assert "date" in fields
    assert ("transfer-encoding" in fields) == head.is_chunked
    assert head.is_chunked == (has_body and is_http11 and not has_length)
    # Whoever stays must be able to tell where the body ended.
    assert head.keep_alive == (keep_alive and (not has_body or has_length or head.is_chunked))
    expected = "close" if not head.keep_alive else None if is_http11 else "keep-alive"
    assert fields.get("connection") == expected


def test_an_answer_is_dated_once() -> None:
    ours = fields_in(rendered())["date"]
    assert parsedate_to_datetime(ours).utcoffset() is not None
    assert ours.endswith(" GMT")
    assert fields_in(rendered(headers=(("DATE", "then"),)))["date"] == "then"


def test_names_are_known_in_any_case() -> None:
    start = start_of("200 OK", [("CONTENT-LENGTH", "5"), ("dATE", "then")])
    assert start.block == b"CONTENT-LENGTH: 5\r\ndATE: then\r\n"
    assert (start.has_length, start.has_date) == (True, True)


def test_without_headers_there_is_no_block() -> None:
    start = start_of("204 No Content", [])
    assert (start.block, start.has_length, start.has_date) == (b"", False, False)


@pytest.mark.parametrize("value", ["a\r\nSet-Cookie: b=c", "a\nb", "a\rb", "a\0", "\u20ac"])
def test_a_value_cannot_write_another_line(value: str) -> None:
    for name, text in (("X-A", value), (value, "x")):
        with pytest.raises(ValueError):  # noqa: PT011  # a control character, or none of latin-1
            start_of("200 OK", [("X-B", "b"), (name, text)])
        with pytest.raises(ValueError):  # noqa: PT011  # likewise
            render_early_hints([("X-B", "b"), (name, text)])


def test_early_hints_are_a_whole_head_without_a_body() -> None:
    hints = render_early_hints([("Link", "</a.css>; rel=preload"), ("Link", "</b.js>; rel=preload")])
    assert hints == (
        b"HTTP/1.1 103 Early Hints\r\nLink: </a.css>; rel=preload\r\nLink: </b.js>; rel=preload\r\n\r\n"
    )
