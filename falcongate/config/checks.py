"""Mistakes that no setting shows alone: what contradicts what."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from falcongate.errors import ConfigProblem

if TYPE_CHECKING:
    from collections.abc import Iterator

    from falcongate.config.settings import GatewaySettings, ServiceSettings

_OWN_PATHS = ("/health", "/metrics", "/circuit-breaker", "/ws")


def contradictions(settings: GatewaySettings, source: str) -> Iterator[ConfigProblem]:
    """Every contradiction in settings that are valid one by one."""
    taken: dict[str, str] = {}
    for name, service in settings.services.items():
        key = f"services.{name}"
        for path in service.paths or (f"/api/{name}",):
            prefix = path.rstrip("/") or "/"
            if prefix in taken:
                remedy = f"leads to {taken[prefix]} already; a path can lead to one service only"
                yield ConfigProblem(source, f"{key}.paths", repr(path), remedy)
            taken.setdefault(prefix, name)
            if any(prefix == own or prefix.startswith(own + "/") for own in _OWN_PATHS):
                remedy = "is one of the gateway's own paths; choose another"
                yield ConfigProblem(source, f"{key}.paths", repr(path), remedy)
        yield from _in_service(key, name, service, source)


def _in_service(key: str, name: str, service: ServiceSettings, source: str) -> Iterator[ConfigProblem]:
    if len(set(service.url)) != len(service.url):
        yield ConfigProblem(source, f"{key}.url", "", "the same address stands here twice")
    strip = service.strip_prefix
    if strip is not None:
        prefix = strip.rstrip("/")
        paths = service.paths or (f"/api/{name}",)
        if not any(path == prefix or path.startswith(prefix + "/") for path in paths):
            remedy = f"none of the service's paths begins with it: {', '.join(paths)}"
            yield ConfigProblem(source, f"{key}.strip_prefix", repr(strip), remedy)
    tls = service.tls
    if tls.model_fields_set and not any(url.startswith("https://") for url in service.url):
        yield ConfigProblem(source, f"{key}.tls", "", "has no effect: no url of the service is https://")
    if tls.key_file and not tls.cert_file:
        yield ConfigProblem(source, f"{key}.tls.key_file", "", "needs cert_file beside it")
    for setting in ("ca_file", "cert_file", "key_file"):
        file = getattr(tls, setting)
        if file is not None and not Path(file).is_file():
            yield ConfigProblem(source, f"{key}.tls.{setting}", repr(file), "no such file")
