"""What stands in files of certificates, as far as their owner should be told."""

from __future__ import annotations

import datetime as dt
import ssl
from pathlib import Path
from typing import Final

from cryptography import x509

_SOON: Final = dt.timedelta(days=14)


def warning_of_end(path: str) -> str:
    """What an owner should know of the dates of the first certificate in a PEM file; "" if all is well.

    "" too if there is none that can be read: whoever uses the file says so.
    """
    try:
        certificate = x509.load_pem_x509_certificate(Path(path).read_bytes())
    except (OSError, ValueError):
        return ""
    now = dt.datetime.now(dt.UTC)
    begins, ends = certificate.not_valid_before_utc, certificate.not_valid_after_utc
    if ends < now:
        return f"the certificate in {path} has expired, on {ends:%Y-%m-%d}"
    if begins > now:
        return f"the certificate in {path} is not valid before {begins:%Y-%m-%d}"
    if ends - now < _SOON:
        days = (ends - now).days
        return f"the certificate in {path} expires in {days} day{'s' * (days != 1)}, on {ends:%Y-%m-%d}"
    return ""


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
