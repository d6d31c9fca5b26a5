"""The composition root: settings in, the WSGI application out. The one place where parts meet."""

from __future__ import annotations

import logging
import os
import sys
from functools import partial
from typing import TYPE_CHECKING, Any, Final

import falcon
import gevent
from gevent import monkey

from falcongate.admission.access import Access
from falcongate.admission.api_keys import api_keys_of
from falcongate.admission.breaker import Breakers
from falcongate.admission.certificates import ClientCertificates
from falcongate.admission.concurrency import Rooms
from falcongate.admission.key_sets import KeysAway
from falcongate.admission.limits import Limits
from falcongate.admission.sessions import Sessions
from falcongate.admission.tokens import Tokens
from falcongate.config.environment import parse_process
from falcongate.config.unsafe import unsafe_settings
from falcongate.config.version import version_of
from falcongate.errors import ConfigError, ConfigProblem
from falcongate.facts import Facts, record_of
from falcongate.middleware.caller_address import TrustedProxies
from falcongate.middleware.context import Context, RefusedEarly
from falcongate.middleware.cors import Cors
from falcongate.middleware.problem import add_error_handlers
from falcongate.middleware.request_id import RequestIds
from falcongate.middleware.response_headers import ResponseHeaders
from falcongate.resources.admin_doors import AdminDoors
from falcongate.resources.doors import Doors
from falcongate.resources.health import Alive, Health, Ready
from falcongate.resources.listeners import Listeners
from falcongate.resources.live import Live
from falcongate.resources.operators import AuditNote
from falcongate.resources.overview import Overview
from falcongate.resources.proxy import Proxy
from falcongate.resources.request import Request, Response
from falcongate.resources.short_way import ShortWay
from falcongate.resources.socket_io import SocketIo
from falcongate.resources.websocket import Handshakes, WebSocketRoute
from falcongate.resources.worker_metrics import ClusterMetrics, WorkerMetrics
from falcongate.routing.table import RouteTable
from falcongate.sharing import host_name, saying_of, shared_state
from falcongate.state.memory_store import MemoryState
from falcongate.telemetry.journal import Journal
from falcongate.telemetry.metrics import expect
from falcongate.telemetry.traffic import Traffic
from falcongate.telling import decisions_of, sender_to, takers_of, tell_of_websockets, tracer_of
from falcongate.upstream.fetch import Fetcher, FetchFailed
from falcongate.upstream.forward import Forwarder
from falcongate.upstream.tunnels import Tunnels

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from falcongate.admission.key_sets import Fetch
    from falcongate.config.environment import ProcessSettings
    from falcongate.config.settings import GatewaySettings
    from falcongate.resources.operators import Operators
    from falcongate.state.heartbeat import Heartbeat
    from falcongate.state.store import SharedState

_TIDY_EVERY_S: Final = 5.0
_NOT_THERE: Final = frozenset((400, 404, 410))


