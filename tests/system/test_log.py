"""The access log of a running gateway: what it tells of a request, and never a secret."""

from __future__ import annotations

import contextlib
import json
from base64 import b64encode
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.callers import Answer, request_bytes
from tests.support.fixtures import redis_server
from tests.support.hosts import ask, callers_of_all_workers, know_each_other, plan_on
from tests.support.processes import until
from tests.support.redis_servers import SERVER, RedisServer
from tests.support.upstreams import answering, answering_then_closing
from tests.support.wire import WireError
from tests.support.world import Site, Visit, running

pytestmark = pytest.mark.skipif(SERVER is None, reason="redis-server is not installed")

FIELDS = {
    "time", "request_id", "method", "path", "service", "route", "status", "answered_by", "duration_ms",
    "first_byte_ms", "service_ms", "received_bytes", "sent_bytes", "caller", "identity", "target", "attempts",
}  # fmt: skip
SECRET = "s3cr3t"  # noqa: S105  # of these tests alone
"""In every place where one may stand, each followed by the name of the place."""
SIGNING_SECRET = f"{SECRET}-{'k' * 40}"
PASSWORD = f"{SECRET}-redis-password"
ADMIN_TOKEN = f"{SECRET}-administration"
COUNTED_BY = ("X-API-Key", "Cookie", "Authorization", "X-Credential")
PAGES = (
    "/health/",
    "/metrics/",
    "/admin/",
    "/circuit-breaker/status",
    "/admin/why?last=200",
    "/admin/overview",
)

server = redis_server("function")


def secret(place: str) -> str:
    """A secret that stands in that place."""
    return f"{SECRET}-{place}"


@pytest.fixture
def site(server: RedisServer, tmp_path: Path) -> Iterator[Site]:
    """A gateway that keeps all decisions, with rules, limits and services that see secrets.

    Each test has one of its own: only so many decisions are kept a second, and those on the requests of a
    test that asks again and again leave no room for another's.
    """
    with server.client() as client:
        client.config_set("requirepass", PASSWORD)
    url = f"redis://:{PASSWORD}@127.0.0.1:{server.port}"
    hs256 = {"issuer": "https://auth.test", "algorithms": "HS256", "secret": SIGNING_SECRET}
    settings: dict[str, Any] = {
        "decisions": {"ratio": 1.0},
        "log": {"sample": {"204": 0}},
        "issuers": {"ours": {**hs256, "audience": "us"}},
        "access": {"known": {"identity": "required", "paths": ["/api/honest/known/**"]}},
        "limits": {
            **{f"by-{header}": {"rate": "1000/m", "key": f"header:{header}"} for header in COUNTED_BY},
            # Whom these would refuse, operators are shown.
            **{
                f"shown-{header}": {
                    "rate": "1/h",
                    "key": f"header:{header}",
                    "mode": "shadow",
                    "paths": ["/api/honest/shown/**"],
                }
                for header in COUNTED_BY
            },
        },
    }
    plan = plan_on(url, environ={"FALCONGATE_ADMIN_TOKEN": ADMIN_TOKEN}, **settings)
    with running(plan, tmp_path / "site") as made:
        # A worker that has not found its Redis yet keeps no decision.
        know_each_other([made])
        yield made


@pytest.fixture
def visit(site: Site) -> Iterator[Visit]:
    """What one test does there."""
    made = Visit(site)
    yield made
    made.leave()


def fields_with_secrets(scheme: str = "Bearer") -> list[tuple[str, str]]:
    """Header fields that hold one each."""
    basic = b64encode(f"jane:{secret('basic')}".encode()).decode()
    return [
        ("Authorization", f"Basic {basic}" if scheme == "Basic" else f"Bearer {secret('bearer')}"),
        ("Cookie", f"session={secret('cookie')}; auth_token={secret('token-cookie')}"),
        ("X-API-Key", f"fg_0123456789ab_{secret('api-key')}"),
        ("X-Forwarded-For", "192.0.2.7"),
        ("Proxy-Authorization", f"Basic {basic}"),
        ("Referer", f"https://a.test/?token={secret('referer')}"),
        ("X-Credential", secret("credential")),
        ("X-Anything", secret("anything")),
    ]


def test_a_line_has_every_field(visit: Visit) -> None:
    answer = visit.get("/api/honest/x?query=1")
    line = visit.gateway.logged(answer.get("X-Request-ID") or "")
    assert set(line) == FIELDS
    assert (line["route"], line["service"], line["answered_by"]) == ("/api/honest", "honest", "service")
    assert (line["path"], line["target"], line["attempts"]) == ("/api/honest/x", visit.honest.url, 1)
    assert 0 < line["service_ms"] <= line["first_byte_ms"] <= line["duration_ms"]

    answer = visit.get("/api/nobody/x")
    line = visit.gateway.logged(answer.get("X-Request-ID") or "")
    assert set(line) == FIELDS | {"problem", "reason"}
    assert (line["answered_by"], line["problem"], line["target"]) == ("gateway", "no-route", "")


def test_who_left_was_answered_by_nobody(visit: Visit) -> None:
    request_id = "the-id-of-one-that-left"
    with visit.caller() as caller:
        caller.send(
            request_bytes("POST", "/api/honest/x", [("X-Request-ID", request_id), ("Content-Length", "9")])
        )
        caller.send(b"123")
    line = visit.gateway.logged(request_id)
    assert (line["status"], line["answered_by"]) == (499, "nobody")


def test_statuses_that_are_sampled_away_get_no_line(visit: Visit) -> None:
    unlogged = visit.get("/api/honest/status/204").get("X-Request-ID")
    logged = visit.get("/api/honest/status/200").get("X-Request-ID") or ""
    visit.gateway.logged(logged)
    assert unlogged not in [line.get("request_id") for line in visit.gateway.log_lines()]


