"""One request to its service: attempts at targets, and the only place that decides to repeat one."""

from __future__ import annotations

from time import monotonic
from typing import TYPE_CHECKING, Final

from falcongate.config.admin import OWN_COOKIES
from falcongate.errors import BROKE_OFF, AttemptFailure
from falcongate.refusals import SessionUnknown
from falcongate.upstream.attempt import Attempt
from falcongate.upstream.fields import ServiceFields, hidden_cookies
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
        self._fields = ServiceFields(
            credential_cookies=hidden_cookies(settings),
            told=settings.tokens.headers,
            own_cookies=OWN_COOKIES if settings.admin.sign_in.issuer else (),
            is_tracing=bool(settings.traces.endpoint),
        )
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
            fields=self._fields.render(exchange, route, _UPGRADE if accept else upload.framing),
            body_idle_timeout_s=self._body_idle_timeout_s,
            pipes=self._pipes,
            accept=accept,
            tunnels=self._tunnels,
        )
        targets = self.targets[route.service]
        await_turn()
        if exchange.pinned_target:
            return _at_pinned(attempt, exchange, targets, service)
        tried: list[Target] = []
        while True:
            target = targets.choose(tried, exchange.shut_targets)
            exchange.failed_at = None
            try:
                return attempt.at(target, needs_fresh_connection=exchange.is_once or target in tried)
            except AttemptFailure as failure:
                _note_failure(failure, exchange, target, service)
                tried.append(target)
                is_last = len(tried) >= len(targets.all) - len(exchange.shut_targets)
                if failure.is_unreachable and is_last:
                    raise
                if not _may_repeat(failure, exchange, upload, service):
                    raise

    def close_unusable_connections(self) -> None:
        """Drop idle connections that services have ended. Does not wait."""
        for targets in self.targets.values():
            for target in targets.all:
                target.pool.close_unusable()


def _at_pinned(
    attempt: Attempt, exchange: Exchange, targets: Targets, service: ServiceSettings
) -> ServiceBody | TunnelBody:
    """Send it to the one target that keeps the caller's session, and once only.

    On a connection of its own: one that was kept might end just now, and nobody could say whether the
    request had arrived. Raises SessionUnknown if the target is gone, so that the caller begins anew.
    """
    target = targets.named(exchange.pinned_target)
    if target is None or target.is_avoided or target.url in exchange.shut_targets:
        raise SessionUnknown
    try:
        return attempt.at(target, needs_fresh_connection=True)
    except AttemptFailure as failure:
        _note_failure(failure, exchange, target, service)
        if failure.is_unreachable or failure.kind is BROKE_OFF:
            raise SessionUnknown from failure
        raise


def _note_failure(
    failure: AttemptFailure, exchange: Exchange, target: Target, service: ServiceSettings
) -> None:
    exchange.failed_at = failure.stage
    exchange.failed_targets += (target.url,)
    exchange.failure_reason = exchange.tried[-1].reason
    if failure.is_unreachable:
        target.avoid(service.target_cooldown_s)


def _may_repeat(
    failure: AttemptFailure, exchange: Exchange, upload: Upload | NoUpload, service: ServiceSettings
) -> bool:
    """Whether another attempt cannot make anything happen twice.

    It looks safe to repeat every GET that failed; it is not kind: a request that breaks its
    service would break it again, so only a kept connection's death is taken for an accident.
    """
    if len(exchange.tried) > service.retries or not upload.is_replayable:
        return False
    if monotonic() - exchange.started > service.total_timeout_s:
        return False
    is_harmless = failure.is_stale and exchange.method in _IDEMPOTENT and not exchange.is_once
    return is_harmless or not failure.may_have_acted
