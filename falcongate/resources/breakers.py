"""Circuit breakers as operators see and steer them; what they order holds on every worker and host."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

from falcongate.config.values import seconds_of
from falcongate.errors import StoreAway
from falcongate.exchange import EXCHANGE
from falcongate.outages import StateUnavailable
from falcongate.refusals import BodyTooLarge, MalformedRequest, NoSuchBreaker
from falcongate.state.audit import Change, audit

if TYPE_CHECKING:
    from collections.abc import Mapping

    import falcon

    from falcongate.admission.breaker import Breakers
    from falcongate.admission.limits import Limits
    from falcongate.exchange import Exchange
    from falcongate.resources.operators import Operators
    from falcongate.state.store import Breaker, Order, SharedState, Transition

_MAX_ORDER_BYTES: Final = 4_096
_MAX_REASON: Final = 200
_HISTORY: Final = 50
_SHOWN_STATES: Final = {"FORCED_OPEN": "OPEN", "FORCED_CLOSED": "CLOSED"}
ORDERS: Final[tuple[Order, ...]] = ("reset", "disable", "enable", "open", "close")
"""What can be ordered; each is a door of its own."""


class BreakerStatus:
    """`GET /circuit-breaker/status` and `/circuit-breaker/status/<name>`.

    For operators, with who and why, and the history of one.
    """

    def __init__(self, state: SharedState, breakers: Breakers, operators: Operators) -> None:
        self._state = state
        self._breakers = breakers
        self._operators = operators

    def on_get(self, req: falcon.Request, resp: falcon.Response, name: str = "") -> None:
        """The whole document, or the part of one breaker. Waits for the shared state, never for a service."""
        self._operators.identify_reader(req.env[EXCHANGE])
        known = self._breakers.known()
        if name and name not in known:
            raise NoSuchBreaker(f"No service or target is called {name}.")
        names = [name] if name else list(known)
        is_shared = True
        try:
            told = self._state.snapshot(names)
        except StoreAway:
            told, is_shared = known, False
        services = {each: shown_breaker(told[each]) for each in names}
        timestamp = datetime.now(UTC).isoformat()
        resp.cache_control = ("no-store",)
        if not name:
            resp.media = {"timestamp": timestamp, "is_shared": is_shared, "services": services}
            return
        resp.media = {"timestamp": timestamp, "is_shared": is_shared, "service": name, **services[name]}
        if is_shared:
            try:
                resp.media["history"] = [_told(line) for line in self._state.history(name, _HISTORY)]
            except StoreAway:
                resp.media["is_shared"] = False

    on_head = on_get


class BreakerOrder:
    """`POST /circuit-breaker/<order>/<name>`, with `{"for": "15m", "reason": "..."}` if there is to say."""

    def __init__(
        self, order: Order, state: SharedState, breakers: Breakers, *, limits: Limits, operators: Operators
    ) -> None:
        self._order = order
        self._state = state
        self._breakers = breakers
        self._limits = limits
        self._operators = operators

    def on_post(self, req: falcon.Request, resp: falcon.Response, name: str) -> None:
        """Give the order, and answer with the breaker as it is then."""
        exchange: Exchange = req.env[EXCHANGE]
        self._limits.admit(exchange)
        who = self._operators.identify_changer(exchange)
        if name not in self._breakers.known():
            raise NoSuchBreaker(f"No service or target is called {name}.")
        for_s, reason = _read_order(exchange, can_end=self._order in ("disable", "open", "close"))
        try:
            breaker = self._state.command(name, self._order, by=who, why=reason or self._order, for_s=for_s)
        except StoreAway:
            raise StateUnavailable(retry_after_s=1) from None
        where = exchange.caller_address or "unix"
        audit(self._state, Change(who, where, f"breaker {self._order}", name, reason))
        resp.media = {"service": name, **shown_breaker(breaker)}
        resp.cache_control = ("no-store",)


def _read_order(exchange: Exchange, *, can_end: bool) -> tuple[float, str]:
    """For how long (0: until further notice) and why. Raises MalformedRequest and BodyTooLarge."""
    body: bytes = exchange.environ["wsgi.input"].read(_MAX_ORDER_BYTES + 1)
    if len(body) > _MAX_ORDER_BYTES:
        raise BodyTooLarge
    try:
        said = json.loads(body or b"{}")
    except (ValueError, RecursionError):
        raise _misread("it is not JSON") from None
    if not isinstance(said, dict) or said.keys() - {"for", "reason"}:
        raise _misread('only "for" and "reason" are known')
    reason, length = said.get("reason", ""), said.get("for", "")
    if not isinstance(reason, str) or not reason.isprintable() or len(reason) > _MAX_REASON:
        raise _misread(f'"reason" must be a line of at most {_MAX_REASON} characters')
    if length and not can_end:
        raise _misread('this order has no end; leave "for" away')
    try:
        return seconds_of(length) if length else 0.0, reason
    except ValueError as error:
        raise _misread(f'"for" {error}') from None


def _misread(why: str) -> MalformedRequest:
    refusal = MalformedRequest(f"The order could not be read: {why}.")
    refusal.suggestion = 'Send nothing, or JSON like {"for": "15m", "reason": "a word on why"}.'
    refusal.closes = False
    return refusal


def shown_breaker(breaker: Breaker) -> dict[str, Any]:
    """A breaker as operators are told of it."""
    total, failed = breaker.total_calls, breaker.total_failures
    return {
        "state": _SHOWN_STATES.get(breaker.state, breaker.state),
        "is_forced": breaker.state in _SHOWN_STATES or breaker.state == "DISABLED",
        "failure_count": breaker.failures,
        "total_requests": total,
        "failed_requests": failed,
        "success_rate": round(100 * (total - failed) / total, 2) if total else 100.0,
        "last_failure_time": _moment(breaker.last_failure_s),
        "half_open_attempts": breaker.probes + breaker.successes,
        "since": _moment(breaker.since_s),
        "until": _moment(breaker.until_s),
        "by": breaker.by,
        "why": breaker.why,
    }


def _told(line: Transition) -> Mapping[str, Any]:
    return {
        "at": _moment(line.at_s),
        "from": line.before,
        "to": line.state,
        "by": line.by,
        "why": line.why,
        "calls": line.calls,
        "failures": line.failures,
        "slow": line.slow,
    }


def _moment(unix_s: float) -> str | None:
    return datetime.fromtimestamp(unix_s, UTC).isoformat(timespec="milliseconds") if unix_s else None
