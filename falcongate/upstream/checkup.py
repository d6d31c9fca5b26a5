"""Whether a service can be reached from here, as its first request would find out.

Nothing is asked of it: only name, address, TLS and both certificates are tried. For processes of their own,
such as commands: waits on plain sockets.
"""

from __future__ import annotations

import socket
import ssl
from contextlib import suppress
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

from falcongate.findings import Finding, ok, problem, warning
from falcongate.upstream.tls import service_context, what_failed
from falcongate.wire.certificates import warning_of_shown

if TYPE_CHECKING:
    from falcongate.config.settings import ServiceSettings

_PORTS: Final = {"http": 80, "https": 443}
_REFUSED_AFTER_S: Final = 0.3
# OpenSSL's numbers (x509_vfy.h) for what is wrong with dates, and with names.
_DATES: Final = (9, 10)
_NAMES: Final = (62, 64)


def check_target(name: str, url: str, settings: ServiceSettings) -> list[Finding]:
    """Connect to one target of a service.

    Waits `connect_timeout_s` for each address that its name has, and for the name as long as that takes.
    """
    parts, where = urlsplit(url), f"{name}: {url}"
    host, port = parts.hostname or "", parts.port or _PORTS[parts.scheme]
    try:
        connected = socket.create_connection((host, port), timeout=settings.connect_timeout_s)
    except (OSError, UnicodeError) as error:
        return [_not_connected(where, name, host, error=error, within_s=settings.connect_timeout_s)]
    with connected:
        if parts.scheme == "http":
            return [ok(f"{where} is connected")]
        return [_check_tls(where, name, host, connected=connected, settings=settings)]


def _not_connected(where: str, name: str, host: str, *, error: Exception, within_s: float) -> Finding:
    reason = getattr(error, "strerror", None) or str(error)
    if isinstance(error, socket.gaierror | UnicodeError):
        return problem(
            f"{where}: the name {host} is not known here: {reason}",
            f"correct services.{name}.url, or what names are looked up in (/etc/resolv.conf, /etc/hosts)",
        )
    if isinstance(error, ConnectionRefusedError):
        return problem(
            f"{where}: nobody listens there (connection refused)", "start the service, or correct its port"
        )
    if isinstance(error, TimeoutError):
        return problem(
            f"{where}: no connection within {within_s:g} s (services.{name}.connect_timeout_s)",
            "see whether its host is up, and whether a firewall or security group drops packets to it",
        )
    return problem(f"{where}: {reason}", "see whether this machine has a route there")


def _check_tls(
    where: str, name: str, host: str, *, connected: socket.socket, settings: ServiceSettings
) -> Finding:
    tls, server_name = settings.tls, settings.tls.server_name or host
    try:
        with service_context(tls).wrap_socket(connected, server_hostname=server_name) as secure:
            shown = secure.getpeercert(binary_form=True) or b""
            _await_refusal(secure)
    except TimeoutError:
        return problem(
            f"{where} is connected, and its handshake is not over within {settings.connect_timeout_s:g} s",
            "see whether the service speaks TLS on this port, and whether it is overloaded",
        )
    except (ssl.SSLError, ssl.CertificateError) as error:
        return problem(f"{where}: {what_failed(error)[1]}", _tls_remedy(name, error))
    except OSError as error:
        return problem(
            f"{where}: it ended the handshake: {error.strerror or error}",
            "see whether the service speaks TLS on this port, and its log",
        )
    if end := warning_of_shown(shown):
        return warning(f"{where}: {end}", "have the service's owner renew it")
    return ok(
        f"{where} is connected, its certificate is {'not verified' if tls.insecure_skip_verify else 'good'}"
    )


def _await_refusal(secure: ssl.SSLSocket) -> None:
    """Wait a moment for the word of a service that refuses our certificate. Raises OSError.

    With TLS 1.3 that comes after the handshake.
    """
    secure.settimeout(_REFUSED_AFTER_S)
    with suppress(TimeoutError):
        secure.recv(1)


def _tls_remedy(name: str, error: Exception) -> str:
    table = f"services.{name}.tls"
    if isinstance(error, ssl.SSLCertVerificationError):
        if error.verify_code in _DATES:
            return "have the service's owner renew it, and look at the clock of this machine"
        if error.verify_code in _NAMES:
            return f"address the service by a name that stands in it, or name that in {table}.server_name"
        return f"where an authority of your own has signed it, name that in {table}.ca_file"
    if "_ALERT_" in str(getattr(error, "reason", "")):
        return f"give it the certificate that it asks for: {table}.cert_file and key_file"
    return "write http:// where the service speaks plain HTTP, or correct its port"
