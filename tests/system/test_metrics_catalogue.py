"""Every metric of one gateway that has seen everything, and who builds on their names."""

from __future__ import annotations

import contextlib
import json
import re
import struct
from collections.abc import Iterator
from typing import NamedTuple

import pytest
from prometheus_client import Metric
from prometheus_client.openmetrics import parser as openmetrics
from prometheus_client.parser import text_string_to_metric_families

from tests.architecture.test_docs import metric_names
from tests.support.callers import Answer
from tests.support.fixtures import redis_server
from tests.support.hosts import ask, callers_of_all_workers, plan_on
from tests.support.processes import ROOT, until
from tests.support.redis_servers import SERVER, RedisServer
from tests.support.upstreams import answering, refusing_port
from tests.support.websockets import echo, frame, opened, speaking
from tests.support.world import Site, Visit, running

pytestmark = pytest.mark.skipif(SERVER is None, reason="redis-server is not installed")

server = redis_server("module")

DASHBOARD = ROOT / "conf/grafana-dashboard.json"
ALERTS = ROOT / "conf/prometheus-alerts.yml"
OPEN = [
    ("Accept", "application/openmetrics-text;version=1.0.0;q=0.6,text/plain;version=0.0.4;q=0.3,*/*;q=0.2")
]
METRIC = re.compile(r"\b(falcongate_[a-z_]+)(?:\{([^}]*)\})?")
MATCHER = re.compile(r'([a-z_]+)\s*(=~|!~|!=|=)\s*"((?:[^"\\]|\\.)*)"')
BY = re.compile(r"\bby \(([^)]*)\)")
OF_THE_SCRAPER = {"le", "instance", "job"}

Samples = dict[str, list[tuple[dict[str, str], float]]]


def families_of(answer: Answer) -> list[Metric]:
    """What an answer says, read by prometheus_client."""
    text = answer.content.decode()
    is_open = (answer.get("Content-Type") or "").startswith("application/openmetrics-text")
    read = openmetrics.text_string_to_metric_families if is_open else text_string_to_metric_families
    return list(read(text))


def samples_of(site: Site) -> Samples:
    """Every sample by its name."""
    told: Samples = {}
    for family in families_of(ask(site, "/metrics")):
        for sample in family.samples:
            told.setdefault(sample.name, []).append((sample.labels, sample.value))
    return told


def value(site: Site, name: str, **labels: str) -> float | None:
    """What a sample says; None if it is not there."""
    return next((value for said, value in samples_of(site).get(name, ()) if said == labels), None)


class Used(NamedTuple):
    """The gateway, and what the services are called that something has happened to."""

    site: Site
    names: dict[str, str]
    ids: set[str]
    """Of the requests to the honest service."""

    def says(self, name: str, expected: float, **labels: str) -> bool:
        """Wait until a sample says this."""
        until(lambda: value(self.site, name, **labels) == expected, f"{name}{labels} is {expected}")
        return True


def use_everything(site: Site, visit: Visit) -> Used:
    """Let happen whatever is counted."""
    chat = visit.service(speaking(echo))
    with opened(visit, chat) as caller:
        caller.send(frame(b"one"))
        caller.reader.exactly(5)
        caller.send(frame(struct.pack("!H", 1000), 8))
        caller.reader.exactly(4)
    failing = visit.service(answering(*[b"HTTP/1.1 503 No\r\nContent-Length: 0\r\n\r\n"] * 20))
    odd = visit.service(
        answering(*[b"HTTP/1.1 %d Odd\r\nContent-Length: 0\r\n\r\n" % odd for odd in (299, 432)])
    )
    with visit.caller() as caller:
        for _ in range(3):
            caller.get(failing.path())
        for _ in range(2):
            caller.get(odd.path())
        honest = [caller.exchange("POST", "/api/honest/x", (), b"12345") for _ in range(4)]
        caller.get("/api/gone/x")
        caller.get("/api/nobody-has-this/x")
        honest.append(caller.exchange("PROPFIND", "/api/honest/x"))
    names = {"chat": chat.name, "failing": failing.name, "odd": odd.name}
    return Used(site, names, {answer.get("X-Request-ID") or "" for answer in honest})


