"""Header lines: forwarded as they came, understood once."""

from __future__ import annotations

from unittest.mock import patch

import pytest
from hypothesis import given
from hypothesis import strategies as st

from falcongate.wire.fields import (
    HOP_BY_HOP,
    Field,
    FieldBlock,
    _known,
    block_of_environ,
    connection_tokens,
    fields_of,
    known_fields,
    lines_of,
)

NAMES = st.text("abcXYZ09-.", min_size=1, max_size=12).map(lambda name: "n" + name)
SPACE = st.text(" \t", max_size=3)
WORDS = st.text("ab:;,= \t\u00e9\u00ff", max_size=12).map(lambda value: value.strip(" \t"))
LINES = st.tuples(NAMES, SPACE, WORDS, SPACE).map(lambda parts: f"{parts[0]}:{parts[1]}{parts[2]}{parts[3]}")


def head(*lines: str) -> bytes:
    """A head with these lines, as llhttp would accept it."""
    return "\r\n".join(["GET / HTTP/1.1", *lines, "\r\n"]).encode("latin-1")


def learned(*lines: str) -> bool:
    """Whether a head of these lines is known after it was read once."""
    fields_of(head(*lines))
    return known_fields(head(*lines)) is not None


@given(NAMES, SPACE, WORDS, SPACE)
def test_a_field_is_a_name_without_case_and_a_value_without_space_around(
    name: str, before: str, value: str, behind: str
) -> None:
    line = f"{name}:{before}{value}{behind}".encode("latin-1")
    field = Field(line)
    assert field.line == line
    assert field.name == name.lower().encode()
    assert field.value == value.encode("latin-1")
    assert field.text == value
    assert field.key == "HTTP_" + name.upper().replace("-", "_")


@given(NAMES, SPACE, WORDS)
def test_the_normal_form_of_a_line_is_its_own_normal_form(name: str, space: str, value: str) -> None:
    field = Field(f"{name}:{space}{value}{space}".encode("latin-1"))
    again = Field(field.name + b":" + field.value)
    assert (again.name, again.value, again.text, again.key) == (
        field.name,
        field.value,
        field.text,
        field.key,
    )


@pytest.mark.parametrize(
    ("line", "key"),
    [
        (b"Content-Type: x", "CONTENT_TYPE"),
        (b"CONTENT-LENGTH: 1", "CONTENT_LENGTH"),
        (b"Content-Language: x", "HTTP_CONTENT_LANGUAGE"),
        (b"X-Forwarded-For: x", "HTTP_X_FORWARDED_FOR"),
        (b"X_Forwarded-For: x", ""),
        (b"Content_Length: 1", ""),
        (b"_: x", ""),
    ],
)
def test_no_underscore_passes_for_a_hyphen(line: bytes, key: str) -> None:
    assert Field(line).key == key


@given(st.lists(LINES, max_size=6))
def test_a_known_head_reads_like_one_that_is_read_for_the_first_time(lines: list[str]) -> None:
    # What is known is forgotten when it is much; here that must not happen within one head.
    with patch.dict("falcongate.wire.fields._known", clear=True):
        first = fields_of(head(*lines))
        known = known_fields(head(*lines))
    assert known is not None
    assert [field.line.decode("latin-1") for field in known] == lines
    assert [field.line for field in first] == [field.line for field in known]
    assert [field.name for field in first] == [line.partition(":")[0].lower().encode() for line in lines]


def test_a_head_with_one_unknown_line_is_unknown() -> None:
    assert learned("x-known-once: 1", "x-known-twice: 1")
    assert known_fields(head("x-known-once: 1", "x-known-never: 1")) is None
    assert known_fields(head("x-known-once: 1 ", "x-known-twice: 1")) is None
    assert known_fields(head("x-known-twice: 1", "x-known-once: 1")) is not None


@pytest.mark.parametrize(
    "name", ["Authorization", "COOKIE", "Set-Cookie", "Proxy-Authorization", "X-API-Key"]
)
def test_a_secret_is_not_kept_longer_than_its_request(name: str) -> None:
    assert not learned(f"{name}: s3cret")
    assert learned(f"{name}-not: s3cret")


def test_a_long_line_is_not_kept() -> None:
    assert learned("x-as-long-as-may-be: ".ljust(256, "a"))
    assert not learned("x-as-long-as-may-be: ".ljust(257, "a"))


def test_made_up_lines_push_out_others_instead_of_growing_without_end() -> None:
    assert learned("x-before-the-flood: 1")
    for number in range(4_100):
        fields_of(head(f"x-flood: {number}"))
    assert known_fields(head("x-before-the-flood: 1")) is None
    assert known_fields(head("x-flood: 4099")) is not None


