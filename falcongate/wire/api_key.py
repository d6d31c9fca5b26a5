"""API keys as callers send them: `fg_`, an id that may be shown, `_`, and a secret; pure.

SECURITY: the secret is 32 random bytes, so its plain SHA-256 can lie anywhere: nobody guesses 256 bits,
and what makes passwords' digests slow would only cost the gateway time.
"""

from __future__ import annotations

import hashlib
import re
import secrets
import string
from typing import Final, NamedTuple

from falcongate.wire.bearer import bearer_in

PREFIX: Final = "fg_"
"""How every key of falcongate begins; what does not is somebody else's."""

_FORM: Final = re.compile(r"fg_([0-9a-f]{12})_([0-9A-Za-z]{43})")
_ID: Final = re.compile(r"[0-9a-f]{12}")
_ID_BYTES: Final = 6
_SECRET_BYTES: Final = 32
_SECRET_LENGTH: Final = 43
_SIGNS: Final = string.digits + string.ascii_uppercase + string.ascii_lowercase


class KeyText(NamedTuple):
    """A key taken apart; of its secret only the SHA-256 is kept."""

    id: str
    digest: bytes


def parse_key(text: str) -> KeyText | None:
    """Id and digest of a key; None if none can look like this."""
    found = _FORM.fullmatch(text)
    if found is None:
        return None
    return KeyText(found[1], hashlib.sha256(found[2].encode("ascii")).digest())


def make_key(key_id: str = "") -> str:
    """A new key, with this id if it has one already."""
    number = int.from_bytes(secrets.token_bytes(_SECRET_BYTES), "big")
    signs = []
    for _ in range(_SECRET_LENGTH):
        number, at = divmod(number, len(_SIGNS))
        signs.append(_SIGNS[at])
    return f"{PREFIX}{key_id or secrets.token_hex(_ID_BYTES)}_{''.join(signs)}"


def is_key_id(text: str) -> bool:
    """Whether it could be the id of a key."""
    return _ID.fullmatch(text) is not None


def key_in_bearer(authorization: str) -> str:
    """The key in the value of an `Authorization` field; "" if it has none of ours."""
    text = bearer_in(authorization) or ""
    return text if text.startswith(PREFIX) else ""
