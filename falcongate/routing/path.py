"""One safe meaning for a path; the bytes we forward are never changed here.

Rules that compare raw paths can be walked around by spelling them differently. Everything that
decides by path compares `normal_form`. Rewriting what is sent belongs to `upstream`.
"""

from __future__ import annotations

import re
from typing import Final
from urllib.parse import unquote_to_bytes

from falcongate.errors import AmbiguousPath, MalformedRequest

# PERF: nearly all paths; no escapes, and no segment that begins with a dot.
_PLAIN: Final = re.compile(rb"/(?:(?!\.)[A-Za-z0-9._~!$&'()*+,;=:@-]*/)*(?:(?!\.)[A-Za-z0-9._~!$&'()*+,;=:@-]*)")
_ALLOWED: Final = re.compile(rb"(?:[A-Za-z0-9._~!$&'()*+,;=:@/-]|%[0-9A-Fa-f]{2}|[\"<>^`{|}\[\]])+")
_HIDDEN: Final = re.compile(rb"%(?:2[Ff]|5[Cc]|0[0-9A-Fa-f]|1[0-9A-Fa-f]|7[Ff]|25(?:2[EeFf]|5[Cc]|00))")
_DOT_SEGMENT: Final = re.compile(r"/\.{1,2}(?:;[^/]*)?(?=/|$)")
_AUTHORITY: Final = re.compile(rb"https?://([^/?#]*)([/?].*)?", re.IGNORECASE)


def split_target(raw_target: bytes) -> tuple[bytes, bytes | None]:
    """The path and the query of a request target; None without a question mark."""
    path, mark, query = raw_target.partition(b"?")
    return path, query if mark else None


def origin_form(raw_target: bytes, host: bytes) -> bytes:
    """The target as it is forwarded, from one in absolute form (RFC 9112, 3.2.2).

    Raises MalformedRequest unless it is an http address of exactly this host: two names for one
    request would be judged by one and served by the other.
    """
    match = _AUTHORITY.fullmatch(raw_target)
    if match is None:
        raise MalformedRequest("The request target is not a path.")
    if match[1].lower() != host.lower():
        raise MalformedRequest("The request target names another host than the Host header.")
    rest = match[2] or b"/"
    return rest if rest.startswith(b"/") else b"/" + rest


def normal_form(raw_path: bytes) -> str:
    """The path as rules see it, or AmbiguousPath when it has more than one meaning.

    Each %XX is decoded once. Refused: dot segments, an encoded slash or backslash, controls, bytes
    that are not UTF-8, malformed or doubled escapes. Semicolons and empty segments are letters
    like any other. Does not wait.
    """
    if _PLAIN.fullmatch(raw_path):
        return raw_path.decode("ascii")
    if not raw_path.startswith(b"/") or not _ALLOWED.fullmatch(raw_path):
        raise AmbiguousPath("The path holds a character that must be percent-encoded.")
    if _HIDDEN.search(raw_path):
        raise AmbiguousPath("The path hides a slash, a backslash or a control character.")
    try:
        path = unquote_to_bytes(raw_path).decode("utf-8")
    except UnicodeDecodeError:
        raise AmbiguousPath("The path is not UTF-8.") from None
    if _DOT_SEGMENT.search(path):
        raise AmbiguousPath("The path has a dot segment.")
    return path
