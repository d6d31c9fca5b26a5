"""The parts of pictures of gateways: services, targets, breakers, limits, hosts, refusals, transitions."""

from __future__ import annotations

from math import sin
from typing import Any, Final

_STEPS: Final = 120
_STEP_S: Final = 5
_GAP: Final = range(30, 42)


def breaker(state: str, at_s: float, **changed: object) -> dict[str, Any]:
    """A breaker in this state."""
    told: dict[str, Any] = {
        "state": state,
        "since_s": at_s - 95,
        "until_s": 0.0,
        "by": "",
        "why": "",
        "calls": 412,
        "failures": 3,
        "slow": 1,
        "total_calls": 91_204,
        "total_failures": 231,
    }
    return {**told, **changed}


def target(url: str, health: str = "reachable", **changed: object) -> dict[str, Any]:
    """A target; nobody has asked about its breaker."""
    return {"url": url, "health": health, "in_flight": 2, "breaker": None, **changed}


def service(
    name: str,
    at_s: float,
    *,
    rate: float = 40.0,
    errors: float = 0.0,
    ms: float = 18.0,
    gap: bool = False,
    **changed: object,
) -> dict[str, Any]:
    """A service with ten minutes of traffic that goes up and down; `errors` is their share at the end."""
    phase = sum(name.encode()) % 17
    first = int(at_s // _STEP_S) - _STEPS

    def wave(index: int) -> float:
        at = first + index
        return 1 + 0.22 * sin(at / 9 + phase) + 0.1 * sin(at / 2.3 + phase)

    requests = [round(rate * wave(index), 2) for index in range(_STEPS)]
    failed = [
        round(requests[index] * errors * max(0.0, (index - _STEPS * 0.8) / (_STEPS * 0.2)), 2)
        for index in range(_STEPS)
    ]
    p50 = [None if gap and index in _GAP else round(ms * wave(index + 3), 1) for index in range(_STEPS)]
    p99 = [None if one is None else round(one * (4 + wave(index * 3)), 1) for index, one in enumerate(p50)]
    return {
        "name": name,
        "breaker": breaker("CLOSED", at_s),
        "targets": [target(f"http://{name}-1:8000"), target(f"http://{name}-2:8000", in_flight=1)],
        "now": {
            "requests_per_s": requests[-1],
            "errors_per_s": failed[-1],
            "p50_ms": p50[-1],
            "p99_ms": p99[-1],
        },
        "series": {
            "step_s": _STEP_S,
            "from_s": first * _STEP_S,
            "requests_per_s": requests,
            "errors_per_s": failed,
            "p50_ms": p50,
            "p99_ms": p99,
        },
    } | changed


def refusal(at_s: float, number: int, **changed: object) -> dict[str, Any]:
    """A request that a limit refused."""
    return {
        "at_s": at_s,
        "request_id": f"0d1f6c2a9b7e43f58a6c1e0f2d3b{number:04x}",
        "method": "GET",
        "path": f"/api/search/companies/{number}/documents",
        "service": "search",
        "status": 429,
        "problem": "limit-reached",
        "refused_by": ["api"],
        "duration_ms": 0.4,
        **changed,
    }


def transition(at_s: float, name: str, before: str, state: str, **changed: object) -> dict[str, Any]:
    """A change of a breaker."""
    counts = {"calls": 44, "failures": 23, "slow": 0}
    return {
        "at_s": at_s,
        "name": name,
        "before": before,
        "state": state,
        "by": "",
        "why": "23 of 44 failed",
        **counts,
        **changed,
    }


def host(name: str, **changed: object) -> dict[str, Any]:
    """A host that is like this one."""
    told = {"name": name, "version": "0.1.0", "workers": 4, "config": "ab12cd34", "is_this": False}
    return {**told, "differs": False, **changed}


def limit(name: str, *, top: list[tuple[str, int]] | None = None, **changed: object) -> dict[str, Any]:
    """A limit by address."""
    told = {"mode": "enforce", "rates": ["200/m"], "key": ["address"], "admitted": 81_022, "refused": 0}
    callers = [{"caller": caller, "refused": refused} for caller, refused in top or []]
    return {"name": name, **told, "would_refuse": 0, "top": callers, **changed}


def silence(at_s: float) -> dict[str, Any]:
    """What is told of a service that nobody asks."""
    zeros, unknown = [0] * _STEPS, [None] * _STEPS
    rates = {"requests_per_s": zeros, "errors_per_s": zeros, "p50_ms": unknown, "p99_ms": unknown}
    first = int(at_s // _STEP_S) - _STEPS
    now = {"requests_per_s": 0, "errors_per_s": 0, "p50_ms": None, "p99_ms": None}
    return {"now": now, "series": {"step_s": _STEP_S, "from_s": first * _STEP_S, **rates}}
