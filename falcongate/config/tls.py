"""Settings of TLS, on both sides of the gateway."""

from __future__ import annotations

from typing import Annotated, Literal

from falcongate.config.model import Settings
from falcongate.config.values import EmptyIsUnset, HostName


class TlsSettings(Settings):
    """How a service's certificate is checked, and ours shown to it."""

    ca_file: Annotated[str | None, EmptyIsUnset] = None
    """PEM file of the authorities to trust. Unset: the system's."""

    cert_file: Annotated[str | None, EmptyIsUnset] = None
    """PEM file of the client certificate shown to the service. Unset: none."""

    key_file: Annotated[str | None, EmptyIsUnset] = None
    """PEM file of its private key. Unset: the key is in `cert_file`."""

    server_name: Annotated[HostName | None, EmptyIsUnset] = None
    """Name expected in the certificate and sent as SNI. Unset: the host in the URL."""

    insecure_skip_verify: bool = False
    """Accept any certificate. Anyone between can then read and change everything."""


class CallerTlsSettings(Settings):
    """TLS with callers, if the gateway itself is to speak it and no proxy in front does."""

    cert_file: Annotated[str | None, EmptyIsUnset] = None
    """PEM file of the gateway's certificate with its chain; read anew when it changes, and no connection
    ends for that. Unset: callers speak plain HTTP."""

    key_file: Annotated[str | None, EmptyIsUnset] = None
    """PEM file of its private key. Unset: the key is in `cert_file`."""

    minimum_version: Literal["1.2", "1.3"] = "1.2"
    """Oldest version of TLS that is spoken."""

    client_certificates: Literal["off", "optional", "required"] = "off"
    """Whether callers are asked for a certificate of their own. Its subject is their identity, which
    `[access]` may ask for."""

    client_ca_file: Annotated[str | None, EmptyIsUnset] = None
    """PEM file of the authorities whose client certificates are believed."""
