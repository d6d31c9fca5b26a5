"""Public keys in PEM, and which algorithms of tokens go with a key."""

from __future__ import annotations

from typing import Final

from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePublicKey
from cryptography.hazmat.primitives.asymmetric.ed448 import Ed448PublicKey
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.hazmat.primitives.serialization import load_pem_public_key

PublicKey = RSAPublicKey | EllipticCurvePublicKey | Ed25519PublicKey | Ed448PublicKey

_RSA: Final = frozenset(f"{kind}{bits}" for kind in ("RS", "PS") for bits in (256, 384, 512))
_BY_CURVE: Final = {"secp256r1": "ES256", "secp384r1": "ES384", "secp521r1": "ES512"}
_LEAST_RSA_BITS: Final = 2_048


def load_public_key(pem: bytes) -> PublicKey:
    """The key in a PEM file. Raises ValueError if there is none, or one that no algorithm goes with."""
    try:
        key = load_pem_public_key(pem)
    except Exception as error:  # OpenSSL's errors have no class in common
        raise ValueError("holds no public key in PEM") from error
    if not isinstance(key, PublicKey):
        raise ValueError("holds a key that no algorithm here goes with")  # noqa: TRY004  # of the file
    return key


def algorithms_of(key: object) -> frozenset[str]:
    """The algorithms that a key goes with; none for one that is too weak (RFC 7518, 3.3)."""
    if isinstance(key, RSAPublicKey):
        return _RSA if key.key_size >= _LEAST_RSA_BITS else frozenset()
    if isinstance(key, EllipticCurvePublicKey):
        name = _BY_CURVE.get(key.curve.name)
        return frozenset((name,)) if name else frozenset()
    if isinstance(key, Ed25519PublicKey | Ed448PublicKey):
        return frozenset(("EdDSA",))
    return frozenset()
