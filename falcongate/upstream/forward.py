"""One request to its service: attempts at targets, and the only place that decides to repeat one."""

from __future__ import annotations

from time import monotonic
from typing import TYPE_CHECKING, Final

from falcongate.errors import AttemptFailure, Stage
from falcongate.upstream.attempt import Attempt
from falcongate.upstream.fields import render_fields
from falcongate.upstream.pipes import Pipes
from falcongate.upstream.rewrite import rewritten_target
from falcongate.upstream.targets import Target, Targets
from falcongate.upstream.upload import NoUpload, Upload, open_upload
from falcongate.wire.turns import await_turn

if TYPE_CHECKING:
    from falcongate.config.settings import GatewaySettings, ServiceSettings
    from falcongate.exchange import Exchange
    from falcongate.routing.table import Match
    from falcongate.upstream.service_body import ServiceBody, TunnelBody
    from falcongate.upstream.tunnels import Tunnels

_IDEMPOTENT: Final = frozenset(("GET", "HEAD", "OPTIONS", "PUT", "DELETE"))
"""Methods that may be sent twice (RFC 9110, 9.2.2); TRACE never comes here."""

_UPGRADE: Final = b"Connection: Upgrade\r\nUpgrade: websocket\r\n"


class Forwarder:
    """Sends requests to the services of one configuration. Made once in each worker."""

    def __init__(self, settings: GatewaySettings, tunnels: Tunnels) -> None:
        self._tunnels = tunnels
        self.targets = {name: Targets(service) for name, service in settings.services.items()}
        self._credential_cookies = frozenset(name.encode("latin-1") for name in settings.credential_cookies)
        self._body_idle_timeout_s = settings.server.body_idle_timeout_s
        self._pipes = Pipes()

    def forward(self, exchange: Exchange, match: Match, *, accept: bytes = b"") -> ServiceBody | TunnelBody:
        """Send the request and wait for the head of its answer.

        The head is left in `exchange.service_head`; the body must be closed by the caller. `accept` is
        what a service must answer to agree to a WebSocket, if one is asked for.
        Raises AttemptFailure, a Refusal, or CallerLeft.
        """
        route = match.route
        service = route.settings
        upload = open_upload(exchange, service.max_body_bytes)
        if accept:
            self._tunnels.check_room()
        attempt = Attempt(
            exchange,
            match,
            upload,
            request_line=b"%b %b HTTP/1.1\r\nHost: "
            % (
                exchange.method.encode("latin-1"),
                rewritten_target(exchange.target, exchange.method, route),
            ),
            fields=render_fields(
                exchange, route, self._credential_cookies, _UPGRADE if accept else upload.framing
            ),
            body_idle_timeout_s=self._body_idle_timeout_s,
            pipes=self._pipes,
            accept=accept,
            tunnels=self._tunnels,
        )
        targets = self.targets[route.service]
        tried: list[Target] = []
        await_turn()
        while True:
            target = targets.choose(tried, exchange.shut_targets)
            exchange.failed_at = None
            try:
                return attempt.at(target, needs_fresh_connection=target in tried)
            except AttemptFailure as failure:
                exchange.failed_at = failure.stage
                exchange.failed_targets += (target.url,)
                exchange.failure_reason = f"{failure.stage}: {failure.reason or failure.kind.title}"
                is_unreachable = failure.stage in (Stage.CONNECT, Stage.TLS)
                if is_unreachable:
                    target.avoid(service.target_cooldown_s)
                tried.append(target)
                if is_unreachable and len(tried) >= len(targets.all) - len(exchange.shut_targets):
                    raise
                if not _may_repeat(failure, exchange, upload, service):
                    raise

    def close_unusable_connections(self) -> None:
        """Drop idle connections that services have ended. Does not wait."""
        for targets in self.targets.values():
            for target in targets.all:
                target.pool.close_unusable()


def _may_repeat(
    failure: AttemptFailure, exchange: Exchange, upload: Upload | NoUpload, service: ServiceSettings
) -> bool:
    """Whether another attempt cannot make anything happen twice.

    It looks safe to repeat every GET that failed; it is not kind: a request that breaks its
    service would break it again, so only a kept connection's death is taken for an accident.
    """
    if exchange.attempts > service.retries or not upload.is_replayable:
        return False
    if monotonic() - exchange.started > service.total_timeout_s:
        return False
    return not failure.may_have_acted or (failure.is_stale and exchange.method in _IDEMPOTENT)
