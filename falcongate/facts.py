"""What became of an exchange, as plain values: its Record, its trace, and what it was judged by.

All are asked for after its end, the last of few exchanges. SECURITY: nothing that a caller has sent is
told but its path and who it is; callers that are counted by a secret are named by its digest.
"""

from __future__ import annotations

import os
from itertools import zip_longest
from typing import TYPE_CHECKING, Any, Final

from falcongate.errors import CALLER_LEFT_STATUS
from falcongate.telemetry.record import Record
from falcongate.upstream.rewrite import rewritten_target

if TYPE_CHECKING:
    from falcongate.exchange import Exchange
    from falcongate.routing.table import RouteTable
    from falcongate.state.store import Charge, Verdict
    from falcongate.telemetry.record import Tried
    from falcongate.telemetry.trace import Trace

_MOST: Final = 16
_MAX_TEXT: Final = 300


def record_of(exchange: Exchange, wall_clock_s: float, *, slow_s: float) -> Record:
    """What is told of a finished exchange, which has been slow if it took `slow_s`.

    `wall_clock_s` is what wall time is ahead of monotonic.
    """
    match, caller, trace = exchange.route_match, exchange.caller, exchange.trace
    # PERF: by their places, as names take twice as long.
    return Record(
        exchange.ended + wall_clock_s,
        exchange.request_id,
        exchange.method,
        exchange.target.partition(b"?")[0].decode("latin-1"),
        exchange.service,
        match.route.prefix if match is not None else "",
        exchange.status,
        _answered_by(exchange),
        exchange.problem,
        exchange.failure_reason,
        exchange.ended - exchange.started,
        exchange.begun - exchange.started if exchange.begun else 0.0,
        exchange.service_s,
        exchange.received_bytes,
        exchange.sent_bytes,
        exchange.caller_address,
        f"{caller.kind}:{caller.name}" if caller is not None else "",
        tuple(exchange.tried),
        _admitted_by(exchange) if exchange.verdicts or exchange.rooms else (),
        exchange.refused_by,
        exchange.would_refuse,
        # Without an answer, nobody has said anything to the charges.
        exchange.charges.told if exchange.verdicts else (),
        trace.trace_id if trace is not None else "",
        may_be_told(trace, exchange, wall_clock_s, slow_s=slow_s) if trace is not None else None,
    )


def may_be_told(trace: Trace, exchange: Exchange, wall_clock_s: float, *, slow_s: float) -> Trace | None:
    """The trace of a finished exchange with what only spans tell; None if it will not be told of.

    PERF: most requests end here, so it asks the cheapest questions that leave out none to be told. Whether
    it is told is decided in `telemetry/traces.py`.
    """
    is_plain = exchange.status < CALLER_LEFT_STATUS and not exchange.failure_reason
    if is_plain and not trace.is_sampled and exchange.begun - exchange.started < slow_s:
        return None
    trace.wall_clock_s = wall_clock_s
    trace.scheme = exchange.scheme
    trace.host = exchange.host
    trace.peer = exchange.peer_address
    trace.user_agent = exchange.block.environ.get("HTTP_USER_AGENT", "")
    trace.breaker = exchange.breaker.state if exchange.breaker is not None else ""
    trace.sent_path = b""
    if exchange.tried and exchange.route_match is not None:
        sent = rewritten_target(exchange.target, exchange.method, exchange.route_match.route)
        trace.sent_path = sent.partition(b"?")[0]
    return trace


