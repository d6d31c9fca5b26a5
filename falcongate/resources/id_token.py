"""The ID token of a provider: what it says of a user, if all that must be true of it is. Pure."""

from __future__ import annotations

from hmac import compare_digest
from typing import TYPE_CHECKING, Any, Final

import jwt
from jwt.exceptions import PyJWKError, PyJWTError

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping

# SECURITY: `none` would need no key, and HS256 one that is not among the provider's public ones.
ASYMMETRIC: Final = frozenset(
    ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA")
)
"""Algorithms that an ID token may be signed with."""

_LEEWAY_S: Final = 30
_MAX_LENGTH: Final = 16_384
_MUST_HAVE: Final = ("iss", "sub", "aud", "exp", "iat")


class NotValid(Exception):
    """The token is not to be believed. The text says why; it is for the log."""


def verified_claims(
    token: object,
    keys: object,
    *,
    issuer: str,
    client_id: str,
    algorithms: Collection[str],
    nonce: str,
) -> dict[str, Any]:
    """The claims of an ID token, checked as OpenID Connect Core, 3.1.3.7 says. Raises NotValid.

    `keys` are the provider's, as in the `keys` of its JWKS; `algorithms` those that it says it signs with.
    """
    if not isinstance(token, str) or len(token) > _MAX_LENGTH:
        raise NotValid("there is no ID token, or one that is too long")
    try:
        head = jwt.get_unverified_header(token)
        algorithm = head.get("alg")
        if not isinstance(algorithm, str) or algorithm not in ASYMMETRIC.intersection(algorithms):
            raise NotValid("its algorithm is not one that the provider announces, or not asymmetric")
        claims: dict[str, Any] = jwt.decode(
            token,
            _key(keys, head.get("kid"), algorithm),
            algorithms=[algorithm],
            audience=client_id,
            issuer=issuer,
            leeway=_LEEWAY_S,
            options={"require": list(_MUST_HAVE)},
        )
    except (PyJWTError, ValueError, RecursionError) as error:
        raise NotValid(str(error)) from None
    _check_parties(claims, client_id)
    given = claims.get("nonce")
    if not isinstance(given, str) or not compare_digest(given.encode(), nonce.encode()):
        raise NotValid("its nonce is another sign-in's")
    return claims


def _check_parties(claims: Mapping[str, Any], client_id: str) -> None:
    audience, party = claims["aud"], claims.get("azp")
    if isinstance(audience, list) and len(audience) > 1 and party is None:
        raise NotValid("it is for several, and does not say to whom it was given")
    if party is not None and party != client_id:
        raise NotValid("it was given to another client")
    if not isinstance(claims["sub"], str) or not claims["sub"]:
        raise NotValid("it names nobody")


def _key(keys: object, key_id: object, algorithm: str) -> jwt.PyJWK:
    """The one key that the token names, or without a name the only one that there is."""
    fitting = [key for key in _keys_in(keys) if _fits(key, algorithm)]
    if key_id is not None:
        fitting = [key for key in fitting if key.get("kid") == key_id]
    if len(fitting) != 1:
        raise NotValid(f"{len(fitting)} keys of the provider could be the one that it is signed with")
    try:
        return jwt.PyJWK(fitting[0], algorithm)
    except PyJWKError as error:
        raise NotValid(str(error)) from None


def _keys_in(keys: object) -> Iterable[dict[str, Any]]:
    return [key for key in keys if isinstance(key, dict)] if isinstance(keys, list) else []


def _fits(key: Mapping[str, Any], algorithm: str) -> bool:
    kinds = {"R": "RSA", "P": "RSA", "E": "EC"}
    kind = "OKP" if algorithm == "EdDSA" else kinds[algorithm[0]]
    operations = key.get("key_ops", ["verify"])
    return (
        key.get("kty") == kind
        and key.get("use", "sig") == "sig"
        and isinstance(operations, list)
        and "verify" in operations
        and key.get("alg", algorithm) == algorithm
    )