@pytest.fixture(scope="module")
def used(server: RedisServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Used]:
    """A gateway on Redis, of two workers, that everything has happened to."""
    posts = {"methods": ["POST"], "key": ["global"]}
    with refusing_port() as port:
        plan = plan_on(
            server.url,
            limits={"api": {"rate": "3/h", **posts}, "new": {"rate": "1/h", "mode": "shadow", **posts}},
            concurrency={"room": {"limit": 100, "key": ["service"]}},
            services={"gone": {"url": f"http://127.0.0.1:{port}"}, "later": {}},
            breaker={"max_failures": 3, "open_s": 600},
        )
        with running(plan, tmp_path_factory.mktemp("used")) as site:
            until(lambda: value(site, "falcongate_cluster_hosts") == 1, "the host is known")
            visit = Visit(site)
            everything = use_everything(site, visit)
            until(lambda: metric_names() <= shown_by(site), "all of it is shown")
            yield everything
            visit.leave()


def test_requests_attempts_and_bodies_are_counted(used: Used) -> None:
    requests = "falcongate_http_requests_total"
    assert used.says(requests, 3, service="honest", method="POST", status="200")
    assert used.says(requests, 1, service="honest", method="POST", status="429")
    assert used.says("falcongate_http_received_bytes_total", 15, service="honest")
    assert used.says("falcongate_upstream_attempts_total", 4, service="honest", outcome="2xx")
    assert used.says("falcongate_upstream_attempts_total", 3, service=used.names["failing"], outcome="5xx")
    assert used.says("falcongate_upstream_attempts_total", 1, service="gone", outcome="service-unreachable")
    for name in ("http_first_byte", "upstream_request_duration", "http_request_duration"):
        assert used.says(f"falcongate_{name}_seconds_count", 3, service=used.names["failing"])
    connected = value(used.site, "falcongate_upstream_connect_seconds_count", service=used.names["failing"])
    assert connected is not None
    assert 1 <= connected <= 3


def test_what_callers_and_services_make_up_folds_into_one(used: Used) -> None:
    requests = "falcongate_http_requests_total"
    assert used.says(requests, 1, service="", method="GET", status="404")
    assert used.says(requests, 1, service="honest", method="other", status="200")
    assert used.says(requests, 1, service=used.names["odd"], method="GET", status="2xx")
    assert used.says(requests, 1, service=used.names["odd"], method="GET", status="4xx")


def test_breakers_are_shown_and_each_transition_counts_once_for_all_workers(used: Used) -> None:
    name = used.names["failing"]
    moved = {"service": name, "from": "CLOSED", "to": "OPEN", "reason": "failures"}
    assert used.says("falcongate_breaker_transitions_total", 1, **moved)
    assert used.says("falcongate_breaker_transitions_total", 0, **{**moved, "service": "honest"})
    assert used.says("falcongate_problems_total", 0, service="honest", problem="service-unreachable")
    for metric in ("falcongate_breaker_state", "falcongate_cluster_breaker_state"):
        assert used.says(metric, 1, service=name, state="OPEN")
        assert used.says(metric, 0, service=name, state="CLOSED")
        assert used.says(metric, 1, service="honest", state="CLOSED")
    assert used.says("falcongate_cluster_breaker_opened_in_a_row", 1, service=name)
    assert used.says("falcongate_cluster_breaker_failures_total", 3, service=name)
    assert used.says("falcongate_cluster_breaker_calls_total", 3, service=name)
    told = samples_of(used.site)["falcongate_breaker_transitions_total"]
    assert [count for labels, count in told if labels["service"] == name and count] == [1]


def test_decisions_of_limits_are_counted_by_policy(used: Used) -> None:
    decisions = "falcongate_limit_decisions_total"
    assert used.says(decisions, 3, policy="api", decision="admitted")
    assert used.says(decisions, 1, policy="api", decision="refused")
    assert used.says(decisions, 1, policy="new", decision="admitted")
    assert used.says(decisions, 2, policy="new", decision="would_refuse")
    admitted = value(used.site, decisions, policy="room", decision="admitted")
    assert admitted is not None
    assert admitted >= 9


def test_workers_tell_what_they_are_and_how_their_connections_are_used(used: Used) -> None:
    assert used.says("falcongate_workers", 2)
    ((labels, shown),) = samples_of(used.site)["falcongate_config_info"]
    assert shown == 1
    health = ask(used.site, "/health/").json()
    assert labels == {"version": health["configuration"], "release": health["version"]}
    most = value(used.site, "falcongate_upstream_connections_max", service="honest")
    assert most
    assert used.says("falcongate_upstream_connections", 0, service="honest", state="in_use")
    trips = value(used.site, "falcongate_redis_round_trip_seconds_count")
    assert trips is not None
    assert trips > 5


