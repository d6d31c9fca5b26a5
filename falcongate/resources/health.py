"""What the gateway knows of itself and of its services; it never waits for one of them."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

import falcon

from falcongate import __version__
from falcongate.exchange import EXCHANGE
from falcongate.state.heartbeat import parse_saying

if TYPE_CHECKING:
    from falcongate.admission.breaker import Breakers
    from falcongate.resources.operators import Operators
    from falcongate.state.heartbeat import Heartbeat, Host
    from falcongate.upstream.targets import Targets

_AWAY: Final = ("unreachable", "partly connected")
_NOT_SHARED: Final = "not shared: each worker keeps its own state"


class Health:
    """`GET /health`: the status for everybody, the whole document for operators.

    Without a `heartbeat` there is no Redis. `configuration` is the version of what is configured.
    """

    def __init__(
        self,
        services: dict[str, Targets],
        heartbeat: Heartbeat | None,
        breakers: Breakers,
        *,
        is_redis_embedded: bool,
        operators: Operators,
        configuration: str,
    ) -> None:
        self._configuration = configuration
        self._operators = operators
        self._services = services
        self._breakers = breakers
        self._heartbeat = heartbeat
        self._shared_state = ("embedded" if is_redis_embedded else "redis") if heartbeat else "none"

    def on_get(self, req: falcon.Request, resp: falcon.Response) -> None:
        """200 whatever the services do: the gateway itself can serve."""
        services = {name: _state_of(targets) for name, targets in self._services.items()}
        redis = self._heartbeat.redis if self._heartbeat else _NOT_SHARED
        is_degraded = "unreachable" in services.values() or redis in _AWAY
        status = "degraded" if is_degraded else "healthy"
        resp.cache_control = ("no-store",)
        if not self._operators.may_read(req.env[EXCHANGE]):
            resp.media = {"status": status}
            return
        resp.media = {
            "status": status,
            "service": "falcongate",
            "version": __version__,
            "configuration": self._configuration,
            "timestamp": datetime.now(UTC).isoformat(),
            "shared_state": self._shared_state,
            "dependencies": {"redis": redis, **services},
            "hosts": [_told_of(host) for host in self._heartbeat.hosts] if self._heartbeat else [],
            "circuit_breaker": {name: breaker.state for name, breaker in self._breakers.known().items()},
        }

    on_head = on_get


class Alive:
    """`GET /health/live`: this process takes requests. One that does not is not asked."""

    def on_get(self, req: falcon.Request, resp: falcon.Response) -> None:
        """200 and one word."""
        del req
        resp.content_type = falcon.MEDIA_TEXT
        resp.text = "ok\n"
        resp.cache_control = ("no-store",)

    on_head = on_get


class Ready:
    """`GET /health/ready`: whether traffic should be led here."""

    def __init__(self) -> None:
        self._is_leaving = False

    def leave(self) -> None:
        """Say from now on that it should not: this process was told to stop."""
        self._is_leaving = True

    def on_get(self, req: falcon.Request, resp: falcon.Response) -> None:
        """200, or 503 for as long as a gateway that was told to stop goes on listening."""
        del req
        resp.content_type = falcon.MEDIA_TEXT
        resp.cache_control = ("no-store",)
        if self._is_leaving:
            resp.status = falcon.HTTP_503
        resp.text = "stopping\n" if self._is_leaving else "ok\n"

    on_head = on_get


def _told_of(host: Host) -> dict[str, Any]:
    saying = parse_saying(host.says)
    told = {"version": saying.version, "configuration": saying.config, "workers": saying.workers}
    return {"name": host.name, **told}


def _state_of(targets: Targets) -> str:
    """What the last attempts of this worker found, without asking anybody."""
    found = {target.is_reachable for target in targets.all}
    if True in found:
        return "reachable" if False not in found else "partly reachable"
    return "unreachable" if False in found else "not asked yet"
