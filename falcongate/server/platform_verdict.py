"""Whether settings go with what stands in front of the gateway and ends it, and what to do; pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from falcongate.findings import Finding, Level, ok, problem, warning

if TYPE_CHECKING:
    from collections.abc import Iterator

    from falcongate.config.settings import GatewaySettings, ServerSettings
    from falcongate.server.machine import Platform

# Heroku's articles "HTTP Routing", "Request Timeout", "Dyno Shutdown Behavior" and "HTTP Request IDs".
_ROUTER_KEEPS_S: Final = 90
_ROUTER_FIRST_BYTE_S: Final = 30
_ROUTER_NEXT_BYTE_S: Final = 55
_DYNO_ENDS_S: Final = 30
# What comes with Kubernetes unless somebody says otherwise, and what conf/systemd says.
_POD_ENDS_S: Final = 30
_UNIT_ENDS_S: Final = 40
# nginx, HAProxy's usual setting and AWS' load balancers keep idle connections for a minute.
_BALANCERS_KEEP_S: Final = 60
_NAMES_SHOWN: Final = 6


def verdict_on_platform(platform: Platform, settings: GatewaySettings) -> Iterator[Finding]:
    """A finding for each rule of the platform that a setting keeps or breaks."""
    if platform == "Heroku":
        yield from _heroku(settings)
        return
    server = settings.server
    if server.keepalive_timeout_s <= _BALANCERS_KEEP_S:
        yield warning(
            f"server.keepalive_timeout_s is {server.keepalive_timeout_s:g}; most load balancers keep idle"
            f" connections for {_BALANCERS_KEEP_S} s, and may send a request on one that is being closed",
            "set it above what is in front keeps, such as 100",
        )
    else:
        yield ok(
            f"idle connections are kept for {server.keepalive_timeout_s:g} s, longer than most proxies do"
        )
    if platform != "none":
        yield _grace(platform, server.graceful_timeout_s)


def _grace(platform: Platform, graceful_s: float) -> Finding:
    limit_s, setting = {
        "Kubernetes": (_POD_ENDS_S, "terminationGracePeriodSeconds"),
        "systemd": (_UNIT_ENDS_S, "TimeoutStopSec"),
    }.get(platform, (0, "docker stop --time, or stop_grace_period in compose.yaml"))
    if not limit_s:
        return Finding(
            Level.OK,
            f"stopping takes up to {graceful_s:g} s (server.graceful_timeout_s); Docker waits for 10 s",
            f"set {setting} above that",
        )
    found = (
        f"stopping takes up to {graceful_s:g} s (server.graceful_timeout_s); {platform} waits for {limit_s} s"
    )
    if graceful_s >= limit_s:
        return warning(
            f"{found} unless told otherwise", f"set {setting} above it, or server.graceful_timeout_s below"
        )
    return ok(found)


def _heroku(settings: GatewaySettings) -> Iterator[Finding]:
    server = settings.server
    yield _router_keeps(server)
    yield _dyno_ends(server)
    yield _router_is_trusted(server)
    yield _first_byte(settings)
    yield from _next_byte(settings)
    yield ok(
        "the router's X-Request-ID is taken as it is (20 to 200 letters, digits, + / = -),"
        " so that its log and the gateway's name a request alike"
    )
    if server.tls.cert_file:
        yield problem(
            "server.tls.cert_file is set: the router speaks plain HTTP with a dyno",
            "leave [server.tls] out; TLS ends in the router",
        )


def _router_keeps(server: ServerSettings) -> Finding:
    kept_s = server.keepalive_timeout_s
    found = f"server.keepalive_timeout_s is {kept_s:g}; the router keeps idle ones for {_ROUTER_KEEPS_S} s"
    if kept_s <= _ROUTER_KEEPS_S:
        return problem(
            f"{found}, and may send a request on a connection that is just being closed (H13, H18)",
            f"set it above {_ROUTER_KEEPS_S}, such as 100",
        )
    return ok(found)


def _dyno_ends(server: ServerSettings) -> Finding:
    found = (
        f"server.graceful_timeout_s is {server.graceful_timeout_s:g}; a dyno is killed after {_DYNO_ENDS_S} s"
    )
    if server.graceful_timeout_s >= _DYNO_ENDS_S:
        return problem(f"{found}, with what is in flight", f"set it below {_DYNO_ENDS_S}, such as 25")
    return ok(found)


def _router_is_trusted(server: ServerSettings) -> Finding:
    if server.trusted_hops == 1:
        return ok("server.trusted_hops is 1: callers' addresses and https are taken from the router")
    remedy = "set server.trusted_hops = 1, as conf/heroku.toml does"
    if server.trusted_hops > 1:
        return warning(
            f"server.trusted_hops is {server.trusted_hops}: right only with a proxy in front of Heroku;"
            " else callers can choose their address",
            f"{remedy}, where the router is the only one",
        )
    return problem(
        "the router is not trusted: every caller seems to come from its address, by http,"
        " so limits by address count all callers as one",
        remedy,
    )


def _first_byte(settings: GatewaySettings) -> Finding:
    late = [f"{name} ({service.timeout_s:g} s)" for name, service in settings.services.items()
            if service.timeout_s >= _ROUTER_FIRST_BYTE_S]  # fmt: skip
    late += [f"endpoint {name} ({seconds:g} s)" for name, seconds in settings.endpoint_timeouts.items()
             if seconds >= _ROUTER_FIRST_BYTE_S]  # fmt: skip
    if not late:
        return ok(f"every service is given up before the router does, after {_ROUTER_FIRST_BYTE_S} s (H12)")
    return warning(
        f"the router answers 503 (H12) when no byte has come {_ROUTER_FIRST_BYTE_S} s after the request;"
        f" as long or longer wait: {_some(late)}",
        f"let them send a first byte in time and one every {_ROUTER_NEXT_BYTE_S} s, or answer 202 and"
        " be asked again; with timeout_s = 29 callers get the gateway's problem document (504) instead",
    )


def _next_byte(settings: GatewaySettings) -> Iterator[Finding]:
    late = [f"{name} ({service.idle_timeout_s:g} s)" for name, service in settings.services.items()
            if service.idle_timeout_s > _ROUTER_NEXT_BYTE_S]  # fmt: skip
    if late:
        yield Finding(
            Level.OK,
            f"the router ends what moves no byte for {_ROUTER_NEXT_BYTE_S} s (H15, H28), in both directions;"
            f" the gateway would wait longer for: {_some(late)}",
            "nothing, unless their answers or uploads pause for so long",
        )
    ping_s = settings.websocket.ping_interval_s
    sockets = [name for name, service in settings.services.items() if service.websocket]
    if sockets and not 0 < ping_s < _ROUTER_NEXT_BYTE_S:
        yield warning(
            f"WebSockets without a byte for {_ROUTER_NEXT_BYTE_S} s the router ends: {_some(sockets)}",
            "nothing where they ping by themselves, as Socket.IO does; else websocket.ping_interval_s = 30",
        )


def _some(names: list[str]) -> str:
    more = len(names) - _NAMES_SHOWN
    return ", ".join(names[:_NAMES_SHOWN]) + (f" and {more} more" if more > 0 else "")
