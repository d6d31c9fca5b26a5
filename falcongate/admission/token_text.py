"""What a token says of itself, read strictly: one meaning or a refusal (RFC 7515, RFC 7519).

Nothing here is proven. PyJWT proves signatures and claims; what it would let pass and RFC 8725 would not
is refused here before.
"""

from __future__ import annotations

import json
import math
import re
from base64 import urlsafe_b64decode, urlsafe_b64encode
from typing import Any, Final, NamedTuple, NoReturn

from falcongate.denials import Unauthorized

_PART: Final = re.compile(r"[A-Za-z0-9_-]+", re.ASCII)
_KEY_ID: Final = re.compile(r"[\x20-\x7e]{1,256}", re.ASCII)
_TYPES: Final = frozenset(("jwt", "at+jwt", "application/jwt", "application/at+jwt"))
_DATES: Final = ("exp", "nbf", "iat")
_MOST_DIGITS: Final = 1e15


class Unproven(NamedTuple):
    """What a token claims: its algorithm, the id of its key (None if it names none), its claims."""

    algorithm: str
    key_id: str | None
    claims: dict[str, Any]


def read_token(text: str) -> Unproven:
    """Take a token apart. Raises Unauthorized."""
    parts = text.split(".")
    if len(parts) != 3:
        raise Unauthorized("it is not a signed token of three parts")
    header, claims = _object_of(parts[0]), _object_of(parts[1])
    _bytes_of(parts[2])
    algorithm = header.get("alg")
    if not isinstance(algorithm, str):
        raise Unauthorized("it names no algorithm")
    kind = header.get("typ", "JWT")
    if not isinstance(kind, str) or kind.lower() not in _TYPES:
        raise Unauthorized("it is of another type than a token for access")
    # SECURITY: whoever does not know what it must understand has to refuse it (RFC 7515, 4.1.11).
    if "crit" in header or "b64" in header or "zip" in header:
        raise Unauthorized("it asks for what is not understood here")
    key_id = header.get("kid")
    if "kid" in header and not (isinstance(key_id, str) and _KEY_ID.fullmatch(key_id)):
        raise Unauthorized("the name of its key is none")
    for name in _DATES:
        _check_date(name, claims)
    return Unproven(algorithm, key_id, claims)


def _check_date(name: str, claims: dict[str, Any]) -> None:
    value = claims.get(name, 0)
    # PyJWT takes "123" and true for numbers.
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise Unauthorized(f"its {name} is not a number")
    if not math.isfinite(value) or abs(value) > _MOST_DIGITS:
        raise Unauthorized(f"its {name} is out of range")


def _object_of(part: str) -> dict[str, Any]:
    try:
        text = _bytes_of(part).decode("utf-8")
        said = json.loads(text, object_pairs_hook=_unique, parse_constant=_refuse_constant)
        # Half of a surrogate pair can stand in an escape, and in nothing that is made of it later.
        json.dumps(said, ensure_ascii=False).encode("utf-8")
    except (ValueError, RecursionError):
        raise Unauthorized("it cannot be read") from None
    if not isinstance(said, dict):
        raise Unauthorized("it cannot be read")
    return said


def _bytes_of(part: str) -> bytes:
    if not _PART.fullmatch(part) or len(part) % 4 == 1:
        raise Unauthorized("it cannot be read")
    data = urlsafe_b64decode(part + "=" * (-len(part) % 4))
    # SECURITY: bits that decoding ignores would give one token many spellings.
    if urlsafe_b64encode(data).rstrip(b"=") != part.encode("ascii"):
        raise Unauthorized("it cannot be read")
    return data


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    said = dict(pairs)
    if len(said) != len(pairs):
        raise ValueError("a name stands there twice")
    return said


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is no number of JSON")
