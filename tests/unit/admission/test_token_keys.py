"""Published keys that are not for tokens, or not strong enough, prove nothing."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.support.tokens import Signer, claims, encoded
from tests.unit.admission.proving import Published, make_tokens, why_not

RSA = Signer()
EC = Signer("e1", "ES256")
WEAK: dict[str, Callable[[], dict[str, object]]] = {
    "1024 bits": lambda: Signer("k1", number=7, bits=1_024).jwk(),
    "for encryption": lambda: RSA.jwk(use="enc"),
    "for signing alone": lambda: RSA.jwk(key_ops=["sign"]),
    "operations that are no list": lambda: RSA.jwk(key_ops="verify"),
    "for another algorithm": lambda: RSA.jwk(alg="RS512"),
    "for no algorithm that there is": lambda: RSA.jwk(alg=7),
    "a shared secret": lambda: {"kty": "oct", "kid": "k1", "k": encoded(b"x" * 32)},
    "no modulus": lambda: {"kty": "RSA", "kid": "k1", "e": "AQAB"},
    "a modulus that is none": lambda: RSA.jwk(n="!"),
    "an exponent of 1": lambda: RSA.jwk(e="AQ"),
    "a name that is none": lambda: RSA.jwk(kid=["k1"]),
    "no kind": lambda: RSA.jwk(kty=None),
    "a kind that is none": lambda: RSA.jwk(kty=["RSA"]),
}


@pytest.mark.parametrize("jwk", WEAK.values(), ids=WEAK)
def test_a_published_key_that_is_not_for_this(jwk: Callable[[], dict[str, object]]) -> None:
    key = jwk()
    published = Published()
    published.fetch = lambda _url: {"keys": [key, "x", None, 1]}  # type: ignore[method-assign]
    tokens = make_tokens(published)
    signer = Signer("k1", number=7, bits=1_024) if key == WEAK["1024 bits"]() else RSA

    assert why_not(tokens, signer.sign(claims())) == "its key is not one of its issuer's"


def test_a_point_that_is_not_on_its_curve() -> None:
    published = Published()
    published.fetch = lambda _url: {"keys": [EC.jwk(y=encoded(b"\1" * 32)), EC.jwk(crv="P-384")]}  # type: ignore[method-assign]
    tokens = make_tokens(published, issuer={"algorithms": "ES256"})

    assert why_not(tokens, EC.sign(claims())) == "its key is not one of its issuer's"
