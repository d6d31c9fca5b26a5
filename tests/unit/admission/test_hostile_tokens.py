"""Tokens that must not pass, after the groups of Project Wycheproof, RFC 7515, RFC 7519 and RFC 8725.

Each is a good one but for what its test says, so that a gateway that did not look would take it.
"""

from __future__ import annotations

import hashlib
import hmac
import json
from base64 import b64encode

import pytest
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from falcongate.admission.tokens import Tokens
from tests.support.tokens import Signer, claims, encoded, now_s
from tests.unit.admission.proving import Published, make_tokens, why_not

RSA = Signer()
EC = Signer("e1", "ES256")
MALLORY = Signer("k1", number=1)
NONES = ["none", "None", "NONE", "nOnE", "", " none", "none\0", "NoNe "]


@pytest.fixture
def tokens() -> Tokens:
    published = Published(RSA, EC)
    return make_tokens(published, issuer={"algorithms": ["RS256", "ES256"]})


@pytest.mark.parametrize(
    "signer", [RSA, EC, Signer("x", "PS512"), Signer("o", "EdDSA"), Signer("p", "ES512")]
)
def test_the_good_one_passes(signer: Signer) -> None:
    tokens = make_tokens(Published(signer), issuer={"algorithms": signer.algorithm})

    assert why_not(tokens, signer.sign(claims())) == ""


@pytest.mark.parametrize("algorithm", NONES)
@pytest.mark.parametrize("signature", ["", "AA", encoded(b"x" * 256)])
def test_a_token_without_a_signature(tokens: Tokens, algorithm: str, signature: str) -> None:
    token = f"{encoded(RSA.header(alg=algorithm))}.{encoded(claims())}.{signature}"

    assert why_not(tokens, token)


@pytest.mark.parametrize(
    "algorithm", [None, 1, True, ["RS256"], {"RS256": 1}, "rs256", "RS256 ", "HS256", "RS1", "\uff32S256"]
)
def test_an_algorithm_that_is_not_the_issuers(tokens: Tokens, algorithm: object) -> None:
    assert why_not(tokens, RSA.sign(claims(), alg=algorithm))


def secrets_of_public_keys() -> dict[str, bytes]:
    """What a careless verifier would take for the shared secret."""
    public = RSA.private.public_key()
    form = serialization.PublicFormat.SubjectPublicKeyInfo
    return {
        "PEM": RSA.pem,
        "PEM without its last line break": RSA.pem.strip(),
        "DER": public.public_bytes(serialization.Encoding.DER, form),
        "PKCS1": public.public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.PKCS1),
        "JWK": json.dumps(RSA.jwk()).encode(),
        "modulus": RSA.jwk()["n"].encode(),
        "nothing": b"",
    }


@pytest.mark.parametrize("secret", secrets_of_public_keys().values(), ids=secrets_of_public_keys())
@pytest.mark.parametrize("name", ["HS256", "HS384", "HS512"])
def test_a_public_key_taken_for_a_shared_secret(tokens: Tokens, secret: bytes, name: str) -> None:
    parts = f"{encoded(RSA.header(alg=name))}.{encoded(claims())}"
    digest = getattr(hashlib, f"sha{name[2:]}")
    forged = f"{parts}.{encoded(hmac.new(secret, parts.encode(), digest).digest())}"

    assert why_not(tokens, forged)


def tampered() -> dict[str, str]:
    """A good token, changed in one place."""
    header, payload, signature = RSA.sign(claims()).split(".")
    other = encoded(claims("root"))
    data = RSA.signature(f"{header}.{payload}".encode())
    return {
        "another payload": f"{header}.{other}.{signature}",
        "another header": f"{encoded(RSA.header(x=1))}.{payload}.{signature}",
        "another key": MALLORY.sign(claims()),
        "no signature": f"{header}.{payload}.",
        "no dot": f"{header}.{payload}",
        "half a signature": f"{header}.{payload}.{signature[:170]}",
        "a byte more": f"{header}.{payload}.{encoded(data + b'x')}",
        "a byte less": f"{header}.{payload}.{encoded(data[:-1])}",
        "a zero before": f"{header}.{payload}.{encoded(bytes(1) + data)}",
        "one bit": f"{header}.{payload}.{encoded(data[:-1] + bytes((data[-1] ^ 1,)))}",
        "all zero": f"{header}.{payload}.{encoded(bytes(256))}",
        "swapped parts": f"{payload}.{header}.{signature}",
        "no header": f".{payload}.{signature}",
        "no payload": f"{header}..{signature}",
        "four parts": f"{header}.{payload}.{signature}.{signature}",
        "five parts, as if encrypted": f"{header}.a.b.{payload}.{signature}",
        "nothing but dots": "..",
        "nothing": "",
        "padding": f"{header}.{payload}.{signature}==",
        "padding in the payload": f"{header}.{payload}=.{signature}",
        "base64 in place of base64url": f"{header}.{payload}.{b64encode(data).decode()}",
        "a space": f"{header}.{payload} .{signature}",
        "a line break": f"{header}.{payload}.{signature[:9]}\n{signature[9:]}",
        "bits that decoding ignores": f"{header}.{payload}.{signature[:-1]}{chr(ord(signature[-1]) + 1)}",
        "JSON serialization": json.dumps({"payload": payload, "protected": header, "signature": signature}),
        "wide letters": f"{header}.{payload}.{signature}".replace("A", "\xc1"),
    }