class Facts:
    """Tells them of the exchanges of one worker; `host` is how this host is called in what is shared."""

    def __init__(self, routes: RouteTable, *, host: str) -> None:
        self._routes = routes
        self._host = host
        self._worker = os.getpid()

    def of(self, exchange: Exchange) -> dict[str, Any]:
        """All that is known of how it was judged."""
        return {
            "detail": exchange.detail[:_MAX_TEXT],
            "host": self._host,
            "worker": self._worker,
            "route": self._route(exchange),
            "passed_over": self._passed_over(exchange),
            "breaker": _breaker(exchange),
            "counted_by": exchange.counted_by,
            "limits": [
                _limit(charge, verdict)
                for charge, verdict in zip_longest(exchange.charges[:_MOST], exchange.verdicts[:_MOST])
            ],
            "at_once": [
                {"policy": name, "limit": limit, "taken": taken, "fits": fits, "counted_by": counted_by}
                for name, limit, taken, fits, counted_by in exchange.rooms[:_MOST]
            ],
            "attempts": [_attempt(exchange, tried) for tried in exchange.tried[:_MOST]],
        }

    def _route(self, exchange: Exchange) -> dict[str, Any] | None:
        match = exchange.route_match
        if match is None:
            return None
        return {
            "prefix": match.route.prefix,
            "service": match.route.service,
            "is_public": match.is_public,
            "timeout_s": match.timeout_s,
            "timeout_from": match.timeout_from,
        }

    def _passed_over(self, exchange: Exchange) -> list[dict[str, str]]:
        """Routes that would have fitted, too, but are shorter than the one that was taken."""
        taken = exchange.route_match
        if taken is None:
            return []
        others = [
            route for route in self._routes.candidates(exchange.path) if route.prefix != taken.route.prefix
        ]
        return [{"prefix": route.prefix, "service": route.service} for route in others[:_MOST]]


def _admitted_by(exchange: Exchange) -> tuple[str, ...]:
    """Limits that had room for it, or only watch. Where one refuses, none of those beside it is charged."""
    charged = [name for name, _ in exchange.charges.told] if exchange.verdicts else []
    if not set(charged).isdisjoint(exchange.refused_by):
        charged = []
    return (*charged, *[name for name, _, _, fits, _ in exchange.rooms if fits])


def _answered_by(exchange: Exchange) -> str:
    """`service`, `gateway`, or `nobody` where the caller had left."""
    if exchange.problem:
        return "gateway"
    if exchange.service and (exchange.service_head is not None or exchange.tunnel is not None):
        return "service"
    return "nobody" if exchange.status == CALLER_LEFT_STATUS else "gateway"


def _breaker(exchange: Exchange) -> dict[str, Any] | None:
    """The breaker as it was found. Times are seconds of the store's clock, 0 for never."""
    breaker = exchange.breaker
    if breaker is None:
        return None
    return {
        "name": breaker.name,
        "state": breaker.state,
        "before": breaker.before,
        "generation": breaker.generation,
        "calls": breaker.calls,
        "failures": breaker.failures,
        "slow": breaker.slow,
        "since_s": breaker.since_s,
        "until_s": breaker.until_s,
        "by": breaker.by[:_MAX_TEXT],
        "why": breaker.why[:_MAX_TEXT],
        "is_probe": exchange.is_probe,
        "shut_targets": sorted(exchange.shut_targets)[:_MOST],
    }


def _limit(charge: Charge, verdict: Verdict | None) -> dict[str, Any]:
    """What one window said; nothing of `fits`, `remaining` and `reset_s` if it was not asked."""
    window = charge.window
    said: dict[str, Any] = {"fits": None, "remaining": None, "reset_s": None}
    if verdict is not None:
        # Without end is no number that JSON knows: what costs more than the limit fits never.
        reset_s = round(verdict.reset_s, 3) if verdict.reset_s != float("inf") else None
        said = {"fits": verdict.fits, "remaining": verdict.remaining, "reset_s": reset_s}
    return {
        "policy": window.policy,
        "limit": window.limit,
        "window_s": window.length_s,
        "burst": window.burst,
        "is_shadow": window.counts_only,
        "counted_for": charge.caller[:_MAX_TEXT],
        "cost": charge.cost,
        **said,
    }


def _attempt(exchange: Exchange, tried: Tried) -> dict[str, Any]:
    """Times are milliseconds since the request came, None where it did not come so far."""

    def after_ms(moment: float) -> float | None:
        return round((moment - exchange.started) * 1000, 1) if moment else None

    return {
        "target": tried.target,
        "is_reused": tried.is_reused,
        "began_ms": after_ms(tried.began),
        "connected_ms": after_ms(tried.connected),
        "sent_ms": after_ms(tried.sent),
        "answered_ms": after_ms(tried.answered),
        "ended_ms": after_ms(tried.ended),
        "status": tried.status,
        "failure": tried.failure,
        "reason": tried.reason[:_MAX_TEXT],
    }
