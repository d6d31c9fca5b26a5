"""Why a request was answered as it was: told on any host, by command and over HTTP, of requests on all."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import pytest

from tests.support.callers import Answer, Caller
from tests.support.fixtures import redis_server
from tests.support.honest import HonestUpstream
from tests.support.hosts import ask, hosts, plan_on
from tests.support.processes import ROOT, environment, until
from tests.support.redis_servers import SERVER, RedisServer
from tests.support.world import Site

pytestmark = pytest.mark.skipif(SERVER is None, reason="redis-server is not installed")

GONE = "http://127.0.0.1:1"
ID = "the-id-of-this-request-"
OUTSIDE = [("X-Forwarded-For", "203.0.113.7")]
PAGE = ROOT / "docs/why.md"

server = redis_server("module")


@pytest.fixture(scope="module")
def sites(server: RedisServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[Site]]:
    """Two hosts; the first keeps decisions on all requests, the second on those only that went wrong."""
    honest = HonestUpstream()
    settings = {
        "services": {
            "hr": {"url": [GONE, honest.url], "target_cooldown_s": 0.05},
            "hr-archive": {"paths": ["/api/hr/archive"], "url": [honest.url]},
            "broken": {"url": [GONE]},
        },
        "limits": {"api": {"rate": "2/m", "paths": ["/api/hr/archive/**"]}},
        "concurrency": {"at-a-time": {"limit": 5, "paths": ["/api/hr/**"]}},
        "access": {
            "inside": {"allow": ["10.0.0.0/8"], "paths": ["/api/honest/inside/**"]},
            "watched": {"allow": ["10.0.0.0/8"], "paths": ["/api/honest/watched/**"], "mode": "shadow"},
        },
        "breaker": {"max_failures": 2, "open_s": 60},
    }
    first = plan_on(server.url, decisions={"ratio": 1.0}, **settings)
    second = plan_on(server.url, decisions={"ratio": 0}, **settings)
    try:
        with hosts(tmp_path_factory.mktemp("hosts"), first, second) as sites:
            yield sites
    finally:
        honest.stop()


def why(server: RedisServer, *words: str) -> subprocess.CompletedProcess[str]:
    """`falcongate why` with these words, from a machine that is none of the hosts."""
    return subprocess.run(  # noqa: S603  # our own command
        [sys.executable, "-m", "falcongate", "why", *words],
        cwd=ROOT,
        env=environment() | {"REDIS_URL": server.url},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


def send(site: Site, path: str, request_id: str = "") -> Answer:
    """One request, perhaps with an id of the caller's."""
    return ask(site, path, [("X-Request-ID", request_id)] if request_id else ())


def id_of(answer: Answer) -> str:
    """Which request it answers."""
    request_id = answer.get("X-Request-ID")
    assert request_id is not None
    return request_id


def decision(site: Site, request_id: str) -> dict[str, Any]:
    """What a host tells of a request, waited for."""

    def told() -> Answer | None:
        answer = ask(site, f"/admin/why/{request_id}")
        return answer if answer.status == 200 else None

    document: dict[str, Any] = until(told, f"the decision on {request_id} is kept").json()
    return document


def normal(text: str) -> str:
    """What is told, without what differs from one time to the next."""
    text = re.sub(r"\d{4}-\d\d-\d\dT[\d:]+[+-][\d:]+", "WHEN", text)
    text = re.sub(r"by \S+, worker", "by HOST, worker", text)
    text = re.sub(r"\b[0-9a-f]{20,}\b", "ID", text)
    text = text.replace("a kept connection", "a new connection")
    return re.sub(r"\d+(\.\d+)?", "N", text).strip()


def shown_on_the_page() -> list[str]:
    """What the page shows of the command, each block without its first line."""
    page = PAGE.read_text("utf-8")
    shown = re.findall(r"^```console\n\$ falcongate why [^\n]+\n(.*?)^```$", page, re.MULTILINE | re.DOTALL)
    return [normal(block) for block in shown]


