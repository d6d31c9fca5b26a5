"""What would become of a request, told rule by rule; nothing is sent, and nothing is asked.

It judges with the same functions as the running gateway.
"""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

from falcongate.admission.access import rules_of
from falcongate.admission.concurrency import rooms_of
from falcongate.admission.policies import limits_of
from falcongate.config.own_paths import is_own_path
from falcongate.refusals import MalformedRequest, MethodNotAllowed
from falcongate.routing.path import normal_form, origin_form, split_target
from falcongate.routing.table import Match, Route, RouteTable
from falcongate.server.http1 import parse_head
from falcongate.upstream.fields import hidden_cookies
from falcongate.upstream.rewrite import rewritten_target, strips_prefix
from falcongate.wire.fields import FieldBlock

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from falcongate.config.settings import GatewaySettings

_WEBSOCKET_PATH: Final = re.compile(r"/ws/([^/]+)(?:/.*)?")


def explain(settings: GatewaySettings, method: str, raw_target: bytes) -> list[tuple[str, str]]:
    """What is said of a request, as rows of a word and its meaning.

    Raises the Refusal that a caller would get.
    """
    table = RouteTable(settings)
    target, path = _judge(settings, method, raw_target)
    rows = [("judged as", path)]
    if is_own_path(path, can_sign_in=settings.admin.sign_in.issuer is not None):
        rows += [("answered by", "the gateway itself")]
        return [*rows, *_websocket(settings, table, method, path)]
    match = table.match(path)
    rows += _way(match, method, target, table.candidates(path)[1:])
    rows += _rules(settings, match)
    return [*rows, *_admission(settings, match, method, path)]


def rewriting(route: Route) -> str:
    """How a route changes a path, in a few words; `-` if it does not."""
    service = route.settings
    parts = [
        f"strip {service.strip_prefix}" if strips_prefix(route) else "",
        f"add {service.add_prefix}" if service.add_prefix else "",
        "append /" if service.append_slash else "",
    ]
    return ", ".join(filter(None, parts)) or "-"


def _judge(settings: GatewaySettings, method: str, raw_target: bytes) -> tuple[bytes, str]:
    """The target in origin form and the path that rules see. Raises the Refusal that a caller would get."""
    host = re.split(rb"[/?#]", raw_target.partition(b"://")[2])[0] if raw_target[:1] != b"/" else b""
    request = b"%b %b HTTP/1.1\r\nHost: %b\r\n\r\n" % (os.fsencode(method), raw_target, host or b"gateway")
    head = parse_head(request, settings.server, FieldBlock(b"", [], {}))
    if (head.method, head.target) != (method, raw_target.decode("latin-1")):
        raise MalformedRequest("The request line would be more than one line.")
    if method in ("CONNECT", "TRACE"):
        raise MethodNotAllowed(f"{method} is never forwarded.")
    target = raw_target if raw_target.startswith(b"/") else origin_form(raw_target, host)
    return target, normal_form(split_target(target)[0])


def _websocket(
    settings: GatewaySettings, table: RouteTable, method: str, path: str
) -> Iterator[tuple[str, str]]:
    """What an upgrade would lead to, where there can be one."""
    named = _WEBSOCKET_PATH.fullmatch(path)
    match = table.match_for_websocket(named[1], path) if named else None
    if match is not None and method == "GET":
        yield "upgraded", f"a WebSocket to {match.route.service}"
        yield from _admission(settings, match, method, path)


def _admission(settings: GatewaySettings, match: Match, method: str, path: str) -> Iterator[tuple[str, str]]:
    yield from _access(settings, match, method, path)
    yield from _breaker(settings, match.route.service)
    yield from _limits(settings, match.route.service, method, path)


def _way(match: Match, method: str, target: bytes, others: Iterable[Route]) -> Iterator[tuple[str, str]]:
    route = match.route
    service = route.settings
    yield "route", f"{route.prefix} -> {route.service}"
    for other in others:
        yield "passed over", f"{other.prefix} -> {other.service}: shorter"
    sent = rewritten_target(target, method, route)
    yield "sends", f"{method} {os.fsdecode(sent)} HTTP/1.1"
    yield "rewriting", rewriting(route) if sent != target else "none: byte for byte"
    for url in service.url:
        host = "the caller's" if service.preserve_host else urlsplit(url).netloc
        yield "to", f"{url} (Host: {host})"


