"""Credentials of the scheme Bearer, as they stand in an `Authorization` field (RFC 6750, 2.1); pure."""

from __future__ import annotations

from typing import Final

_SCHEME: Final = "bearer "


def bearer_in(authorization: str) -> str | None:
    """What stands behind Bearer, which may be anything; None if the field is of another scheme, or empty."""
    if authorization[: len(_SCHEME)].lower() != _SCHEME:
        return None
    return authorization[len(_SCHEME) :].strip(" ")
