"""Pictures of gateways as `/admin/overview` tells them: a usual day, every state, hostile texts, many."""

from __future__ import annotations

from typing import Any, Final

from tests.support.admin_page.parts import (
    breaker,
    host,
    limit,
    refusal,
    service,
    silence,
    target,
    transition,
)

_EVERY_STATE: Final = ("CLOSED", "OPEN", "HALF_OPEN", "FORCED_OPEN", "FORCED_CLOSED", "DISABLED")
HOSTILE: Final = {
    "script": "<script>window.pwned = 1</script><img src=x onerror='window.pwned = 2'>",
    "turned": "hr\u202egnp.exe\u2066\u200f",
    "long": "/api/" + "averylongsegmentwithoutabreak" * 30,
    "lines": "one\r\ntwo\0three\u2028four",
    "markup": "&lt;b&gt;</textarea>--><svg onload=alert(1)>{{7*7}}${7*7}",
}


def quiet(at_s: float, began_s: float) -> dict[str, Any]:
    """A gateway where all is well."""
    del began_s
    return {
        "at_s": at_s,
        "you": {"name": "jane", "may_change": True},
        "gateway": {
            "version": "0.1.0",
            "host": "gw-1:17-ab12cd",
            "config": "ab12cd34",
            "started_s": at_s - 93_784,
        },
        "redis": {"state": "connected", "is_embedded": False, "latency_ms": 0.4},
        "hosts": [host("gw-1:17-ab12cd", is_this=True), host("gw-2:17-9f03e1")],
        "services": [service("hr", at_s), service("search", at_s, rate=120, ms=31)],
        "limits": [],
        "transitions": [],
        "refusals": [],
    }


def worse(at_s: float, began_s: float) -> dict[str, Any]:
    """The same, with the last service in trouble."""
    services = [service("hr", at_s), service("search", at_s, breaker=breaker("OPEN", at_s))]
    return {**quiet(at_s, began_s), "services": services}


def demonstration(at_s: float, began_s: float) -> dict[str, Any]:
    """A usual day: most is well, a service fails, another is being moved."""
    return {
        **quiet(at_s, began_s),
        "hosts": [
            host("gw-1:17-ab12cd", is_this=True),
            host("gw-2:17-9f03e1"),
            host("gw-3:17-77d0b2", config="90ee1f07", differs=True),
        ],
        "services": _services(at_s, began_s),
        "limits": [
            limit("api", refused=318, top=[("203.0.113.7", 291), ("198.51.100.23", 27)]),
            limit("sign-in", rates=["20/m"], admitted=412, refused=3, top=[("192.0.2.81", 3)]),
            limit(
                "reports",
                rates=["5/s", "100/h"],
                key=["token.sub"],
                mode="shadow",
                would_refuse=44,
                admitted=2_911,
            ),
        ],
        "transitions": _transitions(began_s),
        "refusals": _refusals(began_s),
    }


def _services(at_s: float, began_s: float) -> list[dict[str, Any]]:
    began = began_s - began_s % 600
    return [
        service(
            "billing",
            at_s,
            rate=14,
            errors=0.62,
            ms=160,
            breaker=breaker(
                "OPEN",
                at_s,
                since_s=began_s - 19,
                until_s=began_s + 11,
                why="23 of 44 failed",
                calls=44,
                failures=23,
            ),
        ),
        service(
            "documents",
            at_s,
            rate=22,
            ms=64,
            targets=[
                target("http://documents-1:8000", in_flight=7),
                target("http://documents-2:8000", "unreachable", in_flight=0),
            ],
        ),
        service(
            "mail",
            at_s,
            rate=0,
            **silence(at_s),
            breaker=breaker(
                "DISABLED",
                at_s,
                since_s=began - 300,
                until_s=began + 1500,
                by="jane",
                why="database is moved",
            ),
        ),
        service("auth_service", at_s, rate=210, ms=6),
        service("hr", at_s, rate=38, ms=18),
        service("messaging", at_s, rate=64, ms=9, gap=True),
        service("reports", at_s, rate=2.4, ms=840),
        service("search", at_s, rate=120, ms=31),
        service("users", at_s, rate=96, ms=11),
    ]


def _transitions(began_s: float) -> list[dict[str, Any]]:
    began = began_s - began_s % 600
    return [
        transition(began_s - 19, "billing", "CLOSED", "OPEN"),
        transition(
            began - 300,
            "mail",
            "CLOSED",
            "DISABLED",
            by="jane",
            why="database is moved",
            calls=0,
            failures=0,
        ),
        transition(
            began - 2400, "search", "HALF_OPEN", "CLOSED", why="5 probes succeeded", calls=5, failures=0
        ),
        transition(began - 2431, "search", "OPEN", "HALF_OPEN", why="the wait is over", calls=0, failures=0),
    ]


