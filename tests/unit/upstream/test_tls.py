"""What an error of a TLS handshake says of the service."""

from __future__ import annotations

import ssl

import pytest

from falcongate.config.tls import TlsSettings
from falcongate.errors import CERTIFICATE_REFUSED, TLS_ALERT, TLS_NOT_SPOKEN, FailureKind
from falcongate.upstream.tls import service_context, what_failed


def error_of(reason: str) -> ssl.SSLError:
    """As OpenSSL's library gives it."""
    error = ssl.SSLError(1, f"[SSL: {reason}] it failed (_ssl.c:1006)")
    error.reason = reason
    return error


def refused(code: int, message: str) -> ssl.SSLCertVerificationError:
    error = ssl.SSLCertVerificationError(1, "certificate verify failed")
    error.verify_code, error.verify_message = code, message
    return error


@pytest.mark.parametrize(
    ("reason", "kind", "told"),
    [
        ("TLSV1_ALERT_PROTOCOL_VERSION", TLS_ALERT, "the service refused: protocol version"),
        ("SSLV3_ALERT_HANDSHAKE_FAILURE", TLS_ALERT, "the service refused: handshake failure"),
        ("TLSV13_ALERT_CERTIFICATE_REQUIRED", TLS_ALERT, "the service refused: certificate required"),
        ("WRONG_VERSION_NUMBER", TLS_NOT_SPOKEN, "what answers there does not speak TLS"),
        ("UNSUPPORTED_PROTOCOL", TLS_NOT_SPOKEN, "the service speaks no version of TLS that is safe"),
        ("NO_SHARED_CIPHER", TLS_NOT_SPOKEN, "no TLS could be agreed on: no shared cipher"),
    ],
)
def test_what_was_not_agreed_on(reason: str, kind: FailureKind, told: str) -> None:
    found, why = what_failed(error_of(reason))
    assert found is kind
    assert why.startswith(told)


@pytest.mark.parametrize(
    ("code", "told"),
    [
        (10, "it has expired"),
        (62, "its name does not match"),
        (23, "it is revoked"),
        (99, "cannot be verified"),
    ],
)
def test_why_a_certificate_is_refused(code: int, told: str) -> None:
    found, why = what_failed(refused(code, "as OpenSSL says"))
    assert found is CERTIFICATE_REFUSED
    assert told in why
    assert "(as OpenSSL says)" in why


def test_an_error_without_a_reason_is_told_as_it_is() -> None:
    assert what_failed(ValueError("odd")) == (TLS_NOT_SPOKEN, "no TLS could be agreed on: odd")


def test_nothing_is_verified_less_than_was_asked_for() -> None:
    context = service_context(TlsSettings())
    assert (context.verify_mode, context.check_hostname) == (ssl.CERT_REQUIRED, True)
    assert context.minimum_version == ssl.TLSVersion.TLSv1_2
    assert not context.hostname_checks_common_name
