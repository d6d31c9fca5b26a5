"""TLS with services: what is asked of their certificates, and what it means when it fails.

A handshake fails before a byte of a request is sent, and no other attempt asks for less.
"""

from __future__ import annotations

import ssl
from typing import TYPE_CHECKING

from falcongate.errors import BROKE_OFF, CERTIFICATE_REFUSED, TLS_ALERT, TLS_NOT_SPOKEN
from falcongate.wire.certificates import NOT_TLS, why_refused

if TYPE_CHECKING:
    from falcongate.config.tls import TlsSettings
    from falcongate.errors import FailureKind
    from falcongate.wire.channel import Channel


def service_context(settings: TlsSettings) -> ssl.SSLContext:
    """Verification as configured: by default the system's authorities and the host's name."""
    context = ssl.create_default_context(cafile=settings.ca_file)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.hostname_checks_common_name = False
    if settings.cert_file is not None:
        context.load_cert_chain(settings.cert_file, settings.key_file)
    if settings.insecure_skip_verify:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    return context


def what_failed(error: Exception) -> tuple[FailureKind, str]:
    """What an error of a handshake says of the service, and the reason for the log."""
    if isinstance(error, ssl.SSLCertVerificationError):
        return CERTIFICATE_REFUSED, f"the certificate is refused: {why_refused(error)}"
    reason = str(getattr(error, "reason", None) or "")
    if "_ALERT_" in reason:
        return TLS_ALERT, f"the service refused: {_spelled(reason.partition('_ALERT_')[2])} ({reason})"
    if any(name in reason for name in NOT_TLS):
        return TLS_NOT_SPOKEN, f"what answers there does not speak TLS ({reason})"
    if reason == "UNSUPPORTED_PROTOCOL":
        return TLS_NOT_SPOKEN, f"the service speaks no version of TLS that is safe ({reason})"
    return TLS_NOT_SPOKEN, f"no TLS could be agreed on: {_spelled(reason) or error}"


def why_ended(error: OSError, channel: Channel) -> tuple[str, FailureKind]:
    """The reason for the log, and the kind of failure, when a connection breaks before an answer.

    With TLS 1.3 a service says only then that it does not accept our certificate; perhaps that lies unread
    when it has closed already.
    """
    said = error
    try:
        channel.receive_now(1)
    except OSError as last_word:
        said = last_word
    for each in (error, said):
        if isinstance(each, ssl.SSLError) and "_ALERT_" in str(each.reason):
            kind, reason = what_failed(each)
            return reason, kind
    return str(error), BROKE_OFF


def _spelled(name: str) -> str:
    return name.lower().replace("_", " ")