@pytest.mark.parametrize("token", tampered().values(), ids=tampered())
def test_a_token_that_was_changed(tokens: Tokens, token: str) -> None:
    if token:
        assert why_not(tokens, token)


def ecdsa_forgeries() -> dict[str, str]:
    """Signatures of ECDSA that are none."""
    parts = f"{encoded(EC.header())}.{encoded(claims())}"
    der = EC.private.sign(parts.encode(), ec.ECDSA(hashes.SHA256()))
    raw = EC.signature(parts.encode())
    order = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551
    zero, one = bytes(32), (1).to_bytes(32)
    wrong = {
        "DER in place of r and s": der,
        "r = s = 0": zero + zero,
        "r = 0": zero + raw[32:],
        "s = 0": raw[:32] + zero,
        "r = s = n": order.to_bytes(32) * 2,
        "r = 1, s = 0": one + zero,
        "r + n": raw[:32] + (int.from_bytes(raw[32:]) + order).to_bytes(33),
        "too short": raw[:-1],
        "too long": raw + b"\0",
        "longer numbers": b"\0" + raw[:32] + b"\0" + raw[32:],
        "swapped": raw[32:] + raw[:32],
    }
    return {why: f"{parts}.{encoded(signature)}" for why, signature in wrong.items()}


@pytest.mark.parametrize("token", ecdsa_forgeries().values(), ids=ecdsa_forgeries())
def test_a_signature_of_ecdsa_that_is_none(tokens: Tokens, token: str) -> None:
    assert why_not(tokens, token) == "its signature is not valid"


@pytest.mark.parametrize("said", ["ES384", "ES512", "EdDSA", "ES256K", "PS256", "RS512"])
def test_a_key_used_with_another_algorithm_than_its_own(said: str) -> None:
    signers = [RSA, EC]
    allowed = ["RS256", "RS512", "PS256", "ES256", "ES384", "ES512", "EdDSA"]
    tokens = make_tokens(Published(*signers), issuer={"algorithms": allowed})

    for signer in signers:
        assert why_not(tokens, signer.sign(claims(), alg=said))


def test_rsa_with_the_padding_of_the_other_family() -> None:
    published = Signer("k1", "PS256")
    tokens = make_tokens(Published(published), issuer={"algorithms": ["RS256", "PS256"]})

    assert why_not(tokens, published.sign(claims())) == ""
    assert why_not(tokens, RSA.sign(claims()))
    assert why_not(tokens, RSA.sign(claims(), alg="PS256")) == "its signature is not valid"


@pytest.mark.parametrize(
    "key_id",
    [
        "../../../../dev/null", "' OR 1=1 --", "http://evil.test/key", "", 1, True, ["k1"], {"kid": "k1"},
        "k" * 300,
        "k1\0", "k1\n", "K1", " k1", "\uff4b1", "file:///etc/passwd", "$(id)",
    ],
)  # fmt: skip
def test_a_key_that_has_no_such_name(key_id: object) -> None:
    published = Published(RSA)
    assert why_not(make_tokens(published), MALLORY.sign(claims(), kid=key_id))
    assert set(published.asked) <= {"http://auth:8001/jwks"}


@pytest.mark.parametrize(
    "header",
    [
        {"jwk": MALLORY.jwk()},
        {"jku": "http://evil.test/jwks"},
        {"x5u": "http://evil.test/cert"},
        {"x5c": ["MIIB"], "x5t": "x"},
        {"jwk": MALLORY.jwk(), "kid": "mallory"},
    ],
)
def test_a_key_that_the_token_brings_along(header: dict[str, object]) -> None:
    published = Published(RSA)
    tokens = make_tokens(published)

    assert why_not(tokens, MALLORY.sign(claims(), **header))
    assert set(published.asked) <= {"http://auth:8001/jwks"}