def test_a_request_refused_on_one_host_is_explained_on_the_other_and_by_the_command(
    server: RedisServer, sites: list[Site]
) -> None:
    answers = [send(sites[0], "/api/hr/archive/1?token=secret") for _ in range(3)]
    assert [answer.status for answer in answers] == [200, 200, 429]
    request_id = id_of(answers[-1])
    assert answers[-1].json()["instance"] == f"/requests/{request_id}"

    told = decision(sites[1], request_id)
    assert (told["status"], told["answered_by"], told["problem"]) == (429, "gateway", "limit-reached")
    assert (told["path"], told["service"]) == ("/api/hr/archive/1", "hr-archive")
    assert (told["refused_by"], told["detail"]) == (["api"], "Reached: api.")
    assert told["route"]["prefix"] == "/api/hr/archive"
    assert told["passed_over"] == [{"prefix": "/api/hr", "service": "hr"}]
    (limit,) = told["limits"]
    assert (limit["limit"], limit["window_s"], limit["cost"], limit["remaining"]) == (2, 60, 1, 0)
    assert not limit["fits"]
    assert 0 < limit["reset_s"] <= 66
    assert told["counted_by"] == "all hosts"
    assert told["breaker"]["state"] == "CLOSED"
    assert told["attempts"] == []
    assert told["worker"] in sites[0].gateway.workers

    done = why(server, request_id)
    assert (done.returncode, done.stderr) == (0, "")
    assert normal(done.stdout) == shown_on_the_page()[0]
    assert "secret" not in done.stdout


def test_attempts_and_places_are_told(server: RedisServer, sites: list[Site]) -> None:
    def tried_twice() -> str:
        request_id = id_of(send(sites[0], "/api/hr/42"))
        line = sites[0].gateway.logged(request_id)
        # Of a gateway that was stopped by the kernel just then, nothing is told of the service's time.
        return request_id if line["attempts"] == 2 and line["service_ms"] > 0 else ""

    request_id = until(tried_twice, "the unreachable target was chosen first")
    told = decision(sites[1], request_id)
    assert (told["status"], told["answered_by"], told["problem"]) == (200, "service", "")
    first, second = told["attempts"]
    assert (first["target"], first["status"], first["failure"]) == (GONE, 0, "service-unreachable")
    assert first["connected_ms"] is None
    assert second["status"] == 200
    moments = [second[f"{name}_ms"] for name in ("began", "connected", "sent", "answered", "ended")]
    assert moments == sorted(moments)
    assert first["ended_ms"] <= second["began_ms"]
    assert second["ended_ms"] <= told["duration_ms"] + 0.1
    (room,) = told["at_once"]
    assert (room["policy"], room["limit"], room["counted_by"]) == ("at-a-time", 5, "all hosts")
    assert room["fits"]
    done = why(server, request_id)
    assert normal(done.stdout) == shown_on_the_page()[1]


def test_a_breaker_tells_its_numbers(sites: list[Site]) -> None:
    def refused() -> str:
        answer = send(sites[1], "/api/broken/x")
        return id_of(answer) if answer.status == 503 else ""

    told = decision(sites[0], until(refused, "the breaker opens"))
    assert told["problem"] == "circuit-open"
    breaker = told["breaker"]
    assert (breaker["name"], breaker["state"], breaker["before"]) == ("broken", "OPEN", "CLOSED")
    assert breaker["generation"] > 0
    assert breaker["failures"] >= 2
    assert breaker["by"]
    assert breaker["until_s"] > breaker["since_s"]
    assert not breaker["is_probe"]


def test_rules_of_access_are_told_those_that_only_watch_too(sites: list[Site]) -> None:
    told = decision(sites[1], id_of(send(sites[0], "/api/honest/inside/x")))
    assert (told["status"], told["refused_by"]) == (403, ["inside"])
    told = decision(sites[1], id_of(send(sites[0], "/api/honest/watched/x")))
    assert (told["status"], told["refused_by"], told["would_refuse"]) == (200, [], ["watched"])


def test_of_what_was_answered_in_order_the_share_is_kept(server: RedisServer, sites: list[Site]) -> None:
    fine = id_of(send(sites[1], "/api/honest/fine"))
    refused = id_of(send(sites[1], "/api/nobody/x"))
    assert decision(sites[0], refused)["problem"] == "no-route"
    answer = ask(sites[0], f"/admin/why/{fine}")
    assert (answer.status, answer.json()["type"]) == (404, "/problems/no-such-decision")
    assert answer.get("Proxy-Status") == "falcongate; error=http_request_error"
    done = why(server, fine)
    assert (done.returncode, done.stdout) == (1, "")
    assert f"nothing is known of a request {fine}" in done.stderr
    assert "decisions.ratio" in done.stderr