def test_requests_in_flight_are_shown_while_they_last(used: Used) -> None:
    visit = Visit(used.site)
    service = visit.service(lambda talk: (talk.read_head(), talk.stall()))
    with visit.caller() as caller:
        caller.send(f"GET {service.path()} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
        assert used.says("falcongate_upstream_requests_in_flight", 1, service=service.name)
        assert used.says("falcongate_upstream_connections", 1, service=service.name, state="in_use")
        service.upstream.conversation().release()
    assert used.says("falcongate_upstream_requests_in_flight", 0, service=service.name)


def test_open_metrics_name_requests_in_their_buckets(used: Used) -> None:
    def exemplars() -> dict[str, float]:
        answer = ask(used.site, "/metrics", OPEN)
        assert (answer.get("Content-Type") or "").startswith("application/openmetrics-text; version=1.0.0")
        assert answer.content.endswith(b"# EOF\n")
        return {
            sample.exemplar.labels["request_id"]: sample.exemplar.value
            for family in families_of(answer)
            if family.name == "falcongate_http_request_duration_seconds"
            for sample in family.samples
            if sample.exemplar and sample.labels["service"] == "honest"
        }

    # Whichever worker answers knows its own; the one that served these is asked sooner or later.
    named = until(exemplars, "it names one")
    assert named.keys() <= used.ids
    assert all(0 < duration_s < 60 for duration_s in named.values())


def test_plain_text_has_no_exemplars(used: Used) -> None:
    text = ask(used.site, "/metrics").content
    assert b" # {" not in text
    assert b"# EOF" not in text


def test_every_metric_is_there(used: Used) -> None:
    assert shown_by(used.site) == metric_names()


def shown_by(site: Site) -> set[str]:
    """Every metric that it shows with a value."""
    families = [family for family in families_of(ask(site, "/metrics")) if family.samples]
    return {family.name + ("_total" if family.type == "counter" else "") for family in families}


def expressions() -> dict[str, str]:
    """What the dashboard and the alert rules ask, by where they do."""
    found = {}
    dashboard = json.loads(DASHBOARD.read_text("utf-8"))
    for panel in dashboard["panels"]:
        for target in panel.get("targets", ()):
            found[f"{panel['title']} {target['refId']}"] = target["expr"]
    for variable in dashboard["templating"]["list"]:
        if variable["type"] == "query":
            found[variable["name"]] = variable["query"]
    rules = re.split(r"^ +- alert: ", ALERTS.read_text("utf-8"), flags=re.MULTILINE)[1:]
    for rule in rules:
        found[rule.partition("\n")[0]] = re.split(r"^ +(?:for|labels):", rule, flags=re.MULTILINE)[
            0
        ].partition("expr:")[2]
    return found


@pytest.mark.parametrize("where", expressions())
def test_a_panel_or_rule_asks_for_what_there_is(used: Used, where: str) -> None:
    expression = expressions()[where].replace("$service", ".*")
    told = samples_of(used.site)
    metrics = METRIC.findall(expression)
    assert metrics
    labels: set[str] = set()
    for name, matchers in metrics:
        assert name in told, name
        labels |= {label for said, _ in told[name] for label in said}
        for label, how, wanted in MATCHER.findall(matchers):
            assert label in labels, (name, label)
            values = {said[label] for said, _ in told[name]}
            if how in ("=", "=~") and label != "decision":
                assert any(re.fullmatch(wanted, value) for value in values), (name, label, wanted, values)
    by = {label.strip() for found in BY.findall(expression) for label in found.split(",")}
    assert by - OF_THE_SCRAPER <= labels, by


def test_without_redis_all_else_is_told(used: Used, server: RedisServer) -> None:
    """Stop Redis for a while."""
    before = samples_of(used.site)["falcongate_breaker_transitions_total"]
    server.stall()
    try:
        until(lambda: value(used.site, "falcongate_redis_connected") == 0, "its absence is seen")
        told = samples_of(used.site)
        assert not [name for name in told if name.startswith("falcongate_cluster_")]
        assert told["falcongate_http_requests_total"]
        ask(used.site, "/api/later/x")
        assert samples_of(used.site)["falcongate_breaker_transitions_total"] == before
    finally:
        server.go_on()
    with contextlib.ExitStack() as stack:
        workers = callers_of_all_workers(stack, [used.site])
        until(
            lambda: all(
                b"falcongate_cluster_hosts 1" in worker.get("/metrics").content for worker in workers
            ),
            "it is told of again, by all",
        )
