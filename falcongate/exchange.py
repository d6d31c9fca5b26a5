"""One request and its answer: what the parts of the gateway know of it together.

Slots and nothing else. Who fills them: `middleware/context.py` opens and closes the exchange,
`resources/` note the route, `upstream/` notes its attempts. Nobody else keeps state of a request.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, Protocol

from falcongate.wire.fields import block_of_environ

if TYPE_CHECKING:
    from collections.abc import Callable

    from falcongate.errors import Refusal
    from falcongate.routing.table import Match
    from falcongate.wire.channel import Channel
    from falcongate.wire.fields import Field, FieldBlock

EXCHANGE: Final = "falcongate.exchange"
"""Where a request's Exchange is found in its WSGI environ."""


class RelayedBody(Protocol):
    """A response body that can move itself, faster than by being iterated over."""

    def relay_to(self, channel: Channel, head: bytes, *, is_chunked: bool, send_timeout_s: float) -> None:
        """Send `head` and the whole body into `channel`."""


class ServiceHead(Protocol):
    """The head of a service's answer, as far as it is for the caller."""

    status: int
    reason: str
    fields: list[Field]


class Exchange:
    """One request with its answer.

    Times are monotonic seconds. `block` has the caller's header fields. `caller_address` is the
    address after trusted proxies, `peer_address` that of the socket. `route_match` is None until
    a service is found. `refusal` was decided before there was anybody to answer it. `status` is what
    the caller was sent, 499 if it left before.
    """

    __slots__ = (
        "attempts",
        "block",
        "caller_address",
        "caller_channel",
        "ended",
        "environ",
        "failure_reason",
        "host",
        "is_from_trusted_proxy",
        "method",
        "on_close",
        "path",
        "peer_address",
        "problem",
        "received_bytes",
        "refusal",
        "request_id",
        "route_match",
        "scheme",
        "sent_bytes",
        "service_head",
        "service_s",
        "started",
        "status",
        "target",
        "target_used",
    )

    def __init__(self, environ: dict[str, Any], request_id: str, started: float) -> None:
        self.environ = environ
        self.request_id = request_id
        self.started = started
        self.ended = 0.0
        self.method: str = environ["REQUEST_METHOD"]
        self.target = b"/"
        self.path = "/"
        self.host = ""
        self.scheme: str = environ["wsgi.url_scheme"]
        self.peer_address: str = environ.get("REMOTE_ADDR", "")
        self.caller_address = self.peer_address
        self.is_from_trusted_proxy = False
        self.block: FieldBlock = environ.get("falcongate.fields") or block_of_environ(environ)
        self.caller_channel: Channel | None = environ.get("falcongate.channel")
        self.route_match: Match | None = None
        self.service_head: ServiceHead | None = None
        self.service_s = 0.0
        self.target_used = ""
        self.attempts = 0
        self.status = 0
        self.problem = ""
        self.refusal: Refusal | None = environ.get("falcongate.refusal")
        self.failure_reason = ""
        self.received_bytes = 0
        self.sent_bytes = 0
        self.on_close: Callable[[], None] | None = None

    @property
    def service(self) -> str:
        """Name of the service, or "" while none is known."""
        return self.route_match.route.service if self.route_match else ""
