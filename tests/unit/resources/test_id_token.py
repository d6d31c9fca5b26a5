"""ID tokens: what must be true of one, each thing wrong in turn."""

from __future__ import annotations

import base64
import json
from datetime import UTC, datetime
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from jwt.algorithms import ECAlgorithm, OKPAlgorithm, RSAAlgorithm

from falcongate.resources.id_token import ASYMMETRIC, NotValid, verified_claims

ISSUER, CLIENT, NONCE = "https://login.example.com", "gateway", "the-nonce-of-this-sign-in"
KEY = rsa.generate_private_key(65_537, 2_048)
OTHER = rsa.generate_private_key(65_537, 2_048)
CURVE = ec.generate_private_key(ec.SECP256R1())
EDWARDS = ed25519.Ed25519PrivateKey.generate()
NOW = int(datetime.now(UTC).timestamp())


def jwk(key: Any, **members: object) -> dict[str, Any]:  # noqa: ANN401
    """The public half as a provider shows it."""
    kinds: dict[type, Any] = {rsa.RSAPrivateKey: RSAAlgorithm, ec.EllipticCurvePrivateKey: ECAlgorithm}
    made = next((kind for cls, kind in kinds.items() if isinstance(key, cls)), OKPAlgorithm)
    return {**json.loads(made.to_jwk(key.public_key())), **members}


KEYS = [jwk(KEY, kid="a", use="sig", alg="RS256"), jwk(CURVE, kid="b"), jwk(EDWARDS, kid="c")]


def token(key: Any = KEY, algorithm: str = "RS256", kid: str | None = "a", **claims: object) -> str:  # noqa: ANN401
    """An ID token as it should be, but for these claims; those that are None are left out."""
    said = {
        "iss": ISSUER, "aud": CLIENT, "sub": "ada", "iat": NOW, "exp": NOW + 86_400, "nonce": NONCE, **claims,
    }  # fmt: skip
    said = {name: value for name, value in said.items() if value is not None}
    return jwt.encode(said, key, algorithm, headers={"kid": kid} if kid else None)


def verify(given: object, keys: object = KEYS, algorithms: frozenset[str] = ASYMMETRIC) -> dict[str, Any]:
    """Its claims, if all is well."""
    return verified_claims(given, keys, issuer=ISSUER, client_id=CLIENT, algorithms=algorithms, nonce=NONCE)


@pytest.mark.parametrize(
    ("given", "keys"),
    [
        (token(), KEYS),
        (token(kid=None), [KEYS[0]]),
        (token(kid=None), KEYS),
        (token(CURVE, "ES256", "b"), KEYS),
        (token(EDWARDS, "EdDSA", "c"), KEYS),
        (token(KEY, "PS256", "d"), [jwk(KEY, kid="d", key_ops=["verify"])]),
        (token(aud=[CLIENT]), KEYS),
        (token(aud=[CLIENT, "other"], azp=CLIENT), KEYS),
    ],
)
def test_one_that_is_as_it_should_be_tells_who_it_is(given: str, keys: object) -> None:
    assert verify(given, keys)["sub"] == "ada"


def test_clocks_may_differ_a_little() -> None:
    now = int(datetime.now(UTC).timestamp())

    assert verify(token(exp=now - 10, iat=now + 10))["sub"] == "ada"


@pytest.mark.parametrize(
    "claims",
    [
        {"iss": "https://other.example.com"}, {"iss": f"{ISSUER}/"}, {"iss": None},
        {"aud": "other"}, {"aud": None}, {"aud": []}, {"aud": [CLIENT, "other"]},
        {"aud": [CLIENT, "other"], "azp": "other"}, {"azp": "other"}, {"azp": 1},
        {"exp": NOW - 60}, {"exp": None}, {"exp": "soon"}, {"iat": None}, {"iat": NOW + 86_400},
        {"nbf": NOW + 86_400}, {"nonce": None}, {"nonce": "another"}, {"nonce": ""}, {"nonce": 7},
        {"sub": None}, {"sub": ""},
    ],
)  # fmt: skip
def test_one_that_says_something_else_is_not_believed(claims: dict[str, object]) -> None:
    with pytest.raises(NotValid):
        verify(token(**claims))


def unsigned(head: dict[str, object]) -> str:
    """A token without a signature that says so, or lies."""
    body = {"iss": ISSUER, "aud": CLIENT, "sub": "ada", "iat": NOW, "exp": NOW + 86_400, "nonce": NONCE}
    parts = (
        base64.urlsafe_b64encode(json.dumps(part).encode()).decode().rstrip("=") for part in (head, body)
    )
    return ".".join([*parts, ""])


PEM = KEY.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()


@pytest.mark.parametrize(
    ("given", "keys"),
    [
        (unsigned({"alg": "none"}), KEYS),
        (unsigned({"alg": "None", "kid": "a"}), KEYS),
        (unsigned({"alg": ["RS256"], "kid": "a"}), KEYS),
        (unsigned({"kid": "a"}), KEYS),
        (unsigned({"alg": "RS256", "kid": "a"}), KEYS),
        (token("a-shared-secret-of-32-bytes-or-more", "HS256"), KEYS),
        (token("a-shared-secret-of-32-bytes-or-more", "HS256"), [{"kty": "oct", "kid": "a", "k": "YQ"}]),
        (token(OTHER), KEYS),
        (token(OTHER, kid=None), KEYS),
        (token(kid="unknown"), KEYS),
        (token(), []),
        (token(), None),
        (token(), "keys"),
        (token(), [*KEYS, jwk(OTHER, kid="a")]),
        (token(kid=None), [jwk(KEY, kid="a"), jwk(OTHER, kid="b")]),
        (token(), [jwk(KEY, kid="a", use="enc")]),
        (token(), [jwk(KEY, kid="a", key_ops=["encrypt"])]),
        (token(), [jwk(KEY, kid="a", alg="PS256")]),
        (token(), [{"kty": "RSA", "kid": "a", "n": "?", "e": "AQAB"}]),
        (token(CURVE, "ES256", "a"), KEYS),
        (token() + "x" * 20_000, KEYS),
        (token()[:-9], KEYS),
        ("", KEYS),
        ("a.b.c", KEYS),
        (None, KEYS),
        (7, KEYS),
    ],
)
def test_one_that_the_provider_has_not_signed_is_not_believed(given: object, keys: object) -> None:
    with pytest.raises(NotValid):
        verify(given, keys)


def test_a_public_key_is_no_shared_secret() -> None:
    head = base64.urlsafe_b64encode(b'{"alg":"HS256","kid":"a"}').decode().rstrip("=")
    assert PEM.startswith("-----BEGIN")

    with pytest.raises(NotValid, match="asymmetric"):
        verify(f"{head}.e30.AAAA")


def test_only_algorithms_that_the_provider_announces() -> None:
    with pytest.raises(NotValid, match="announces"):
        verify(token(), algorithms=frozenset(("ES256",)))
