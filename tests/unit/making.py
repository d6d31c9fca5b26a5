"""Values that tests of several rooms are about: requests that came, and routes that they have."""

from __future__ import annotations

from time import monotonic
from typing import Any

from falcongate.config.settings import ServiceSettings
from falcongate.exchange import Exchange
from falcongate.routing.table import Match, Route
from falcongate.wire.fields import FieldBlock, fields_of

REQUEST_ID = "the-id-of-this-request"


def make_block(*lines: str) -> FieldBlock:
    """The fields of a request with these lines, and WSGI's view of them."""
    data = "\r\n".join(["", *lines, "\r\n"]).encode("latin-1")
    fields = fields_of(data)
    environ: dict[str, Any] = {}
    for field in fields:
        environ[field.key] = f"{environ[field.key]},{field.text}" if field.key in environ else field.text
    return FieldBlock(data, fields, environ)


def make_exchange(
    *lines: str, method: str = "GET", peer: str = "192.0.2.1", path: str = "/", **environ: object
) -> Exchange:
    """A request with these header lines that has just come from `peer`."""
    block = make_block(*lines)
    exchange = Exchange(
        {
            **block.environ,
            "REQUEST_METHOD": method,
            "REMOTE_ADDR": peer,
            "wsgi.url_scheme": "http",
            "falcongate.fields": block,
            **environ,
        },
        REQUEST_ID,
        monotonic(),
    )
    exchange.host = exchange.environ.get("HTTP_HOST", "")
    exchange.path = path
    return exchange


def make_route(service: str = "hr", **settings: object) -> Route:
    """A route to a service with these settings."""
    made = ServiceSettings.model_validate({"url": "http://service", **settings})
    return Route(f"/api/{service}", service, made)


def make_match(route: Route, *, is_public: bool = False) -> Match:
    """A path that has matched it."""
    return Match(route, is_public, timeout_s=30, timeout_from="")
