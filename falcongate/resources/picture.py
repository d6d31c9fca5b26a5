"""The parts of what `/admin/overview` tells, from what is known of each. Pure; nothing here asks anybody."""

from __future__ import annotations

import json
from collections import Counter
from typing import TYPE_CHECKING, Any, Final

from falcongate.config.policies import DECISIONS, OWN_POLICY
from falcongate.state.heartbeat import Saying, parse_saying

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from falcongate.config.settings import GatewaySettings
    from falcongate.state.decisions import Decision
    from falcongate.state.heartbeat import Host
    from falcongate.state.store import Breaker, Transition
    from falcongate.upstream.targets import Target

_HEALTH: Final = {True: "reachable", False: "unreachable", None: "not asked yet"}
_REFUSAL_KEYS: Final = ("method", "path", "service", "status", "problem", "refused_by", "duration_ms")


def shown_breaker(breaker: Breaker | None) -> dict[str, Any] | None:
    """A breaker, with times as seconds since 1970; None of what has none."""
    if breaker is None:
        return None
    return {
        "state": breaker.state,
        "since_s": breaker.since_s,
        "until_s": breaker.until_s,
        "by": breaker.by,
        "why": breaker.why,
        "calls": breaker.calls,
        "failures": breaker.failures,
        "slow": breaker.slow,
        "total_calls": breaker.total_calls,
        "total_failures": breaker.total_failures,
    }


def shown_target(target: Target, breaker: Breaker | None) -> dict[str, Any]:
    """A target as this worker knows it."""
    return {
        "url": target.url,
        "health": _HEALTH[target.is_reachable],
        "in_flight": target.in_flight,
        "breaker": shown_breaker(breaker),
    }


def shown_transition(name: str, line: Transition) -> dict[str, Any]:
    """One transition of the breaker `name`."""
    return {
        "at_s": line.at_s,
        "name": name,
        "before": line.before,
        "state": line.state,
        "by": line.by,
        "why": line.why,
        "calls": line.calls,
        "failures": line.failures,
        "slow": line.slow,
    }


def shown_last_transition(breaker: Breaker) -> dict[str, Any]:
    """How a breaker came to be as it is, where its history cannot be asked for."""
    told = shown_breaker(breaker) or {}
    told = {name: told[name] for name in ("state", "by", "why", "calls", "failures", "slow")}
    return {"at_s": breaker.since_s, "name": breaker.name, "before": breaker.before, **told}


def shown_hosts(hosts: Sequence[Host], name: str, own: Saying) -> list[dict[str, Any]]:
    """Who is alive. This host is, even if the others cannot be asked.

    A host `differs` that has another release or configuration than most; of as many, this one's counts.
    """
    said = {host.name: parse_saying(host.says) for host in hosts} | {name: own}
    runs = Counter((saying.version, saying.config) for saying in said.values())
    usual = max(runs, key=lambda run: (runs[run], run == (own.version, own.config)))
    return [
        {
            "name": each,
            "version": saying.version,
            "workers": saying.workers,
            "config": saying.config,
            "is_this": each == name,
            "differs": (saying.version, saying.config) != usual,
        }
        for each, saying in sorted(said.items())
    ]


def shown_limits(
    settings: GatewaySettings,
    totals: Mapping[str, int],
    top: Mapping[str, Sequence[tuple[str, int]]],
) -> list[dict[str, Any]]:
    """The limits of the configuration, and those that API keys bring along once there have been any."""
    shown: list[dict[str, Any]] = [
        {"name": name, "mode": limit.mode, "rates": list(limit.rate), "key": list(limit.key)}
        for name, limit in settings.limits.items()
    ]
    if any(f"limit:{OWN_POLICY}:{decision}" in totals for decision in DECISIONS):
        shown.append({"name": OWN_POLICY, "mode": "enforce", "rates": [], "key": ["api_key"]})
    for limit in shown:
        name = limit["name"]
        limit.update({decision: totals.get(f"limit:{name}:{decision}", 0) for decision in DECISIONS})
        limit["top"] = [{"caller": caller, "refused": number} for caller, number in top.get(name, ())]
    return shown


def shown_refusals(decided: Iterable[Decision], count: int) -> list[dict[str, Any]]:
    """Requests at which something went wrong, at most so many, in the order that they are given in."""
    shown: list[dict[str, Any]] = []
    for decision in decided:
        if len(shown) == count:
            break
        try:
            said = json.loads(decision.text)
        except ValueError:
            continue
        if isinstance(said, dict):
            told = {key: said.get(key) for key in _REFUSAL_KEYS}
            shown.append({"at_s": decision.at_s, "request_id": decision.request_id, **told})
    return shown
