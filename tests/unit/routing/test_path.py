"""One safe meaning for a path, or none."""

from __future__ import annotations

from urllib.parse import unquote, unquote_to_bytes

import pytest
from hypothesis import given
from hypothesis import strategies as st

from falcongate.refusals import AmbiguousPath, MalformedRequest
from falcongate.routing.path import normal_form, origin_form, split_target

PIECES = st.sampled_from(
    [b"/", b"/", b".", b"..", b";", b"a", b"Z9", b"~-_", b"%", b"%2", b"%2e", b"%2E", b"%2f", b"%2F", b"%5c",
     b"%00", b"%0a", b"%7f", b"%25", b"25", b"2e", b"2F", b"5C", b"%32", b"%65", b"%3b", b"%3B", b"3b", b"00",
     b"%c3%a9", b"%ff", b"%c0%ae", b"%ed%a0%80", b"%e2%82%ac", b"%61", b"\\", b"#", b"\x00", b"\xe9", b" ",
     b'"', b"[", b"%zz", b"?"]
)  # fmt: skip
RAW_PATHS = st.lists(PIECES, max_size=12).map(lambda pieces: b"/" + b"".join(pieces))


def accepted(raw_path: bytes) -> str | None:
    """The normal form, or None where there is none."""
    try:
        return normal_form(raw_path)
    except AmbiguousPath:
        return None


def has_dot_segment(path: str) -> bool:
    """Whether any server would resolve a segment of `path`, even one that cuts parameters off."""
    return any(segment.partition(";")[0] in (".", "..") for segment in path.split("/"))


@pytest.mark.parametrize(
    ("raw", "form"),
    [
        (b"/", "/"),
        (b"/api/hr/x", "/api/hr/x"),
        (b"/api/hr/", "/api/hr/"),
        (b"/api//hr", "/api//hr"),
        (b"/api/hr;x=1/y", "/api/hr;x=1/y"),
        (b"/%61pi/%68r", "/api/hr"),
        (b"/caf%C3%A9/%e2%82%ac", "/caf\u00e9/\u20ac"),
        (b"/a%20b%2Dc%7e", "/a b-c~"),
        (b"/.well-known/x", "/.well-known/x"),
        (b"/.../.x/x./..x/x..", "/.../.x/x./..x/x.."),
        (b"/100%25", "/100%"),
        (b"/50%2525", "/50%25"),
        (b'/"<>^`{|}[]', '/"<>^`{|}[]'),
        (b"/a%3Fb%23c", "/a?b#c"),
    ],
)
def test_a_plain_path_is_itself_with_each_escape_decoded_once(raw: bytes, form: str) -> None:
    assert normal_form(raw) == form


@pytest.mark.parametrize(
    "raw",
    [
        b"/..", b"/../x", b"/a/../b", b"/a/..", b"/.", b"/./x", b"/a/.", b"/a/./b", b"//..",
        b"/%2e%2e/x", b"/.%2E/x", b"/%2e/x", b"/a/%2e", b"/..;/x", b"/..;a=b/x", b"/.;x",
        b"/..%3bx", b"/..%253bx",
        b"/a%2fb", b"/a%2Fb", b"/a%5cb", b"/a%5Cb", b"/a\\b", b"/..\\x",
        b"/a%00", b"/a%0a", b"/a%0D", b"/a%1f", b"/a%7F", b"/a\x00b", b"/a\x1fb", b"/a\x7fb", b"/a b",
        b"/a#b", b"/a%", b"/a%2", b"/a%zz", b"/a%u002e", b"/a%+1",
        b"/%ff", b"/%c0%ae", b"/%c0%af", b"/%ed%a0%80", b"/\xc3\xa9",
        b"/%252e%252e", b"/a%252Fb", b"/a%255cb", b"/a%2500", b"/%25252e", b"/%25%32%65", b"/%252%65",
        b"/%25%2532e%25%2532e", b"/%25%32%35%25%33%32%25%36%35", b"/a%25%2532f", b"/..%25253bx",
        b"/%25c0%25ae", b"/%" + b"25" * 9 + b"41",
        b"", b"*", b"a", b"a/b",
    ],
)  # fmt: skip
def test_a_path_with_more_than_one_reading_is_refused(raw: bytes) -> None:
    with pytest.raises(AmbiguousPath):
        normal_form(raw)


@given(RAW_PATHS)
def test_the_normal_form_is_the_path_decoded_once(raw: bytes) -> None:
    form = accepted(raw)
    assert form is None or form.encode() == unquote_to_bytes(raw)


@given(RAW_PATHS)
def test_what_needs_no_decoding_is_its_own_normal_form(raw: bytes) -> None:
    form = accepted(raw)
    if form is not None and form.isascii() and not set(form) & set("% #?"):
        assert normal_form(form.encode()) == form


@given(RAW_PATHS)
def test_no_service_finds_other_segments_in_it_than_were_judged(raw: bytes) -> None:
    """Whether it decodes not at all, once or twice."""
    form = accepted(raw)
    if form is None:
        return
    for reading in (raw.decode("ascii"), form, unquote(form)):
        assert reading.count("/") == form.count("/")
        assert not has_dot_segment(reading)
        assert "\\" not in reading
        assert "\x00" not in reading


@given(st.binary(max_size=40))
def test_any_bytes_are_read_or_refused(raw: bytes) -> None:
    form = accepted(b"/" + raw)
    assert form is None or form.startswith("/")


@pytest.mark.parametrize(
    ("target", "parts"),
    [
        (b"/a", (b"/a", None)),
        (b"/a?", (b"/a", b"")),
        (b"/a?b=1&b=%zz", (b"/a", b"b=1&b=%zz")),
        (b"/a?b?c/../%00", (b"/a", b"b?c/../%00")),
    ],
)
def test_a_target_is_a_path_and_a_query_of_any_kind(target: bytes, parts: tuple[bytes, bytes | None]) -> None:
    assert split_target(target) == parts


@pytest.mark.parametrize("target", [b"/a#b", b"/a?b#c", b"#", b"/a#"])
def test_a_target_with_a_fragment_is_refused(target: bytes) -> None:
    with pytest.raises(AmbiguousPath):
        split_target(target)


@pytest.mark.parametrize(
    ("target", "origin"),
    [
        (b"http://a.test/x?y=1", b"/x?y=1"),
        (b"HTTP://A.test/x", b"/x"),
        (b"https://a.test", b"/"),
        (b"http://a.test?y=http://b.test/", b"/?y=http://b.test/"),
        (b"http://a.test//x", b"//x"),
    ],
)
def test_an_absolute_target_of_the_same_host_is_taken_in_origin_form(target: bytes, origin: bytes) -> None:
    assert origin_form(target, b"a.TEST") == origin


@pytest.mark.parametrize(
    ("target", "host"),
    [
        (b"http://b.test/x", b"a.test"),
        (b"http://a.test:81/x", b"a.test"),
        (b"http://a.test/x", b"a.test:81"),
        (b"http://user@a.test/x", b"a.test"),
        (b"http://a.test\\@b.test/x", b"a.test"),
        (b"ftp://a.test/x", b"a.test"),
        (b"http:///x", b""),
        (b"http://a.test/x", None),
        (b"http:/a.test/x", b"a.test"),
        (b"a.test:80", b"a.test:80"),
        (b"*", b"a.test"),
        (b"x", b"a.test"),
        (b"", b"a.test"),
    ],
)
def test_a_target_that_names_nothing_or_another_host_is_refused(target: bytes, host: bytes | None) -> None:
    with pytest.raises(MalformedRequest):
        origin_form(target, host)