def _rules(settings: GatewaySettings, match: Match) -> Iterator[tuple[str, str]]:
    service, name = match.route.settings, match.route.service

    def origin(key: str) -> str:
        return f"services.{name}.{key}" if key in service.model_fields_set else "default"

    of_route = match.timeout_from.endswith(".timeout_s")
    yield "first byte", f"{match.timeout_s:g} s ({origin('timeout_s') if of_route else match.timeout_from})"
    for meaning, key in (
        ("connect", "connect_timeout_s"), ("pauses", "idle_timeout_s"), ("whole", "total_timeout_s"),
        ("connection", "pool_wait_s"),
    ):  # fmt: skip
        yield meaning, f"{getattr(service, key):g} s ({origin(key)})"
    yield "largest body", f"{service.max_body_bytes} bytes ({origin('max_body_bytes')})"
    yield "retries", f"{service.retries}, only where repeating is safe ({origin('retries')})"
    if match.is_public:
        hidden = hidden_cookies(settings)
        cookies = f", cookies {', '.join(hidden)}" if hidden else ""
        yield "public", f"yes; removed: Authorization{cookies}"
    else:
        yield "public", "no; credentials are passed on"


def _access(settings: GatewaySettings, match: Match, method: str, path: str) -> Iterator[tuple[str, str]]:
    for rule in rules_of(settings).applying(match.route.service, method, path):
        asked = rule.settings
        who = f"identity {asked.identity}" if not match.is_public else "nobody is asked on public paths"
        parts = [who if asked.identity != "off" else ""]
        if asked.identity != "off" and not match.is_public:
            parts += [
                f"by {' or '.join(asked.accept)}",
                f"of {' or '.join(asked.issuers)}" if asked.issuers else "",
                f"with scope {' '.join(asked.scopes)}" if asked.scopes else "",
                *(f"with {claim} = {' or '.join(values)}" for claim, values in asked.claims.items()),
            ]
        parts += [
            f"from {' or '.join(asked.allow)}" if asked.allow else "",
            f"not from {' or '.join(asked.deny)}" if asked.deny else "",
        ]
        mode = "; only watched" if asked.mode == "shadow" else ""
        yield "access", f"{rule.name}: {', '.join(filter(None, parts))}{mode}"


def _breaker(settings: GatewaySettings, service: str) -> Iterator[tuple[str, str]]:
    breaker = settings.breaker_of(service)
    if not breaker.enabled:
        yield "breaker", "none"
        return
    reasons = [
        f"{breaker.max_failures} failures" if breaker.max_failures else "",
        f"{breaker.failure_ratio:.0%} of calls failed" if breaker.failure_ratio else "",
        f"{breaker.slow_ratio:.0%} of calls slow" if breaker.slow_ratio else "",
    ]
    when = " or ".join(filter(None, reasons)) or "an operator's order"
    each = "each target; " if breaker.per_target else ""
    yield (
        "breaker",
        f"{each}opens at {when} in {breaker.window_s:g} s, tried again after {breaker.open_s:g} s",
    )


def _limits(settings: GatewaySettings, service: str, method: str, path: str) -> Iterator[tuple[str, str]]:
    policies = limits_of(settings).applying(service, method, path)
    for policy in policies:
        limit = settings.limits[policy.name]
        burst = f", at most {limit.burst} in a {limit.buckets}th of it" if limit.burst else ""
        cost = f", each request counts {limit.cost}" if limit.cost > 1 else ""
        mode = "; only watched" if limit.mode == "shadow" else ""
        yield (
            "limit",
            f"{policy.name}: {' and '.join(limit.rate)} by {' + '.join(limit.key)}{burst}{cost}{mode}",
        )
    if not policies:
        yield "limit", "none applies"
    for room in rooms_of(settings).applying(service, method, path):
        places = settings.concurrency[room.name]
        mode = "; only watched" if places.mode == "shadow" else ""
        yield "at once", f"{room.name}: {places.limit} by {' + '.join(places.key)}{mode}"