class Gateway:
    """The WSGI application of one configuration, made in each worker.

    `server_settings` is what the worker needs to know before the first request, `note_retired` and
    `note_leaving` are for it to call when it retires and when it is told to stop.
    """

    def __init__(self, settings: GatewaySettings, process: ProcessSettings) -> None:
        self.settings = settings
        self.server_settings = settings.server
        self.tunnels = Tunnels(settings.websocket, settings.server, tell_of_websockets)
        self._forwarder = Forwarder(settings, self.tunnels)
        policies = [*settings.limits.items(), *settings.concurrency.items(), *settings.access.items()]
        expect(settings.services, [name for name, _ in policies])
        cors = Cors(settings.cors)
        proxies = TrustedProxies(settings.server)
        self._context = Context(
            self._application(cors, proxies, process),
            request_ids=RequestIds(),
            proxies=proxies,
            headers=ResponseHeaders(settings, cors),
            report=Journal(
                partial(record_of, slow_s=settings.traces.slow_s),
                takers_of(settings, process, self._traffic, host=host_name(process)),
                self._decide,
            ).note,
            tracer=tracer_of(settings),
        )
        gevent.spawn(self._tidy)

    def __call__(self, environ: dict[str, Any], start_response: Callable[..., object]) -> Iterable[bytes]:
        """Answer one request."""
        return self._context(environ, start_response)

    def _application(self, cors: Cors, proxies: TrustedProxies, process: ProcessSettings) -> ShortWay:
        routes = RouteTable(self.settings)
        host = host_name(process)
        own = WorkerMetrics()
        self.note_retired = own.retire
        shared, heartbeat = shared_state(self.settings, process, host, own.round_trips.note)
        self._decide = decisions_of(self.settings, shared, Facts(routes, host=host)) if heartbeat else None
        breakers = Breakers(self.settings, shared, host=host, tell=own.tell_of_transition)
        own.begin(self.settings, self._forwarder.targets, breakers)
        parts = heartbeat.parts if heartbeat else lambda: process.workers or 1
        limits = Limits(self.settings, shared, parts=parts)
        rooms = Rooms(self.settings, shared, host=host, parts=parts)
        handshakes = Handshakes(self.settings, cors.allows)
        tokens = Tokens(self.settings, shared, _keys_through, owner=f"{host}:{os.getpid()}")
        self.tunnels.passes = access = self._access(shared, tokens)
        proxy = Proxy(
            routes,
            self._forwarder,
            token_places=tokens.places,
            access=access,
            socket_io=SocketIo(self._forwarder, Sessions(shared)),
            handshakes=handshakes,
            breakers=breakers,
            limits=limits,
            rooms=rooms,
        )
        listeners = Listeners(self.settings.admin.bind)
        doors = Doors(proxy, listeners)
        app = falcon.App(
            router=doors,
            # SECURITY: no check may stand here, as `ShortWay` leads most requests for services past it.
            middleware=[RefusedEarly(), cors],
            request_type=Request,
            response_type=Response,
        )
        add_error_handlers(app)
        admin = AdminDoors(
            self.settings,
            process.admin_token.get_secret_value() if process.admin_token else None,
            listeners=listeners,
            proven_address=proxies.proven_address,
            limits=limits,
            tokens=tokens,
            note=AuditNote(shared),
        )
        live = self._live(process, shared, heartbeat, admin=admin, handshakes=handshakes, breakers=breakers)
        cluster = ClusterMetrics(shared, breakers, heartbeat)
        admin.add(app, shared, breakers, live=live, cluster=cluster, is_keeping=self._decide is not None)
        app.add_route("/health", self._health(heartbeat, breakers, admin.operators))
        app.add_route("/health/live", Alive())
        app.add_route("/health/ready", ready := Ready())
        self.note_leaving = ready.leave
        websocket = WebSocketRoute(routes, handshakes, proxy, self.settings.public_url)
        app.add_route("/ws/{service}", websocket)
        app.add_route("/ws/{service}/{rest:path}", websocket)
        return ShortWay(app, proxy, own_segments=doors.first_segments, listeners=listeners)

    def _live(
        self,
        process: ProcessSettings,
        shared: SharedState,
        heartbeat: Heartbeat | None,
        *,
        admin: AdminDoors,
        handshakes: Handshakes,
        breakers: Breakers,
    ) -> Live:
        own = MemoryState(lambda: int(gevent.get_hub().loop.now() * 1000))
        self._traffic = Traffic(sender_to(own, *[shared] if heartbeat else ()))
        overview = Overview(
            self.settings,
            saying_of(self.settings, process),
            host=host_name(process),
            shared=shared,
            own=own,
            heartbeat=heartbeat,
            breakers=breakers,
            targets=self._forwarder.targets,
            decisions=partial(shared.decisions, are_wrong=True),
            is_keeping=self._decide is not None,
        )
        return Live(admin.operators, handshakes, overview, tunnels=self.tunnels)

    def _health(self, heartbeat: Heartbeat | None, breakers: Breakers, operators: Operators) -> Health:
        return Health(
            self._forwarder.targets,
            heartbeat,
            breakers,
            is_redis_embedded=self.settings.redis.url is None,
            operators=operators,
            configuration=version_of(self.settings),
        )

    def _access(self, shared: SharedState, tokens: Tokens) -> Access:
        keys = api_keys_of(self.settings, shared)
        voids = (tokens.is_void, *(key.is_void for key in keys))
        return Access(self.settings, (tokens, *keys, ClientCertificates()), voids=voids)

    def _tidy(self) -> None:
        while True:
            gevent.sleep(_TIDY_EVERY_S)
            self._forwarder.close_unusable_connections()


def create_app(settings: GatewaySettings, process: ProcessSettings | None = None) -> Gateway:
    """The gateway for these settings, in a worker, after gevent's patching.

    Raises ConfigError where it could not work.
    """
    if not monkey.is_module_patched("socket"):
        raise ConfigError(
            (
                ConfigProblem(
                    source="gunicorn",
                    key="worker_class",
                    found="a worker without gevent",
                    remedy="use conf/gunicorn.py, or -k gevent",
                ),
            )
        )
    logging.basicConfig(
        stream=sys.stderr,
        level=settings.log.level.upper(),
        format="%(asctime)s %(levelname)s %(name)s: %(message)s",
    )
    for warning in unsafe_settings(settings):
        logging.getLogger("falcongate").warning("%s", warning)
    return Gateway(settings, process or parse_process({})[0])


def _keys_through(ca_file: str | None) -> Fetch:
    """What fetches keys of issuers. Those that an issuer says it does not have are none, not away."""
    fetcher = Fetcher(ca_file)

    def fetch(url: str) -> Mapping[str, object] | None:
        try:
            return fetcher.get(url)
        except FetchFailed as failed:
            if failed.status in _NOT_THERE:
                return None
            raise KeysAway(str(failed)) from failed

    return fetch
