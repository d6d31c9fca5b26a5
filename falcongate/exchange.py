"""One request and its answer: what the parts of the gateway know of it together.

Slots and nothing else. Who fills them: `middleware/context.py` opens and closes the exchange,
`resources/` note the route, `upstream/` notes its attempts. Nobody else keeps state of a request.
"""

from __future__ import annotations

from collections.abc import Mapping  # noqa: TC003  # a compiled Caller is made with it
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final, Literal, NamedTuple, Protocol

from falcongate.wire.fields import block_of_environ

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Sequence

    from falcongate.errors import Stage
    from falcongate.routing.table import Match
    from falcongate.telemetry.record import Tried
    from falcongate.telemetry.trace import Trace
    from falcongate.wire.channel import Channel
    from falcongate.wire.fields import Field, FieldBlock

EXCHANGE: Final = "falcongate.exchange"
"""Where a request's Exchange is found in its WSGI environ."""


class RelayedBody(Protocol):
    """A response body that can move itself, faster than by being iterated over.

    With `keeps_channel` the caller's channel is its own from then on: no request follows on it.
    """

    keeps_channel: bool

    def relay_to(self, channel: Channel, head: bytes, *, is_chunked: bool, send_timeout_s: float) -> None:
        """Send `head` and the whole body into `channel`."""


class ServiceHead(Protocol):
    """The head of a service's answer, as far as it is for the caller.

    `begun` is what was last made of it for callers, None at first; it may come again with another answer.
    """

    status: int
    reason: str
    fields: list[Field]
    begun: Any


class Guard(Protocol):
    """Who let the exchange pass and wants to know how it ended."""

    def end(self, exchange: Exchange) -> None:
        """The exchange is over. Called once; must not wait."""


class Probe(Protocol):
    """The place of a request that tries whether a service works again."""

    def end(self, exchange: Exchange) -> None:
        """Tell how it went, and give the place back. Harmless if repeated; does not wait."""


class Places(Protocol):
    """What the request takes up of limits on requests at the same time."""

    def end(self) -> None:
        """Give all back. Harmless if repeated; does not wait."""


class Caller(NamedTuple):
    """Who sent a request, as a credential has proven it.

    `name` is whose credential it is: the subject of a token or certificate, the id of an API key. `issuer`
    is the issuer of a token, by its name in the settings, and `claims` are the token's. `ends_at` is when
    the credential ends, monotonic seconds. `headers` are the lines that tell services of the caller, with
    their line breaks. `services` are those that it may ask, None for all; `rates` are limits of its own.
    `mark` tells the credential from others of the same name.
    """

    kind: Literal["token", "api_key", "certificate"]
    name: str
    issuer: str = ""
    claims: Mapping[str, object] = MappingProxyType({})
    ends_at: float = float("inf")
    headers: bytes = b""
    services: frozenset[str] | None = None
    rates: tuple[str, ...] = ()
    mark: bytes = b""


class Tunnel(Protocol):
    """A WebSocket that the exchange has become."""

    is_over: bool


class Exchange:
    """One request with its answer.

    Times are monotonic seconds; `begun` is when its answer began, 0 before. `block` has the caller's
    header fields. `caller_address` is the address after trusted proxies, `peer_address` that of the
    socket. `route_match` is None until a service is found. `query_token` is a token that stood in its
    query and may count, "" for none. `caller` is who sent it, None while nobody has proven that.
    `limit_lines` are the header lines that say what is left of limits, by the `verdicts` on its
    `charges`, which `counted_by` has given; `refused_by` and `would_refuse` name those that refused it,
    or would have if they did not only watch. `refusal` is what it failed of before Falcon was asked, for
    Falcon to answer. `detail` is what its caller was told of its `problem`, and `rooms` what limits on
    requests at the same time said: name, limit, places taken, whether there was room, by whose count.
    `status` is what the caller was sent, 499 if it left before. `tried` are the attempts that were made.
    `breaker` is that of its service as it was found; `guard` let it pass under `guard_mark`, as a `probe`
    if it tries a service that failed, which `is_probe` still says when that has ended; targets in
    `shut_targets` are not to be tried, and with a `pinned_target` no other than that one. What
    `is_once` is not repeated if it may have arrived.
    `places` are its own among those of requests at the same time. `failed_at` is how far the last attempt
    had come when it failed through its service, None if it did not; `failed_targets` are those of all
    such attempts. `waited_in_vain` says that the shared state did not answer in time, and need not be
    asked again. `tunnel` is what it has become, `on_tunnel_proven` is called when that has lasted for a
    while or has ended, `on_tunnel_end` when it has ended. `trace`
    is None while nothing is traced.
    """

    __slots__ = (
        "begun",
        "block",
        "breaker",
        "caller",
        "caller_address",
        "caller_channel",
        "charges",
        "counted_by",
        "detail",
        "ended",
        "environ",
        "failed_at",
        "failed_targets",
        "failure_reason",
        "guard",
        "guard_mark",
        "host",
        "is_from_trusted_proxy",
        "is_once",
        "is_probe",
        "limit_lines",
        "method",
        "on_close",
        "on_tunnel_end",
        "on_tunnel_proven",
        "path",
        "peer_address",
        "pinned_target",
        "places",
        "probe",
        "problem",
        "query_token",
        "received_bytes",
        "refusal",
        "refused_by",
        "request_id",
        "rooms",
        "route_match",
        "scheme",
        "sent_bytes",
        "service_head",
        "service_s",
        "shut_targets",
        "started",
        "status",
        "target",
        "trace",
        "tried",
        "tunnel",
        "verdicts",
        "waited_in_vain",
        "would_refuse",
    )

    # The shared state's own, which the forwarding half must not know.
    charges: Any
    verdicts: Sequence[Any]
    counted_by: Literal["", "all hosts", "this worker", "memory"]
    rooms: Sequence[tuple[str, int, int, bool, str]]
    refused_by: tuple[str, ...]
    would_refuse: tuple[str, ...]
    on_close: Callable[[], None] | None
    on_tunnel_proven: Callable[[], None] | None
    on_tunnel_end: Callable[[], None] | None

    def __init__(self, environ: dict[str, Any], request_id: str, started: float) -> None:
        self.environ = environ
        self.request_id = request_id
        self.started = started
        self.begun = self.ended = 0.0
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
        self.problem = self.detail = self.query_token = ""
        self.tried: list[Tried] = []
        self.breaker: Any = None
        self.status = 0
        self.guard: Guard | None = None
        self.guard_mark: object = None
        self.probe: Probe | None = None
        self.places: Places | None = None
        self.shut_targets: Collection[str] = ()
        self.pinned_target = ""
        self.is_once = self.is_probe = self.waited_in_vain = False
        self.failed_at: Stage | None = None
        self.failed_targets: tuple[str, ...] = ()
        self.caller: Caller | None = None
        self.limit_lines = b""
        self.charges = self.verdicts = self.rooms = self.refused_by = self.would_refuse = ()
        self.counted_by = ""
        self.refusal: Exception | None = environ.get("falcongate.refusal")
        self.failure_reason = ""
        self.received_bytes = self.sent_bytes = 0
        self.on_close = self.on_tunnel_proven = self.on_tunnel_end = None
        self.tunnel: Tunnel | None = None
        self.trace: Trace | None = None

    @property
    def target_used(self) -> str:
        """The target of the last attempt, or ""."""
        return self.tried[-1].target if self.tried else ""

    @property
    def service(self) -> str:
        """Name of the service, or "" while none is known."""
        return self.route_match.route.service if self.route_match else ""
