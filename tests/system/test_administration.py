"""Who may see and do what is for operators, on the network as it is: peers, proxies, tokens, tricks."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from tests.support.callers import Answer, Caller, Fields, request_bytes
from tests.support.processes import until
from tests.support.redis_servers import free_port
from tests.support.upstreams import listen
from tests.support.world import Plan, Site, Visit, running

TOKEN = "a-token-that-is-long-enough"  # noqa: S105  # of these tests alone
DETAILS = [
    ("GET", "/metrics"), ("GET", "/metrics/"), ("HEAD", "/metrics"), ("GET", "/circuit-breaker/status"),
    ("GET", "/circuit-breaker/status/honest"), ("GET", "/circuit-breaker/status/nobody"), ("GET", "/admin/"),
    ("GET", "/admin/why"), ("GET", "/admin/why/"),
]  # fmt: skip
CHANGES = [
    ("POST", f"/circuit-breaker/{order}/honest") for order in ("reset", "disable", "enable", "open", "close")
]
TRICKS = [
    "/metrics", "/metrics/", "//metrics", "/metrics//", "/metrics;x", "/%6detrics", "/%6Detrics/",
    "/metrics?", "/metrics?x=/health", "/metrics#x", "/metrics%23", "/x/../metrics", "/./metrics",
    "/health/../metrics", "/%2e/metrics", "/x/%2e%2e/metrics", "/metrics%00", "/METRICS", "/metrics%2f",
    "/metrics/x", "/metrics ",
    "http://localhost:8000/metrics", "http://localhost:8000//metrics", "HTTP://LOCALHOST:8000/metrics",
    "/circuit-breaker/status", "//circuit-breaker/status", "/circuit-breaker//status",
    "/circuit-breaker/status/honest;x", "/circuit%2dbreaker/status", "/circuit-breaker/status/%68onest",
    "/admin", "/admin/", "//admin", "/%61dmin", "/admin;x", "/admin/.", "/admin#", "/admin/sign-in",
    "/admin/callback", "/admin/sign-out", "/admin/why", "//admin/why", "/admin/why/x", "/admin/%77hy",
    "/health/..%2fmetrics", "/api/honest/../../metrics", "\\metrics",
]  # fmt: skip
OVERRIDES = [
    [("X-HTTP-Method-Override", "POST")], [("X-HTTP-Method", "POST")], [("X-Method-Override", "POST")],
    [("X-Original-URL", "/health/live")], [("X-Rewrite-URL", "/health/live")],
    [("Connection", "X-Forwarded-For, Via, Origin")],
    [("Host", "localhost")],
]  # fmt: skip


def ask(
    site: Site, method: str, path: str, fields: Fields = (), *, host: str = "localhost:8000",
    address: tuple[str, int] | None = None,
) -> Answer:  # fmt: skip
    """One request from this machine."""
    with Caller(address or site.gateway.address) as caller:
        caller.send(request_bytes(method, path, fields, host=host))
        return caller.answer(to=method)


def reveals(answer: Answer) -> bool:
    """Whether it holds what only operators may see."""
    marks = (
        b"falcongate_http_requests",
        b"is_shared",
        b"circuit_breaker",
        b"You are <strong>",
        b"CLOSED",
        b"at_s",
    )
    return any(mark in answer.content for mark in marks)


@pytest.fixture(scope="module")
def open_site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """A gateway without a setting."""
    with running(Plan("plain", {}, 0), tmp_path_factory.mktemp("plain")) as site:
        yield site


@pytest.mark.parametrize(("method", "path"), DETAILS + CHANGES)
def test_by_default_this_machine_may_all_and_nobody_through_a_proxy_may(
    open_site: Site, method: str, path: str
) -> None:
    local = ask(open_site, method, path)
    assert local.status == (404 if "nobody" in path else 200)
    for field in (("X-Forwarded-For", "127.0.0.1"), ("Via", "1.1 a"), ("Origin", "http://evil.example")):
        refused = ask(open_site, method, path, [field])
        assert refused.status == 403
        assert not reveals(refused)
        if method != "HEAD":
            document = refused.json()
            assert document["type"] == "/problems/forbidden"
            assert "FALCONGATE_ADMIN_TOKEN" in str(document["suggestion"])


def test_the_probes_of_schedulers_answer_everybody(open_site: Site) -> None:
    for path in ("/health/live", "/health/ready/", "/health/"):
        assert ask(open_site, "GET", path, [("X-Forwarded-For", "1.1.1.1")]).status == 200
    assert ask(open_site, "GET", "/health/", [("X-Forwarded-For", "1.1.1.1")]).json() == {"status": "healthy"}


@pytest.mark.parametrize("fields", OVERRIDES)
def test_fields_that_would_change_the_request_change_nothing(
    open_site: Site, fields: list[tuple[str, str]]
) -> None:
    for path in ("/metrics", "/circuit-breaker/reset/honest"):
        answer = ask(open_site, "GET", path, [("X-Forwarded-For", "1.1.1.1"), *fields])
        assert answer.status in (400, 403, 405)
        assert not reveals(answer)


@pytest.mark.parametrize("target", TRICKS)
def test_no_spelling_of_a_path_gets_around_the_policy(open_site: Site, target: str) -> None:
    for method in ("GET", "HEAD", "POST", "OPTIONS"):
        answer = ask(open_site, method, target, [("X-Forwarded-For", "1.1.1.1")])
        assert not reveals(answer)
        assert answer.status in (400, 403, 404, 405) or method == "OPTIONS"


def test_the_address_behind_declared_proxies_decides(tmp_path: Path) -> None:
    settings = {"server": {"trusted_proxies": ["127.0.0.0/8"]}}
    with running(Plan("proxied", settings, 0), tmp_path) as site:
        for said, status in (
            ("192.168.1.1", 200), ("203.0.113.1", 403), ("192.168.1.1, 203.0.113.1", 403),
            ("203.0.113.1, 192.168.1.1", 403), ("127.0.0.1", 403), ("unknown", 403), (None, 403),
        ):  # fmt: skip
            fields = [("X-Forwarded-For", said)] if said else []
            assert ask(site, "GET", "/metrics", fields).status == status, said
            assert ask(site, "POST", "/circuit-breaker/reset/honest", fields).status == 403


@contextlib.contextmanager
def divided(kind: str, directory: Path) -> Iterator[tuple[Site, tuple[str, int]]]:
    """A gateway with a port for operators, and where that is."""
    place = ("127.0.0.1", free_port())
    plan = Plan(
        "divided",
        {
            "admin": {"bind": "{}:{}".format(*place)},
            "services": {
                "all": {"paths": ["/"]},
                # Stock gunicorn would wait at its end for the connections that it keeps to itself.
                "itself": {
                    "url": "http://{}:{}".format(*place),
                    "strip_prefix": "/api/itself",
                    "keepalive_timeout_s": 0.1,
                },
            },
        },
        0,
        environ={"FALCONGATE_ADMIN_TOKEN": TOKEN},
    )
    with running(replace(plan, kind=kind), directory) as site:
        yield site, place


@pytest.fixture(scope="module", params=["falcongate", "gevent"])
def two_ports(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[Site, tuple[str, int]]]:
    """One whose services have every path that nobody else has."""
    with divided(request.param, tmp_path_factory.mktemp("divided")) as made:
        yield made


@pytest.mark.parametrize(("method", "path"), DETAILS + CHANGES)
def test_with_a_second_port_administration_answers_there_and_nowhere_else(
    two_ports: tuple[Site, tuple[str, int]], method: str, path: str
) -> None:
    site, admin = two_ports
    assert ask(site, method, path, address=admin).status == (404 if "nobody" in path else 200)
    assert ask(site, "POST", "/circuit-breaker/reset/honest", address=admin).status == 200
    assert ask(site, method, path, [("Via", "1.1 a")], address=admin).status == 401
    for fields in ([], [("Authorization", f"Bearer {TOKEN}")]):
        for host in ("localhost:8000", "{}:{}".format(*admin)):
            answer = ask(site, method, path, fields, host=host)
            assert answer.status == 404
            assert method == "HEAD" or answer.json()["type"] == "/problems/no-route"


@pytest.mark.parametrize("path", ["/api/honest/x", "/", "/ws/honest/x", "/anything", "/metrics/x"])
def test_with_a_second_port_services_do_not_answer_there(
    two_ports: tuple[Site, tuple[str, int]], path: str
) -> None:
    site, admin = two_ports
    answer = ask(site, "GET", path, address=admin)
    assert answer.status == 404
    assert answer.json()["type"] == "/problems/no-route"
    assert ask(site, "GET", "/api/honest/x").status == 200


@pytest.mark.parametrize(("method", "path"), DETAILS + CHANGES)
def test_a_service_that_is_the_gateway_s_own_second_port_is_a_way_for_nobody(
    two_ports: tuple[Site, tuple[str, int]], method: str, path: str
) -> None:
    """What comes back to the gateway comes from this machine; that it comes for somebody is written on it."""
    for fields in ([], [("Connection", "Via, X-Forwarded-For, X-Forwarded-Host, X-Forwarded-Proto")]):
        answer = ask(two_ports[0], method, f"/api/itself{path}", fields)
        assert answer.status == 401
        assert not reveals(answer)


def test_with_a_second_port_health_has_its_details_there(two_ports: tuple[Site, tuple[str, int]]) -> None:
    site, admin = two_ports
    token = [("Authorization", f"Bearer {TOKEN}")]
    assert ask(site, "GET", "/health/", token).json().keys() == {"status"}
    assert "dependencies" in ask(site, "GET", "/health/", address=admin).json()
    for address in (admin, site.gateway.address):
        assert ask(site, "GET", "/health/live", address=address).status == 200


@pytest.mark.parametrize("target", TRICKS)
def test_with_a_second_port_no_spelling_leads_there(
    two_ports: tuple[Site, tuple[str, int]], target: str
) -> None:
    site, admin = two_ports
    for method in ("GET", "HEAD", "POST", "OPTIONS"):
        for host in ("localhost:8000", "{}:{}".format(*admin)):
            answer = ask(site, method, target, [("Authorization", f"Bearer {TOKEN}")], host=host)
            assert not reveals(answer)


def test_a_reload_keeps_moves_and_takes_away_the_second_port(tmp_path: Path) -> None:
    with divided("falcongate", tmp_path) as (site, first), listen() as free:
        second: tuple[str, int] = free.getsockname()
        free.close()
        config = tmp_path / "gateway.toml"
        text = config.read_text("utf-8")
        site.gateway.reload()
        assert ask(site, "GET", "/metrics", address=first).status == 200

        config.write_text(text.replace("{}:{}".format(*first), "{}:{}".format(*second)), "utf-8")
        site.gateway.reload()
        assert ask(site, "GET", "/metrics", address=second).status == 200
        assert ask(site, "GET", "/metrics").status == 404

        config.write_text(text.replace('"bind"', '"url" = "" #'), "utf-8")
        site.gateway.reload()
        assert ask(site, "GET", "/metrics").status == 200
        with pytest.raises(ConnectionRefusedError):
            ask(site, "GET", "/metrics", address=second)


def test_a_second_port_that_cannot_be_had_changes_nothing_at_a_reload(tmp_path: Path) -> None:
    with divided("falcongate", tmp_path) as (site, first), listen() as taken:
        config = tmp_path / "gateway.toml"
        text = config.read_text("utf-8")
        place = "{}:{}".format(*taken.getsockname())
        config.write_text(text.replace("{}:{}".format(*first), place), "utf-8")
        site.gateway.signal(1)
        visit = Visit(site)
        until(lambda: "cannot listen there" in site.gateway.stderr(), "it is reported")
        assert ask(site, "GET", "/metrics", address=first).status == 200
        visit.leave()
