"""Settings that give up safety, in words for whoever starts the gateway."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

    from falcongate.config.settings import GatewaySettings


def unsafe_settings(settings: GatewaySettings) -> Iterator[str]:
    """What is on that should not be, and what that means."""
    for name, service in settings.services.items():
        if service.tls.insecure_skip_verify:
            yield _unverified(f"services.{name}.tls", "the service")
    if settings.redis.insecure_skip_verify:
        yield _unverified("redis", "Redis")


def _unverified(table: str, other_side: str) -> str:
    return (
        f"{table}.insecure_skip_verify is on: anyone between the gateway and {other_side} can read and change"
        " everything"
    )
