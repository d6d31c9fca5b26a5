"""All doors that are for operators, and the one policy that they share."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from falcongate.resources.admin_page import AdminPage, PageFiles, read_page
from falcongate.resources.breakers import ORDERS, BreakerOrder, BreakerStatus
from falcongate.resources.metrics import Metrics
from falcongate.resources.openid import Provider
from falcongate.resources.operator_sessions import OperatorSessions
from falcongate.resources.operators import Operators, log_note
from falcongate.resources.overview import OverviewDoor
from falcongate.resources.sign_in import Departures, SignIn, SignInCallback, SignOut
from falcongate.resources.why import Why
from falcongate.telemetry.exposition import Exposition
from falcongate.upstream.fetch import Fetcher

if TYPE_CHECKING:
    from collections.abc import Callable

    import falcon

    from falcongate.admission.breaker import Breakers
    from falcongate.admission.limits import Limits
    from falcongate.config.settings import GatewaySettings
    from falcongate.exchange import Exchange
    from falcongate.resources.listeners import Listeners
    from falcongate.resources.live import Live
    from falcongate.resources.operators import Note, ProvenTokens
    from falcongate.resources.worker_metrics import ClusterMetrics
    from falcongate.state.store import SharedState


class AdminDoors:
    """What operators see and do. `token` is FALCONGATE_ADMIN_TOKEN, `tokens` knows those of issuers."""

    def __init__(
        self,
        settings: GatewaySettings,
        token: str | None,
        *,
        listeners: Listeners,
        proven_address: Callable[[Exchange], str],
        limits: Limits,
        tokens: ProvenTokens | None = None,
        note: Note = log_note,
    ) -> None:
        self._settings = settings.admin
        self._has_metrics = settings.metrics.enabled
        self._own_url = settings.admin.url or settings.public_url
        self._limits = limits
        self._note = note
        sign_in = settings.admin.sign_in
        self._sessions = OperatorSessions(sign_in, self._own_url) if sign_in.issuer else None
        self.operators = Operators(
            settings.admin,
            token,
            listeners=listeners,
            proven_address=proven_address,
            sessions=self._sessions,
            tokens=tokens,
            note=note,
            own_url=self._own_url,
        )

    def add(
        self,
        app: falcon.App[Any, Any],
        state: SharedState,
        breakers: Breakers,
        *,
        live: Live,
        cluster: ClusterMetrics,
        is_keeping: bool,
    ) -> None:
        """Put them into the application; `live` is the one that is a WebSocket.

        `is_keeping` says whether there are decisions to be told of.
        """
        add = app.add_route
        if self._has_metrics:
            add("/metrics", Metrics(self.operators, Exposition(cluster.ask)))
        status = BreakerStatus(state, breakers, self.operators)
        add("/circuit-breaker/status", status)
        add("/circuit-breaker/status/{name}", status)
        for order in ORDERS:
            door = BreakerOrder(order, state, breakers, limits=self._limits, operators=self.operators)
            add(f"/circuit-breaker/{order}/{{name}}", door)
        add("/admin/overview", OverviewDoor(self.operators, live.overview))
        add("/admin/live", live)
        page, page_files = read_page()
        add("/admin", AdminPage(page, self.operators, sessions=self._sessions, has_metrics=self._has_metrics))
        add("/admin/page/{name}", PageFiles(page_files))
        why = Why(state, self.operators, is_keeping=is_keeping)
        add("/admin/why", why)
        add("/admin/why/{request_id:path}", why)
        if self._sessions is not None:
            self._add_sign_in(add, self._sessions)

    def _add_sign_in(self, add: Callable[[str, object], None], sessions: OperatorSessions) -> None:
        settings = self._settings.sign_in
        provider = Provider(settings, self._own_url, Fetcher(settings.ca_file))
        departures = Departures(settings, self._own_url)
        add("/admin/sign-in", SignIn(provider, departures, self._limits))
        callback = SignInCallback(
            provider, departures, sessions=sessions, limits=self._limits, note=self._note
        )
        add("/admin/callback", callback)
        add("/admin/sign-out", SignOut(provider, sessions, own_url=self._own_url, note=self._note))