def test_fields_are_made_from_an_environ_where_there_is_no_head() -> None:
    environ = {
        "REQUEST_METHOD": "POST",
        "SERVER_NAME": "x",
        "wsgi.input": object(),
        "CONTENT_TYPE": "text/plain",
        "CONTENT_LENGTH": "",
        "HTTP_X_TENANT_ID": "caf\u00e9",
        "HTTP_ACCEPT": "",
    }
    block = block_of_environ(environ)
    assert [field.line for field in block.fields] == [
        b"Content-Type: text/plain",
        b"X-Tenant-Id: caf\xe9",
        b"Accept: ",
    ]
    assert block.environ is environ


@pytest.mark.parametrize(
    ("key", "has_framing"),
    [
        ("CONTENT_LENGTH", True),
        ("HTTP_TRANSFER_ENCODING", True),
        ("HTTP_CONNECTION", True),
        ("HTTP_TE", False),
        ("CONTENT_TYPE", False),
    ],
)
def test_a_block_says_whether_its_framing_must_be_looked_at(key: str, *, has_framing: bool) -> None:
    assert FieldBlock(b"", [], {key: "x", "HTTP_HOST": "h"}).has_framing is has_framing


@given(st.lists(st.tuples(NAMES, WORDS), max_size=5))
def test_headers_of_wsgi_become_a_line_each(headers: list[tuple[str, str]]) -> None:
    assert lines_of(headers) == [f"{name}: {value}".encode("latin-1") for name, value in headers]


@given(
    st.lists(st.tuples(NAMES, WORDS), max_size=3),
    st.sampled_from(["\r", "\n", "\r\n", "\0"]),
    st.tuples(NAMES, WORDS, WORDS),
)
def test_a_control_character_cannot_begin_a_line_of_its_own(
    headers: list[tuple[str, str]], control: str, parts: tuple[str, str, str]
) -> None:
    name, before, behind = parts
    for evil in ((name, before + control + behind), (name + control, behind)):
        for place in (0, len(headers)):
            with pytest.raises(ValueError, match="control character"):
                lines_of([*headers[:place], evil, *headers[place:]])


def test_a_character_that_no_head_can_carry_is_refused() -> None:
    with pytest.raises(ValueError, match="latin-1"):
        lines_of([("X-Price", "5 \u20ac")])


@pytest.mark.parametrize(
    ("value", "tokens"),
    [
        (b"", []),
        (b" , ,", []),
        (b"close", [b"close"]),
        (b"Keep-Alive, X-Mine ,\tclose", [b"keep-alive", b"x-mine", b"close"]),
        (b"close;x", [b"close;x"]),
        (b"a b", [b"a b"]),
    ],
)
def test_connection_names_fields_without_case_and_without_space(value: bytes, tokens: list[bytes]) -> None:
    assert connection_tokens(value) == frozenset(tokens)


@given(st.text("aBc-, \t").map(str.encode))
def test_the_tokens_of_connection_are_their_own_tokens(value: bytes) -> None:
    tokens = connection_tokens(value)
    assert connection_tokens(b",".join(tokens)) == tokens


@pytest.mark.parametrize(
    "name",
    ["Connection", "Keep-Alive", "TE", "Trailer", "Transfer-Encoding", "Upgrade", "Proxy-Authorization"],
)
def test_what_ends_at_this_hop_is_known_by_its_lower_case_name(name: str) -> None:
    assert Field(f"{name}: x".encode()).name in HOP_BY_HOP


@pytest.mark.parametrize("name", ["traceparent", "Traceparent", "X-Request-ID", "x-request-id"])
def test_what_is_new_with_every_request_makes_no_head_unknown_and_is_not_kept(name: str) -> None:
    learned("x-beside: 1")
    line = f"{name}: 00-{'a' * 32}-{'b' * 16}-01"
    fields = known_fields(head("x-beside: 1", line))
    assert fields is not None
    assert [field.line.decode() for field in fields] == ["x-beside: 1", line]
    fields_of(head(line))
    assert line.encode() not in _known


@pytest.mark.parametrize(
    "line",
    [
        "traceparent:00-" + "a" * 32,
        "traceparent: " + "a" * 19,
        "traceparent: " + "a" * 201,
        "X-Request-ID: " + "a" * 20 + "\x00",
        "X-Request-ID: " + "a" * 20 + " ",
        "X-Request-ID : " + "a" * 20,
        "X-Request-IDs: " + "a" * 20,
        "X_Request-ID: " + "a" * 20,
        "X-Request-ID: " + "a" * 20 + "\n",
    ],
)
def test_whatever_else_looks_like_it_is_judged(line: str) -> None:
    assert known_fields(head(line)) is None
