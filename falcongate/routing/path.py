"""One safe meaning for a path; the bytes we forward are never changed here.

Rules that compare raw paths can be walked around by spelling them differently. Everything that
decides by path compares `normal_form`. Rewriting what is sent belongs to `upstream`.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final
from urllib.parse import unquote, unquote_to_bytes

from falcongate.refusals import AmbiguousPath, MalformedRequest

if TYPE_CHECKING:
    from collections.abc import Sequence

# PERF: nearly all paths; no escapes, and no segment that begins with a dot. 0.4 us, against 3 below.
_PLAIN: Final = re.compile(rb"(?:/(?!\.)[A-Za-z0-9._~!$&'()*+,;=:@-]*)+")
# Beyond RFC 3986: what browsers leave unescaped in paths, and nobody reads in two ways.
_WELL_FORMED: Final = re.compile(rb"/(?:[A-Za-z0-9._~!$&'()*+,;=:@/\"<>^`{|}\[\]-]|%[0-9A-Fa-f]{2})*")
_HIDDEN: Final = re.compile(rb"%(?:2[Ff]|5[Cc]|[01][0-9A-Fa-f]|7[Ff])")
# Some services decode once more, or as often as they can; C0 and C1 begin a letter that is spelt too long.
_HIDDEN_DEEPER: Final = re.compile(r"%(?:2[EeFf]|5[Cc]|00|[Cc][01])")
_MAX_ENCODINGS: Final = 5
# Java servers cut a segment at its semicolon before they resolve it, so `..;x` is a dot segment too.
_DOT_SEGMENT: Final = re.compile(r"/\.\.?(?:;[^/]*)?(?:/|\Z)")
# What some services leave away: a segment's parameters, and spaces and dots at its end.
_IGNORED: Final = re.compile(r"(?:[ .]*;[^/]*|[ .]+)(?=/|\Z)")
_SLASHES: Final = re.compile("/{2,}")
_ABSOLUTE: Final = re.compile(rb"https?://([^/?#]+)([/?].*)?", re.IGNORECASE | re.DOTALL)


def split_target(raw_target: bytes) -> tuple[bytes, bytes | None]:
    """The path and the query of a request target; None without a question mark.

    Raises AmbiguousPath for a fragment: a target has none (RFC 9112, 3.2), and services disagree
    about what is behind a `#`.
    """
    if b"#" in raw_target:
        raise AmbiguousPath("The request target has a fragment.")
    path, mark, query = raw_target.partition(b"?")
    return path, query if mark else None


def origin_form(raw_target: bytes, host: bytes | None) -> bytes:
    """The target as it is forwarded, from one in absolute form (RFC 9112, 3.2.2).

    Raises MalformedRequest unless it is an http address of exactly this host: a request with two
    names would be judged by one and served by the other.
    """
    match = _ABSOLUTE.fullmatch(raw_target)
    if match is None:
        raise MalformedRequest("The request target is neither a path nor an http address.")
    authority, rest = match.groups()
    if host is None or authority.lower() != host.lower():
        raise MalformedRequest("The request target names another host than the Host header.")
    if rest is None:
        return b"/"
    return rest if rest.startswith(b"/") else b"/" + rest


def normal_form(raw_path: bytes) -> str:
    """The path as rules see it, or AmbiguousPath when it has more than one meaning.

    Each %XX is decoded once. Refused: dot segments, encoded slashes and backslashes, controls, bytes
    that are not UTF-8, malformed escapes, and dots, slashes, backslashes or NUL that a second
    or later decoding would bring out. Semicolons and empty segments are compared like any other text.
    """
    if _PLAIN.fullmatch(raw_path):
        return raw_path.decode("ascii")
    if not _WELL_FORMED.fullmatch(raw_path):
        raise AmbiguousPath("The path has a malformed escape, or a character that must be percent-encoded.")
    if _HIDDEN.search(raw_path):
        raise AmbiguousPath("The path has an encoded slash, backslash or control character.")
    try:
        path = unquote_to_bytes(raw_path).decode("utf-8")
    except UnicodeDecodeError:
        raise AmbiguousPath("The path is not UTF-8.") from None
    if _DOT_SEGMENT.search(path):
        raise AmbiguousPath("The path has a dot segment.")
    if "%" in path:
        _look_deeper(path)
    return path


def _look_deeper(path: str) -> None:
    """Refuse what further decodings would bring out, and what is encoded without end."""
    for _ in range(_MAX_ENCODINGS):
        if _HIDDEN_DEEPER.search(path):
            raise AmbiguousPath("The path has a dot, slash, backslash or NUL that is encoded twice.")
        # SECURITY: the digits of an escape may be encoded as well: `%25%32e` is `%2e` after two decodings.
        decoded = unquote(path, "latin-1")
        if decoded == path:
            return
        path = decoded
        if _DOT_SEGMENT.search(path):
            raise AmbiguousPath("The path has a dot segment that is encoded twice.")
    raise AmbiguousPath("The path is encoded too many times.")


def folded_form(path: str) -> str:
    """A normal form as services may read it that merge slashes, cut parameters and strip spaces.

    What protects a path must hold for this as well, whatever the service behind it does.
    """
    return _SLASHES.sub("/", _IGNORED.sub("", path))


def compile_patterns(patterns: Sequence[str]) -> re.Pattern[str]:
    """One expression for all of them: whole segments, and nothing before or behind them.

    `*` is one segment, a final `**` any rest. Without patterns, none matches.
    """
    alternatives = []
    for pattern in patterns:
        segments = pattern.strip("/").split("/")
        has_any_rest = segments[-1] == "**"
        named = segments[:-1] if has_any_rest else segments
        alternatives.append(
            "".join("/[^/]+" if segment == "*" else "/" + re.escape(segment) for segment in named)
            + ("(?:/.*)?" if has_any_rest else "/?")
        )
    # No path is empty.
    return re.compile("|".join(alternatives), re.DOTALL)
