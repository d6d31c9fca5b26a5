"""What is no mistake in a configuration, and should be known to whoever runs it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from falcongate.config.unsafe import unsafe_settings
from falcongate.findings import Finding, warning
from falcongate.wire.certificates import warning_of_end

if TYPE_CHECKING:
    from collections.abc import Iterator

    from falcongate.config.settings import GatewaySettings


def advice_on(settings: GatewaySettings) -> Iterator[Finding]:
    """Warnings about a valid configuration. Reads the files of our own certificates."""
    if not settings.services:
        yield warning(
            "no service is configured", "set MICROSERVICE_URLS or write [services.<name>] in a file"
        )
    for unsafe in unsafe_settings(settings):
        yield warning(
            unsafe,
            "name the authority of its certificate in ca_file; for Heroku's Redis there is no other way",
        )
    ours = (service.tls.cert_file for service in settings.services.values())
    for path in dict.fromkeys((settings.server.tls.cert_file, *ours)):
        if path and (end := warning_of_end(path)):
            yield warning(end, "renew it; a new one in its place is taken up without a restart")
