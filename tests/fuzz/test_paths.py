"""A path that is accepted has one meaning, however often and by whatever rules others decode it."""

from __future__ import annotations

import posixpath
import re
from urllib.parse import quote, unquote, unquote_to_bytes

import pytest
from hypothesis import given

from falcongate.errors import GatewayError
from falcongate.refusals import AmbiguousPath
from falcongate.routing.path import normal_form, origin_form, split_target
from falcongate.upstream.rewrite import rewritten_target
from tests.fuzz.choices import BLOBS, Choices
from tests.fuzz.conftest import KeepTrying
from tests.unit.making import make_route

PIECES = [
    b"/", b"a", b".", b"..", b"/..", b"/.", b"//", b"%2e", b"%2E", b".%2e", b"%2e%2e", b"%2f", b"%2F",
    b"%5c", b"\\",
    b";", b";x", b"..;", b"..;x=1", b"%3b", b"%3B..", b"%253b", b"%25", b"%2525", b"%252e", b"%252E%252e",
    b"%252f",
    b"%255c", b"%25252e", b"%2500", b"%00", b"%0a", b"%0d%0a", b"%09", b"%7f", b"%20", b" ", b"\t", b"+",
    b"?", b"#",
    b"%23", b"%3f", b"%C3%A9", b"%c3%28", b"%c0%ae", b"%c0%af", b"%e0%80%ae", b"%ef%bc%8e", b"%u002e", b"%",
    b"%2",
    b"%zz", b"%%32e", b"%2%65", b"%61", b"admin", b"api", b"\xe9", b"\xc3\xa9", b"\xff", b"\0", b"\r",
    b"\n", b"~", b"|",
    b"^", b"`", b"{", b"}", b"<", b">", b'"', b"'", b"*", b"!", b"@", b":", b"$", b"&", b"(", b"=", b"[",
    b"]",
]  # fmt: skip
PREFIXES = [b"/api/hr", b"/%61pi/hr", b"/api/h%72", b"", b"/"]
PLAIN = make_route("hr")
STRIPPED = make_route("hr", paths=["/api/hr"], strip_prefix="/api/hr", add_prefix="/v2")


SEGMENTS = [
    b"a",
    b".",
    b"..",
    b"/",
    b"\\",
    b"..;x",
    b"..%",
    b"\0",
    b"%",
    b"\xc3\xa9",
    b"\xc0\xae",
    b"\n",
    b"#",
]


def _encoded(choices: Choices) -> bytes:
    """Something encoded here and there, several times over."""
    text = choices.of(SEGMENTS)
    for _ in range(choices.below(5)):
        text = b"".join(bytes([byte]) if choices.below(2) else b"%%%02x" % byte for byte in text)
    return text


def _path(choices: Choices) -> bytes:
    path = choices.of(PREFIXES)
    for _ in range(choices.below(4)):
        path += choices.of([b"/", b""])
        path += _encoded(choices) if choices.below(2) else choices.of(PIECES)
    return path


def _has_dot_segment(path: bytes) -> bool:
    """Whether any reader, with parameters or without, finds a segment of one dot or two."""
    segments = re.split(rb"[/\\]", path)
    return any(segment.partition(b";")[0] in (b".", b"..") for segment in segments)


def _by_browsers(path: bytes) -> bytes:
    """What remains of a path in a browser: tabs and line breaks go, encoded dots are dots (WHATWG URL)."""
    path = re.sub(rb"[\t\r\n]", b"", path).replace(b"\\", b"/")
    out: list[bytes] = []
    segments = path.split(b"/")[1:]
    for number, segment in enumerate(segments):
        plain = segment.lower().replace(b"%2e", b".")
        if plain == b"..":
            out = out[:-1]
        elif plain != b".":
            out.append(segment)
            continue
        if number == len(segments) - 1:
            out.append(b"")
    return b"/" + b"/".join(out)


def _assert_one_meaning(raw: bytes, path: str) -> None:
    slashes = raw.count(b"/")
    decoded = raw
    for _ in range(4):
        assert decoded.count(b"/") == slashes, "a slash was encoded"
        assert not _has_dot_segment(decoded), "a dot segment was encoded"
        assert b"\\" not in decoded
        assert b"\0" not in decoded
        decoded = unquote_to_bytes(decoded)
    assert unquote_to_bytes(raw).decode("utf-8") == path == unquote(raw.decode("latin-1"), errors="strict")
    without_empty = re.sub(r"/+", "/", path).rstrip("/") or "/"
    assert posixpath.normpath("/" + path.lstrip("/")) == without_empty
    assert _by_browsers(raw) == raw
    assert normal_form(quote(path).encode()) == path


def _judge(raw: bytes) -> None:
    try:
        path = normal_form(raw)
    except GatewayError:
        return
    _assert_one_meaning(raw, path)
    target = raw + b"?a=/../b"
    assert split_target(target) == (raw, b"a=/../b")
    assert rewritten_target(target, "POST", PLAIN) is target
    if path == "/api/hr" or path.startswith("/api/hr/"):
        sent = rewritten_target(target, "POST", STRIPPED)
        # The caller's own bytes behind the prefix, and the same meaning there.
        assert sent.startswith(b"/v2/")
        assert target.endswith(sent.removeprefix(b"/v2")) or path == "/api/hr"
        assert normal_form(sent.partition(b"?")[0]) == "/v2" + (path.removeprefix("/api/hr") or "/")


@pytest.mark.parametrize(
    "raw",
    [
        b"/api/hr/%25%2532e%25%2532e/admin",  # the digits of an escape, encoded as well
        b"/api/hr/%25%32%35%25%33%32%25%36%35",
    ],
)
def test_what_was_once_accepted_with_two_meanings_is_refused(raw: bytes) -> None:
    with pytest.raises(AmbiguousPath):
        normal_form(raw)


def test_an_accepted_path_has_one_meaning(keep_trying: KeepTrying) -> None:
    @given(BLOBS)
    def target(blob: bytes) -> None:
        _judge(_path(Choices(blob)))

    keep_trying(target)


def test_a_target_in_absolute_form_is_of_the_host_it_says(keep_trying: KeepTrying) -> None:
    @given(BLOBS)
    def target(blob: bytes) -> None:
        choices = Choices(blob)
        scheme = choices.of([b"http://", b"https://", b"HTTP://", b"http:/", b"ftp://", b"//", b""])
        host = choices.of([b"a", b"a:80", b"A", b"b", b"a@b", b"", b"[::1]"])
        raw = scheme + choices.of([host, b"x@" + host, host + b":1", b"b"]) + _path(choices)
        try:
            sent = origin_form(raw, host)
        except GatewayError:
            return
        assert sent.startswith(b"/")
        rest = sent if raw.endswith(sent) else sent[1:]
        assert raw.endswith(rest)
        authority = raw[: len(raw) - len(rest)].partition(b"://")[2]
        assert authority.lower() == host.lower()

    keep_trying(target)