def test_a_good_token_may_bring_a_key_along_as_nobody_looks(tokens: Tokens) -> None:
    assert why_not(tokens, RSA.sign(claims(), jwk=MALLORY.jwk(), jku="http://evil.test/")) == ""


@pytest.mark.parametrize(
    "header",
    [
        {"crit": ["exp"], "exp": 1},
        {"crit": []},
        {"crit": ["b64"], "b64": False},
        {"b64": False},
        {"b64": True},
        {"crit": "x"},
        {"zip": "DEF"},
        {"typ": "id_token+jwt"},
        {"typ": "logout+jwt"},
        {"typ": "dpop+jwt"},
        {"typ": "secevent+jwt"},
        {"typ": 1},
        {"typ": ""},
        {"typ": None},
    ],
)
def test_a_header_that_asks_for_what_is_not_understood(tokens: Tokens, header: dict[str, object]) -> None:
    assert why_not(tokens, RSA.sign(claims(), **header))


@pytest.mark.parametrize("kind", ["JWT", "jwt", "at+jwt", "AT+JWT", "application/at+jwt"])
def test_the_types_that_are_known(tokens: Tokens, kind: str) -> None:
    assert why_not(tokens, RSA.sign(claims(), typ=kind)) == ""


NOW = now_s()


@pytest.mark.parametrize(
    "said",
    [
        {"exp": None}, {"exp": NOW - 31}, {"exp": -1}, {"exp": -1.5}, {"exp": 0}, {"exp": str(NOW + 600)},
        {"exp": True}, {"exp": [NOW + 600]}, {"exp": {}}, {"exp": "never"}, {"exp": 10**20}, {"exp": 1e300},
        {"nbf": NOW + 3_600}, {"nbf": "1"}, {"nbf": True}, {"iat": NOW + 3_600}, {"iat": "x"}, {"sub": 1},
        {"sub": ["jane"]}, {"jti": 1}, {"aud": "another"}, {"aud": ["another"]}, {"aud": 1},
    ],
)  # fmt: skip
def test_claims_that_are_not_as_they_must_be(tokens: Tokens, said: dict[str, object]) -> None:
    assert why_not(tokens, RSA.sign(claims(**said)))


@pytest.mark.parametrize(("name", "in_s"), [("exp", 600.5), ("exp", -5), ("nbf", 5), ("iat", 5)])
def test_claims_that_are_within_what_is_allowed(tokens: Tokens, name: str, in_s: float) -> None:
    assert why_not(tokens, RSA.sign(claims(**{name: now_s() + in_s}))) == ""


def written(json_text: str) -> str:
    """A token whose payload is this text, well signed."""
    return RSA.sign_parts(encoded(RSA.header()), encoded(json_text))


@pytest.mark.parametrize(
    "text",
    [
        '{"exp": NaN}', '{"exp": Infinity}', '{"exp": -Infinity}', '{"exp": 1e400}',
        '{"exp": 1' + "0" * 5_000 + "}", '{"exp": SOON, "exp": SOON}',
        '{"exp": SOON, "sub": "jane", "sub": "root"}',
        '{"exp": SOON, "x": {"a": 1, "a": 2}}', '{"exp": ' + "[" * 3_000,
        "[" * 3_000 + "]" * 3_000,
        "[]", '"text"', "1", "null", "", "{", "{}{}", '{"exp": SOON} x', "{'exp': SOON}",
        '{"exp": SOON, "sub": "\\ud800"}', '\ufeff{"exp": SOON}',
        '{"exp": SOON, "\\u0065xp": PAST}',
    ],
)  # fmt: skip
def test_a_payload_that_can_be_read_in_two_ways_or_none(tokens: Tokens, text: str) -> None:
    said = text.replace("SOON", str(now_s() + 600)).replace("PAST", str(now_s() - 600))

    assert why_not(tokens, written(said))


def test_a_payload_that_is_not_utf_8(tokens: Tokens) -> None:
    payload = encoded(b'{"exp": %d, "sub": "\xff"}' % (NOW + 600))

    assert why_not(tokens, RSA.sign_parts(encoded(RSA.header()), payload)) == "it cannot be read"


def test_a_header_that_says_a_thing_twice(tokens: Tokens) -> None:
    header = encoded('{"alg": "RS256", "kid": "k1", "kid": "k1"}')

    assert why_not(tokens, RSA.sign_parts(header, encoded(claims()))) == "it cannot be read"


def test_a_token_that_is_too_long_is_not_even_looked_at(tokens: Tokens) -> None:
    assert why_not(tokens, RSA.sign(claims(x="x" * 9_000))) == "it is too long"
    assert why_not(tokens, "x" * 100_000) == "it is too long"