def provoke(visit: Visit) -> list[Answer]:
    """Requests with secrets in all places, that end in all ways."""
    nonsense = visit.service(answering_then_closing(f"HTTP/1.1 200 OK\r\nSet-Cookie {secret('s')}".encode()))
    two_lengths = visit.service(
        answering_then_closing(
            f"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: {secret('length')}\r\n\r\n".encode()
        )
    )
    short = visit.service(
        answering_then_closing(
            f"HTTP/1.1 200 OK\r\nX-A: {secret('key')}\r\nContent-Length: 99\r\n\r\n{secret('body')}".encode()
        )
    )
    failing = visit.service(
        answering(
            f"HTTP/1.1 500 {secret('phrase')}\r\nX-A: {secret('set')}\r\nContent-Length: 0\r\n\r\n".encode()
        )
    )
    query = f"?access_token={secret('query')}&code={secret('code')}"
    paths = [
        f"/api/honest/x{query}", f"/api/honest/shown/x{query}", f"/api/honest/shown/x{query}",
        f"/api/honest/known/x{query}", f"/api/nobody/x{query}", f"/{query}",
        nonsense.path(f"/x{query}"), two_lengths.path(f"/x{query}"), failing.path(f"/x{query}"),
        f"/ws/honest/x{query}", f"/admin/callback{query}&state={secret('state')}",
    ]  # fmt: skip
    got = [visit.get(path, fields_with_secrets(how)) for path in paths for how in ("Bearer", "Basic")]
    got.append(visit.get(f"http://jane:{secret('userinfo')}@localhost:8000/api/honest/x", []))
    got.append(visit.exchange("POST", f"/api/honest/x{query}", (), secret("request-body").encode()))
    for raw in (
        f"GET /api/honest/x{query} HTTP/1.1\r\nHost: a\r\nBad Field: {secret('bad-field')}\r\n\r\n",
        f"GET /api/honest/x{query} HTTP/1.1\r\nHost: a b{secret('host')}\r\n\r\n",
        f"GET {secret('no-target')} HTTP/1.1\r\nHost: a\r\n\r\n",
        f"{secret('method')} / HTTP/1.1\r\nHost: a\r\n\r\n",
        f"GET /%00{query} HTTP/1.1\r\nHost: a\r\nX-Request-ID: {secret('id')}\r\n\r\n",
    ):
        with visit.caller() as caller:
            caller.send(raw.encode())
            got.append(caller.answer())
    with visit.caller() as caller, contextlib.suppress(Exception):
        caller.exchange("GET", short.path(f"/x{query}"), fields_with_secrets())
    return got


def test_no_secret_is_told_anywhere(site: Site, visit: Visit, server: RedisServer) -> None:
    got = provoke(visit)
    assert {200, 400, 401, 404, 500, 502} <= {answer.status for answer in got}
    for answer in got:
        if answer.status >= 400 and answer.get("Content-Type") == "application/problem+json":
            assert "error=" in (answer.get("Proxy-Status") or "")
            assert SECRET.encode() not in answer.content
    ids = {answer.get("X-Request-ID") for answer in got}
    for request_id in ids:
        if request_id is not None:
            visit.gateway.logged(request_id)

    with server.client(password=PASSWORD) as client:

        def kept() -> str:
            return json.dumps([client.xrange(f"falcongate:1:decisions{kind}") for kind in ("", ":ordinary")])

        def missing() -> list[str]:
            text = kept()
            return [str(request_id) for request_id in ids if str(request_id) not in text]

        with contextlib.suppress(WireError):
            until(lambda: not missing(), "all decisions are kept")
        lines = visit.get("/metrics/").content.decode().splitlines()
        assert not missing(), [line for line in lines if line.startswith("falcongate_decisions_dropped")]
        told = {"decisions": kept(), "keys": json.dumps(client.keys())}
    told["out"], told["err"] = visit.gateway.stdout(), visit.gateway.stderr()

    def are_shown() -> bool:
        limits = ask(site, "/admin/overview").json()["limits"]
        top = {limit["name"]: [of["caller"] for of in limit["top"]] for limit in limits}
        return all(top[f"shown-{header}"] for header in COUNTED_BY)

    until(are_shown, "who would be refused is shown")
    for path in PAGES:
        page = ask(site, path)
        assert page.status == 200
        told[path] = page.content.decode()
    for place, text in told.items():
        assert SECRET not in text, f"{place}: ...{text[max(text.index(SECRET) - 300, 0) :][:400]}"
        assert b64encode(b"jane:").decode()[:6] not in text, place


def test_a_redis_that_is_away_tells_no_password(server: RedisServer, site: Site, visit: Visit) -> None:
    with server.client(password=PASSWORD) as client:
        client.config_set("requirepass", "")
        client.config_set("requirepass", "another")
        client.client_kill_filter(_type="normal", skipme=True)
    try:
        until(lambda: ask(site, "/health/").json()["status"] == "degraded", "the gateway sees it")
        assert visit.get("/api/honest/x").status == 200
    finally:
        with server.client(password="another") as client:  # noqa: S106  # of this test alone
            client.config_set("requirepass", PASSWORD)
    with contextlib.ExitStack() as stack:
        workers = callers_of_all_workers(stack, [site])
        until(
            lambda: all(worker.get("/health/").json()["status"] == "healthy" for worker in workers),
            "it is back for all",
        )
    assert SECRET not in visit.gateway.stderr()
    assert SECRET not in visit.gateway.stdout()
