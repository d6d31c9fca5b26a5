"""The examples of RFC 7515, appendix A, are read as they are meant: all have ended in 2011, or are none."""

from __future__ import annotations

from base64 import urlsafe_b64decode

import pytest

from tests.unit.admission.proving import Published, make_tokens, why_not

CLAIMS = "eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ"
SECRET = "AyM1SysPpbyDfgZld3umj1qzKObwVMkoqQ-EstJQLr_T-1qS0gZH75aKtMN3Yj0iPS4hcgUuTwjAzZr1Z9CAow"  # noqa: S105 - published
HS256 = f"eyJ0eXAiOiJKV1QiLA0KICJhbGciOiJIUzI1NiJ9.{CLAIMS}.dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"
RS256 = (
    f"eyJhbGciOiJSUzI1NiJ9.{CLAIMS}."
    "cC4hiUPoj9Eetdgtv3hF80EGrhuB__dzERat0XF9g2VtQgr9PJbu3XOiZj5RZmh7AAuHIm4Bh-0Qc_lF5YKt_O8W2Fp5jujGbds9uJdb"
    "F9CUAr7t1dnZcAcQjbKBYNX4BAynRFdiuB--f_nZLgrnbyTyWzO75vRK5h6xBArLIARNPvkSjtQBMHlb1L07Qe7K0GarZRmB_eSN9383"
    "LcOLn6_dO--xi12jzDwusC-eOkHWEsqtFZESc6BfI7noOPqvhJ1phCnvWh6IeYI2w9QOYEUipUTI8np6LbgGY9Fs98rqVt5AXLIhWkWy"
    "wlVmtVrBp0igcN_IoypGlUPQGe77Rw"
)
RSA_KEY = {
    "kty": "RSA",
    "e": "AQAB",
    "n": "ofgWCuLjybRlzo0tZWJjNiuSfb4p4fAkd_wWJcyQoTbji9k0l8W26mPddxHmfHQp-Vaw-4qPCJrcS2mJPMEzP1Pt0Bm4d4QlL-y"
    "RT-SFd2lZS-pCgNMsD1W_YpRPEwOWvG6b32690r2jZ47soMZo9wGzjb_7OMg0LOL-bSf63kpaSHSXndS5z5rexMdbBYUsLA9e-KXBdQOS-UT"
    "o7WTBEMa2R2CapHg665xsmtdVMTBQY4uDZlxvb3qCo5ZwKh9kG4LT6_I5IhlJH7aGhyxXFvUK-DWNmoudF8NAco9_h9iaGNj8q2ethFkML"
    "s91kzk2PAcDTW9gb54h4FRWyuXpoQ",
}
ES256 = (
    f"eyJhbGciOiJFUzI1NiJ9.{CLAIMS}."
    "DtEhU3ljbEg8L38VWAfUAqOyKAM6-Xx-F4GawxaepmXFCgfTjDxw5djxLa8ISlSApmWQxfKTUJqPP3-Kg6NU1Q"
)
EC_KEY = {
    "kty": "EC",
    "crv": "P-256",
    "x": "f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU",
    "y": "x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0",
}
ES512 = (
    "eyJhbGciOiJFUzUxMiJ9.UGF5bG9hZA."
    "AdwMgeerwtHoh-l192l60hp9wAHZFVJbLfD_UxMi70cwnZOYaRI1bKPWROc-mZZqwqT2SI-KGDKB34XO0aw_7XdtAG8GaSwFKdCAPZgo"
    "XD2YBJZCPEX3xKpRwcdOO8KpEHwJjyqOgzDO7iKvU8vcnwNrmxYbSW9ERBXukOXolLzeO_Jn"
)
UNSECURED = f"eyJhbGciOiJub25lIn0.{CLAIMS}."


def another(token: str) -> str:
    """The same with a letter in the middle of its signature changed."""
    at = len(token) - 20
    return token[:at] + ("A" if token[at] != "A" else "B") + token[at + 1 :]


@pytest.mark.parametrize("token", [RS256, ES256])
def test_public_keys(token: str) -> None:
    published = Published()
    published.fetch = lambda _url: {"keys": [RSA_KEY, EC_KEY]}  # type: ignore[method-assign]
    tokens = make_tokens(published, issuer={"algorithms": ["RS256", "ES256"]})

    assert why_not(tokens, token) == "it has expired"
    assert why_not(tokens, another(token)) == "its signature is not valid"


def test_a_shared_secret(monkeypatch: pytest.MonkeyPatch) -> None:
    # The key of the example is of any bytes; in a file it would be text.
    tokens = make_tokens(issuer={"algorithms": "HS256", "jwks_url": None, "secret": "x" * 32})
    (issuer,) = tokens._issuers._all  # noqa: SLF001 - see above
    keys = issuer.keys_for({}, waits=True)
    (key,) = keys.candidates("HS256", None)
    monkeypatch.setattr(keys, "_keys", (key._replace(key=urlsafe_b64decode(SECRET + "==")),))

    assert why_not(tokens, HS256) == "it has expired"
    assert why_not(tokens, another(HS256)) == "its signature is not valid"


def test_what_is_no_token() -> None:
    published = Published()
    published.fetch = lambda _url: {"keys": [RSA_KEY, EC_KEY]}  # type: ignore[method-assign]
    tokens = make_tokens(published, issuer={"algorithms": ["RS256", "ES512"]})

    assert why_not(tokens, UNSECURED) == "it cannot be read"
    assert why_not(tokens, ES512) == "it cannot be read"
