"""Mistakes in settings of TLS: files that cannot be used, and what has no effect."""

from __future__ import annotations

import ssl
from pathlib import Path
from typing import TYPE_CHECKING

from falcongate.config.mistakes import Mistake, shown
from falcongate.config.tls import TlsSettings
from falcongate.wire.certificates import why_no_pair

if TYPE_CHECKING:
    from collections.abc import Iterator

    from falcongate.config.mistakes import Location
    from falcongate.config.settings import GatewaySettings, ServiceSettings


def in_tls(location: Location, service: ServiceSettings) -> Iterator[Mistake]:
    """What is wrong with TLS to a service."""
    tls = service.tls
    if tls != TlsSettings() and not any(url.startswith("https://") for url in service.url):
        yield Mistake(location, "has no effect: no url of this service begins with https://")
    yield from _in_files(location, tls.cert_file, tls.key_file, authorities=("ca_file", tls.ca_file))


def in_caller_tls(settings: GatewaySettings, *, looks_at_files: bool) -> Iterator[Mistake]:
    """What is wrong with TLS to callers, and with rules that stand on it."""
    tls, location = settings.server.tls, ("server", "tls")
    asks = tls.client_certificates != "off"
    for setting, is_set in (("client_certificates", asks), ("client_ca_file", tls.client_ca_file)):
        if is_set and not tls.cert_file:
            yield Mistake((*location, setting), "has no effect: without cert_file, callers speak plain HTTP")
    if asks and not tls.client_ca_file:
        remedy = "needs client_ca_file beside it, as no certificate is believed without"
        yield Mistake((*location, "client_certificates"), remedy, shown(tls.client_certificates))
    elif tls.client_ca_file and not asks:
        remedy = "has no effect: client_certificates is off"
        yield Mistake((*location, "client_ca_file"), remedy, shown(tls.client_ca_file))
    authorities = ("client_ca_file", tls.client_ca_file)
    if looks_at_files:
        yield from _in_files(location, tls.cert_file, tls.key_file, authorities=authorities)
    for name, rule in settings.access.items():
        if not asks and rule.identity == "required" and set(rule.accept) == {"certificate"}:
            remedy = "nobody could prove it: server.tls.client_certificates is off"
            yield Mistake(("access", name, "accept"), remedy)


def _in_files(
    location: Location, cert_file: str | None, key_file: str | None, *, authorities: tuple[str, str | None]
) -> Iterator[Mistake]:
    """What OpenSSL says to the files now, it would say to each worker later."""
    if key_file and not cert_file:
        yield Mistake((*location, "key_file"), "needs cert_file beside it")
    found = False
    for setting, path in (authorities, ("cert_file", cert_file), ("key_file", key_file)):
        reason = why_unreadable(path) if path else ""
        if reason:
            found = True
            yield Mistake((*location, setting), f"the file cannot be read: {reason}", shown(path))
    if found:
        return
    setting, path = authorities
    if path:
        yield from in_authorities((*location, setting), path)
    if cert_file:
        try:
            # Without a password of our own, OpenSSL would ask for one on the terminal.
            ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_cert_chain(cert_file, key_file, password="")
        except (OSError, ValueError) as error:
            remedy = "cannot be used with its key: " + why_no_pair(error)
            yield Mistake((*location, "cert_file"), remedy, shown(cert_file))


def in_authorities(location: Location, path: str) -> Iterator[Mistake]:
    """Whether a file that can be read has authorities to trust in it."""
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_verify_locations(path)
    except OSError:
        yield Mistake(location, "holds no certificate in PEM", shown(path))


def why_unreadable(path: str) -> str:
    """Why a file cannot be opened, "" if it can."""
    try:
        with Path(path).open("rb"):
            return ""
    except OSError as error:
        return str(error.strerror)
    except ValueError:
        return "no file can have this name"
