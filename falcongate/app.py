"""The composition root: settings in, the WSGI application out. The one place where parts meet."""

from __future__ import annotations

import logging
import os
import platform
import sys
from typing import TYPE_CHECKING, Any, Final

import falcon
import gevent
from gevent import monkey

from falcongate import __version__
from falcongate.errors import ConfigError, ConfigProblem
from falcongate.middleware.caller_address import TrustedProxies
from falcongate.middleware.context import Context, RefusedEarly
from falcongate.middleware.cors import Cors
from falcongate.middleware.problem import add_error_handlers
from falcongate.middleware.request_id import RequestIds
from falcongate.middleware.response_headers import ResponseHeaders
from falcongate.resources.doors import Doors
from falcongate.resources.health import Alive, Health
from falcongate.resources.metrics import Metrics
from falcongate.resources.proxy import Proxy
from falcongate.resources.websocket import WebSocketRoute
from falcongate.routing.table import RouteTable
from falcongate.state.heartbeat import Heartbeat
from falcongate.state.redis_line import RedisLine
from falcongate.state.redis_store import RedisState
from falcongate.telemetry.access_log import AccessLog
from falcongate.telemetry.journal import Journal
from falcongate.telemetry.metrics import expect
from falcongate.telemetry.record import Record
from falcongate.upstream.forward import Forwarder

if TYPE_CHECKING:
    from falcon.request import RequestOptions

    from falcongate.config.settings import GatewaySettings, RedisSettings
    from falcongate.exchange import Exchange

_TIDY_EVERY_S: Final = 5.0


class _Request(falcon.Request):
    """Falcon's, as far as anybody here asks it.

    PERF: the original takes apart the query and fills what only its own helpers read: 1 us. What
    the rest of the gateway knows of a request is in its Exchange.
    """

    is_websocket = False

    def __init__(self, env: dict[str, Any], options: RequestOptions | None = None) -> None:
        assert options is not None  # noqa: S101  # the App gives its own
        self.env = env
        self.options = options
        self.method = env["REQUEST_METHOD"]
        # Set by the first middleware: the path that everything is judged by.
        self.path = ""
        self.uri_template = None


class _Response(falcon.Response):
    """Falcon's, without the bag for things that have their place in the Exchange."""

    context_type = type(None)


class Gateway(Context):
    """The WSGI application of one configuration, made in each worker.

    `server_settings` is what the worker needs to know before the first request.
    """

    def __init__(self, settings: GatewaySettings) -> None:
        self.settings = settings
        self.server_settings = settings.server
        self._forwarder = Forwarder(settings)
        expect(settings.services)
        cors = Cors(settings.cors)
        super().__init__(
            self._falcon_app(cors),
            request_ids=RequestIds(),
            proxies=TrustedProxies(settings.server),
            headers=ResponseHeaders(settings, cors),
            report=Journal(AccessLog() if settings.log.access else None, _record_of).note,
        )
        gevent.spawn(self._tidy)

    def _falcon_app(self, cors: Cors) -> falcon.App[Any, Any]:
        routes = RouteTable(self.settings)
        heartbeat = _heartbeat(self.settings.redis)
        app = falcon.App(
            router=Doors(Proxy(routes, self._forwarder)),
            middleware=[RefusedEarly(), cors],
            request_type=_Request,
            response_type=_Response,
        )
        add_error_handlers(app)
        app.add_route("/health", Health(self._forwarder.targets, heartbeat))
        app.add_route("/health/live", Alive())
        app.add_route("/health/ready", Alive())
        app.add_route("/metrics", Metrics())
        websocket = WebSocketRoute(routes, self.settings.public_url)
        app.add_route("/ws/{service}", websocket)
        app.add_route("/ws/{service}/{rest:path}", websocket)
        return app

    def _tidy(self) -> None:
        while True:
            gevent.sleep(_TIDY_EVERY_S)
            self._forwarder.close_unusable_connections()


def create_app(settings: GatewaySettings) -> Gateway:
    """The gateway for these settings. Must be called in a worker, after gevent's patching.

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
    for name, service in settings.services.items():
        if service.tls.insecure_skip_verify:
            logging.getLogger("falcongate").warning(
                "services.%s.tls.insecure_skip_verify is on: anyone between the gateway and the"
                " service can read and change everything",
                name,
            )
    if settings.redis.insecure_skip_verify:
        logging.getLogger("falcongate").warning(
            "redis.insecure_skip_verify is on: anyone between the gateway and Redis can read and change"
            " everything"
        )
    return Gateway(settings)


def _heartbeat(settings: RedisSettings) -> Heartbeat | None:
    """This host's, if there is a Redis to tell; its name is the same in all workers of one master."""
    if settings.url is None:
        return None
    state = RedisState(RedisLine(settings), is_cluster=settings.cluster)
    return Heartbeat(state, name=f"{platform.node()}:{os.getppid()}", says=f"falcongate {__version__}")


def _record_of(exchange: Exchange, wall_clock_s: float) -> Record:
    """What is told of a finished exchange. `wall_clock_s` is what wall time is ahead of monotonic."""
    return Record(
        ended=exchange.ended + wall_clock_s,
        request_id=exchange.request_id,
        method=exchange.method,
        path=exchange.target.partition(b"?")[0].decode("latin-1"),
        service=exchange.service,
        status=exchange.status,
        problem=exchange.problem,
        reason=exchange.failure_reason,
        duration_s=exchange.ended - exchange.started,
        service_s=exchange.service_s,
        received_bytes=exchange.received_bytes,
        sent_bytes=exchange.sent_bytes,
        caller=exchange.caller_address,
        target=exchange.target_used,
        attempts=exchange.attempts,
    )
