"""Tokens of this test run: keys of issuers, and what is signed with them, well or badly."""

from __future__ import annotations

import datetime as dt
import json
from base64 import urlsafe_b64encode
from collections.abc import Callable, Mapping
from functools import cache
from typing import Any

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from jwt.algorithms import get_default_algorithms

_CURVES: dict[str, Callable[[], ec.EllipticCurve]] = {
    "ES256": ec.SECP256R1,
    "ES384": ec.SECP384R1,
    "ES512": ec.SECP521R1,
}


def now_s() -> int:
    """Unix time as issuers write it."""
    return int(dt.datetime.now(dt.UTC).timestamp())


def encoded(data: bytes | Mapping[str, object] | str) -> str:
    """A part of a token; what is no bytes is written as JSON."""
    if isinstance(data, Mapping):
        data = json.dumps(data, separators=(",", ":")).encode()
    elif isinstance(data, str):
        data = data.encode()
    return urlsafe_b64encode(data).rstrip(b"=").decode("ascii")


@cache
def _private_key(algorithm: str, number: int, bits: int) -> Any:  # noqa: ANN401 - of several libraries' classes
    del number
    if algorithm in _CURVES:
        return ec.generate_private_key(_CURVES[algorithm]())
    if algorithm == "EdDSA":
        return ed25519.Ed25519PrivateKey.generate()
    return rsa.generate_private_key(65_537, bits)


class Signer:
    """A key of an issuer, with a name unless that is empty.

    Those with the same number are the same, made once in a run.
    """

    def __init__(
        self, key_id: str = "k1", algorithm: str = "RS256", *, number: int = 0, bits: int = 2_048
    ) -> None:
        self.key_id = key_id
        self.algorithm = algorithm
        kind = "RSA" if algorithm[:2] in ("RS", "PS") else algorithm
        self.private = _private_key(kind, number, bits)

    @property
    def pem(self) -> bytes:
        """The public key in PEM."""
        public = self.private.public_key()
        pem: bytes = public.public_bytes(
            serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
        )
        return pem

    def jwk(self, **more: object) -> dict[str, Any]:
        """The public key as its issuer publishes it."""
        algorithm: Any = get_default_algorithms()[self.algorithm]
        published: dict[str, Any] = algorithm.to_jwk(self.private.public_key(), as_dict=True)
        published.pop("key_ops", None)
        named = {"kid": self.key_id} if self.key_id else {}
        return {**published, **named, "use": "sig", "alg": self.algorithm, **more}

    def signature(self, data: bytes) -> bytes:
        """The signature of anything."""
        algorithm: Any = get_default_algorithms()[self.algorithm]
        made: bytes = algorithm.sign(data, self.private)
        return made

    def header(self, **more: object) -> dict[str, object]:
        """The header of its tokens."""
        named = {"kid": self.key_id} if self.key_id else {}
        return {"alg": self.algorithm, "typ": "JWT", **named, **more}

    def sign(self, claims: Mapping[str, object], **header: object) -> str:
        """A token with these claims; `header` adds to its header."""
        return self.sign_parts(encoded(self.header(**header)), encoded(claims))

    def sign_parts(self, header: str, payload: str) -> str:
        """Two parts, whatever they are, and the signature that is right for them."""
        return f"{header}.{payload}.{encoded(self.signature(f'{header}.{payload}'.encode()))}"


def claims(subject: str = "jane", *, lives_s: float = 600, **more: object) -> dict[str, object]:
    """What a good token says; `more` adds or replaces, None takes away."""
    now = now_s()
    said = {"sub": subject, "iat": now, "exp": now + lives_s, "tenant_id": "t1", **more}
    return {name: value for name, value in said.items() if value is not None}