def _refusals(began_s: float) -> list[dict[str, Any]]:
    return [
        refusal(began_s - 3, 1),
        refusal(began_s - 4.2, 2),
        refusal(
            began_s - 7,
            3,
            method="POST",
            path="/api/billing/invoices",
            service="billing",
            status=503,
            problem="circuit-open",
            refused_by=["billing"],
            duration_ms=0.2,
        ),
        refusal(
            began_s - 31,
            4,
            path="/api/hr/people/17",
            service="hr",
            status=401,
            problem="unauthorized",
            refused_by=[],
            duration_ms=1.2,
        ),
    ]


def states(at_s: float, began_s: float) -> dict[str, Any]:
    """Every state of everything."""
    services = [
        service(state.lower(), at_s, breaker=breaker(state, at_s, by="jane", why="because"))
        for state in _EVERY_STATE
    ]
    services += [
        service("none", at_s, breaker=None, targets=[target("http://none:1", "not asked yet")]),
        service("gone", at_s, targets=[target("http://gone:1", "unreachable")]),
        service("failing", at_s, errors=0.9),
        service("silent", at_s, now={}, series={}),
        service(
            "parted",
            at_s,
            targets=[
                target("http://parted-1:8000", breaker=breaker("OPEN", at_s)),
                target("http://parted-2:8000", breaker=breaker("CLOSED", at_s)),
            ],
        ),
    ]
    told = demonstration(at_s, began_s)
    return {**told, "services": services, "redis": {"state": "unreachable", "is_embedded": True}}


def hostile(at_s: float, began_s: float) -> dict[str, Any]:
    """Texts of strangers wherever there can be some."""
    script, turned, long = HOSTILE["script"], HOSTILE["turned"], HOSTILE["long"]
    bad = breaker("OPEN", at_s, by=turned, why=script)
    refusals = [
        refusal(began_s - number, number, path=text, method=turned, service=text, problem=script)
        for number, text in enumerate(HOSTILE.values())
    ]
    named = refusal(began_s - 9, 9, request_id=f"{script}/{long}", refused_by=[script, long])
    return {
        **quiet(at_s, began_s),
        "gateway": {"version": script, "host": long, "config": turned, "started_s": at_s},
        "hosts": [host(script, version=long, config=turned, differs=True)],
        "services": [
            service(script, at_s, breaker=bad, targets=[target(f"http://{long}", breaker=bad)]),
            service(long, at_s, breaker=bad),
            service("wrong", at_s, breaker={"state": script}, targets=[None, {}], series=None, now=None),
        ],
        "limits": [limit(script, top=[(long, 3), (turned, 2)], rates=[long], key=[script])],
        "transitions": [transition(began_s, long, script, turned, by=script, why=long)],
        "refusals": [*refusals, named],
    }


def many(at_s: float, began_s: float) -> dict[str, Any]:
    """30 services, 50 refusals and transitions."""
    return {
        **demonstration(at_s, began_s),
        "services": [service(f"service-{number:02}", at_s, rate=3 * number) for number in range(30)],
        "limits": [limit(f"limit-{number}", top=[("203.0.113.7", 12)] * 5) for number in range(10)],
        "transitions": [
            transition(began_s - 60 * number, f"service-{number % 30:02}", "CLOSED", "OPEN")
            for number in range(50)
        ],
        "refusals": [refusal(int(at_s) - number, int(at_s) - number) for number in range(50)],
    }


PICTURES: Final = {
    "quiet": quiet,
    "worse": worse,
    "demonstration": demonstration,
    "states": states,
    "hostile": hostile,
    "many": many,
}


def why(request_id: str, at_s: float) -> dict[str, Any]:
    """Why a request was refused, with something that no page knows."""
    window = {"window_s": 60, "burst": None, "is_shadow": False, "counted_for": "203.0.113.7", "cost": 1}
    attempt = {"is_reused": False, "reason": ""}
    return {
        "request_id": request_id,
        "at_s": at_s - 4,
        "method": "GET",
        "path": "/api/search/companies/1/documents",
        "status": 429,
        "problem": "limit-reached",
        "duration_ms": 212.4,
        "never_heard_of": {"unknown": ["kept", "shown"]},
        "route": {"prefix": "/api/search", "service": "search", "timeout_s": 30.0},
        "passed_over": [{"prefix": "/api", "service": "catalogue"}],
        "breaker": {"name": "search", "state": "CLOSED", "calls": 412, "failures": 3, "is_probe": False},
        "limits": [
            {"policy": "api", "limit": 200, **window, "fits": False, "remaining": 0, "reset_s": 64.2},
            {"policy": "search", "limit": 900, **window, "fits": True, "remaining": 547, "reset_s": None},
        ],
        "attempts": [
            {
                "target": "http://search-1:8000",
                **_moments(0.6, None, None, None, 101.2),
                "failure": "connect-timeout",
                **attempt,
            },
            {"target": "http://search-2:8000", **_moments(101.4, 102.2, 102.4, 198, 212), **attempt},
        ],
    }


def _moments(*moments: float | None) -> dict[str, float | None]:
    names = ("began_ms", "connected_ms", "sent_ms", "answered_ms", "ended_ms")
    return dict(zip(names, moments, strict=True))
