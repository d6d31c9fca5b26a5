"""What certificates say of themselves, and why one is refused, as far as people should be told."""

from __future__ import annotations

import datetime as dt
import ssl
from pathlib import Path
from typing import Final

from cryptography import x509

_SOON: Final = dt.timedelta(days=14)
# By OpenSSL's number of it (x509_vfy.h).
_WHY_REFUSED: Final = {
    2: "no authority that is trusted has signed it, or one between is missing",
    9: "it is not valid yet",
    10: "it has expired",
    18: "it is self-signed",
    19: "the authority that has signed it is not trusted",
    20: "no authority that is trusted has signed it, or one between is missing",
    21: "no authority that is trusted has signed it, or one between is missing",
    23: "it is revoked",
    62: "its name does not match",
    64: "its address does not match",
}

NOT_TLS: Final = ("WRONG_VERSION_NUMBER", "HTTP_REQUEST", "RECORD_LAYER_FAILURE", "PACKET_LENGTH_TOO_LONG")
"""What OpenSSL calls an answer that is no TLS."""


def warning_of_end(path: str) -> str:
    """What an owner should know of the dates of the first certificate in a PEM file; "" if all is well.

    "" too if there is none that can be read: whoever uses the file says so.
    """
    try:
        certificate = x509.load_pem_x509_certificate(Path(path).read_bytes())
    except (OSError, ValueError):
        return ""
    return _end_of(certificate, f"the certificate in {path}")


def warning_of_shown(der: bytes) -> str:
    """The same of the certificate that a peer has shown, in DER."""
    try:
        return _end_of(x509.load_der_x509_certificate(der), "its certificate")
    except ValueError:
        return "its certificate cannot be read"


def _end_of(certificate: x509.Certificate, name: str) -> str:
    now = dt.datetime.now(dt.UTC)
    begins, ends = certificate.not_valid_before_utc, certificate.not_valid_after_utc
    if ends < now:
        return f"{name} has expired, on {ends:%Y-%m-%d}"
    if begins > now:
        return f"{name} is not valid before {begins:%Y-%m-%d}"
    if ends - now < _SOON:
        days = (ends - now).days
        return f"{name} expires in {days} day{'s' * (days != 1)}, on {ends:%Y-%m-%d}"
    return ""


def why_refused(error: BaseException) -> str:
    """Why a peer's certificate was refused, in words; "" if that is not what an error or its cause tells."""
    cause = _of_tls(error)
    if not isinstance(cause, ssl.SSLCertVerificationError):
        return ""
    return f"{_WHY_REFUSED.get(cause.verify_code, 'it cannot be verified')} ({cause.verify_message})"


def is_no_tls(error: BaseException) -> bool:
    """Whether an error, or its cause, tells that a peer has answered a handshake with something else."""
    cause = _of_tls(error)
    return cause is not None and any(name in str(cause.reason) for name in NOT_TLS)


def _of_tls(error: BaseException) -> ssl.SSLError | None:
    cause: BaseException | None = error
    while cause is not None and not isinstance(cause, ssl.SSLError):
        cause = cause.__cause__ or cause.__context__
    return cause


def seconds_until(date: str) -> float:
    """How long it is to a date as `getpeercert` writes it; negative if that is over."""
    return ssl.cert_time_to_seconds(date) - dt.datetime.now(dt.UTC).timestamp()


def why_no_pair(error: Exception) -> str:
    """Why OpenSSL does not take a certificate and its key, in an operator's words."""
    if "KEY_VALUES_MISMATCH" in str(error):
        return "the key is another certificate's"
    if isinstance(error, OSError) and not isinstance(error, ssl.SSLError):
        return str(error.strerror)
    return "both must be in PEM, the key without a password"
