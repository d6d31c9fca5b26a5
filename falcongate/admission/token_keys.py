"""Keys that tokens are proven with, out of what issuers publish (RFC 7517); pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, NamedTuple

from jwt.algorithms import ECAlgorithm, OKPAlgorithm, RSAAlgorithm
from jwt.exceptions import PyJWTError

from falcongate.config.public_keys import algorithms_of

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

_READERS: Final[Mapping[str, Callable[[dict[str, Any]], object]]] = {
    "RSA": RSAAlgorithm.from_jwk,
    "EC": ECAlgorithm.from_jwk,
    "OKP": OKPAlgorithm.from_jwk,
}
# SECURITY: none of the private parts, were they published by mistake.
_PUBLIC: Final = ("kty", "n", "e", "crv", "x", "y")
_MOST_KEYS: Final = 100
_MOST_TRIED: Final = 8


class Key(NamedTuple):
    """A key, the name that tokens call it by ("" if it has none), and the algorithms it is for."""

    key_id: str
    key: Any
    algorithms: frozenset[str]


def keys_of(document: Mapping[str, object]) -> tuple[Key, ...]:
    """The keys in a published set that are for signatures and strong enough. Raises ValueError.

    What cannot be understood is passed over, as RFC 7517, 5 asks.
    """
    published = document.get("keys")
    if not isinstance(published, list):
        raise ValueError("there is no list of keys in it")  # noqa: TRY004  # of a document
    keys = (_key(one) for one in published[:_MOST_KEYS] if isinstance(one, dict))
    return tuple(key for key in keys if key is not None)


def fitting(keys: Sequence[Key], algorithm: str, key_id: str | None) -> Sequence[Key]:
    """Those that a token may have been signed with: the one it names, else a few that fit its algorithm."""
    if key_id is None:
        return [key for key in keys if algorithm in key.algorithms][:_MOST_TRIED]
    return [key for key in keys if key.key_id == key_id and algorithm in key.algorithms][:_MOST_TRIED]


def _key(published: dict[str, Any]) -> Key | None:
    uses, name = published.get("key_ops"), published.get("kid", "")
    if published.get("use", "sig") != "sig" or not isinstance(name, str):
        return None
    if uses is not None and not (isinstance(uses, list) and "verify" in uses):
        return None
    kind = published.get("kty")
    reader = _READERS.get(kind) if isinstance(kind, str) else None
    if reader is None:
        return None
    try:
        key = reader({part: published[part] for part in _PUBLIC if part in published})
    except (PyJWTError, ValueError, TypeError):
        return None
    algorithms = algorithms_of(key)
    if "alg" in published:
        algorithms &= {str(published["alg"])}
    return Key(name, key, algorithms) if algorithms else None
