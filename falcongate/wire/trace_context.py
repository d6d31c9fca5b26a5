"""Trace contexts as they stand in header fields (W3C Trace Context, level 2); pure.

Who may be believed is not decided here.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Final

# Later versions may have more behind a dash; what they say of the first four parts holds for them too.
_TRACEPARENT: Final = re.compile(
    r"(?!ff)[0-9a-f]{2}-(?!0{32})([0-9a-f]{32})-(?!0{16})([0-9a-f]{16})-[0-9a-f]([0-9a-f])(-.*)?"
)
# Known are two flags: 1, that the trace is kept, and 2, that its id was made at random.
_KNOWN_FLAGS: Final = {f"{digit:x}": f"{digit & 3:02x}" for digit in range(16)}
_MEMBER: Final = re.compile(
    r"(?P<key>[a-z0-9][a-z0-9_*/@-]{0,255})=[\x20-\x2b\x2d-\x3c\x3e-\x7e]{0,255}[\x21-\x2b\x2d-\x3c\x3e-\x7e]"
)
_MAX_MEMBERS: Final = 32
_MAX_LENGTH: Final = 512
_LONG: Final = 128

SAMPLED: Final = ("01", "03")
"""Flags by which whoever has sent them keeps the trace."""

Parent = tuple[str, str, str]


def parse_traceparent(text: str) -> Parent | None:
    """The id of the trace, that of the caller's span in it, and its flags; None if that cannot be read.

    All are in lower-case hexadecimal; of the flags, those that are known are left. Several of these fields in
    one head are joined by commas, and so are nothing too.
    """
    found = _TRACEPARENT.fullmatch(text)
    if found is None:
        return None
    trace_id, span_id, flags, more = found.groups()
    if more and text.startswith("00"):
        return None
    return trace_id, span_id, _KNOWN_FLAGS[flags]


@lru_cache(maxsize=256)
def sound_tracestate(text: str) -> str:
    """A `tracestate` that can be sent on; "" if there is nothing in it, or one member is malformed.

    Of members with one key the first stays, which is the youngest. Beyond 512 characters, long members go
    first, then those on the right.
    """
    members: dict[str, str] = {}
    texts = [member for part in text.split(",") if (member := part.strip(" \t"))]
    if len(texts) > _MAX_MEMBERS:
        return ""
    for member in texts:
        found = _MEMBER.fullmatch(member)
        if found is None:
            return ""
        members.setdefault(found["key"], member)
    kept = list(members.values())
    if len(",".join(kept)) > _MAX_LENGTH:
        kept = [member for member in kept if len(member) <= _LONG]
    while len(",".join(kept)) > _MAX_LENGTH:
        kept.pop()
    return ",".join(kept)