def test_of_an_id_that_came_again_the_last_is_told_and_how_many_there_are(
    server: RedisServer, sites: list[Site]
) -> None:
    request_id = f"{ID}a/b+c="
    for count in (1, 2, 3):
        assert id_of(send(sites[0], f"/api/nobody/{count}", request_id)) == request_id
        until(lambda: decision(sites[1], request_id)["same_id"] == count, "it is kept")  # noqa: B023
    assert decision(sites[1], request_id)["path"] == "/api/nobody/3"
    assert ask(sites[1], f"/admin/why?request_id={ID}a/b%2Bc%3D").json()["path"] == "/api/nobody/3"

    done = why(server, request_id)
    assert "/api/nobody/3" in done.stdout
    assert "/api/nobody/2" not in done.stdout
    assert "2 more of this id" in done.stdout
    assert "/api/nobody/1" in why(server, request_id, "--last", "3").stdout
    assert json.loads(why(server, request_id, "--json").stdout)["path"] == "/api/nobody/3"
    three = json.loads(why(server, request_id, "--last", "3", "--json").stdout)
    assert [told["path"] for told in three] == ["/api/nobody/3", "/api/nobody/2", "/api/nobody/1"]


def test_a_head_without_a_meaning_is_told_of_too(sites: list[Site]) -> None:
    for head in (b"GET / HTTP/1.1\r\nBad Field: x\r\n\r\n", b"GET /a%00 HTTP/1.1\r\nHost: a\r\n\r\n"):
        with Caller(sites[0].gateway.address) as caller:
            caller.send(head)
            answer = caller.answer()
        assert answer.status == 400
        assert answer.get("Proxy-Status") == "falcongate; error=http_request_error"
        assert decision(sites[1], id_of(answer))["status"] == 400


def test_what_a_service_says_is_wrong_is_not_the_gateway_s_to_name(sites: list[Site]) -> None:
    answer = send(sites[1], "/api/honest/status/500")
    assert (answer.status, answer.get("Proxy-Status")) == (500, None)
    told = decision(sites[0], id_of(answer))
    assert (told["answered_by"], told["problem"], told["attempts"][0]["status"]) == ("service", "", 500)


def test_the_last_are_listed_the_newest_first(server: RedisServer, sites: list[Site]) -> None:
    for _ in range(25):
        send(sites[1], "/api/nobody/x")
    request_id = id_of(send(sites[1], "/api/nobody/\xff%1b[31m".encode("latin-1").decode("latin-1")))
    decision(sites[0], request_id)
    assert len(ask(sites[0], "/admin/why?last=2").json()["decisions"]) == 2  # type: ignore[arg-type]
    listed = ask(sites[0], "/admin/why?last=200").json()["decisions"]
    assert isinstance(listed, list)
    assert request_id in [told["request_id"] for told in listed]
    assert len(ask(sites[0], "/admin/why/").json()["decisions"]) > 2  # type: ignore[arg-type]
    for last in ("0", "201", "x", "-1", "1e3"):
        assert ask(sites[0], f"/admin/why?last={last}").status == 400

    done = why(server, "--last", "1000")
    lines = done.stdout.splitlines()
    assert lines[0].split() == ["WHEN", "REQUEST", "METHOD", "PATH", "STATUS", "BY", "PROBLEM"]
    moments = [line.split()[0] for line in lines[1:]]
    assert moments == sorted(moments, reverse=True)
    assert len(json.loads(why(server, "--json").stdout)) == 20
    assert why(server, "--last", "0").returncode == 2


def test_only_operators_are_told(sites: list[Site]) -> None:
    for path in ("/admin/why", "/admin/why/", "/admin/why?last=1", f"/admin/why/{ID}", "//admin/why"):
        answer = ask(sites[0], path, OUTSIDE)
        assert answer.status in (403, 404)
        assert b"at_s" not in answer.content
    assert ask(sites[0], "/admin/why", method="POST").status == 405
    assert ask(sites[0], "/admin/why", method="HEAD").status == 200
