"""What is counted, for Prometheus and in the old summary."""

from __future__ import annotations

import re
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from tests.support.processes import until
from tests.support.upstreams import Conversation, ok
from tests.support.world import Plan, Visit, running


def _samples(world: Visit) -> dict[str, dict[str, float]]:
    families = text_string_to_metric_families(world.get("/metrics/").content.decode())
    return {
        family.name: {
            f"{sample.name}{sorted(sample.labels.items())}": sample.value for sample in family.samples
        }
        for family in families
    }


def _requests_of(world: Visit, service: str) -> float:
    answer = world.get("/metrics/")
    families = text_string_to_metric_families(answer.content.decode())
    return sum(
        sample.value
        for family in families
        for sample in family.samples
        if sample.labels.get("service") == service and sample.name == "falcongate_http_requests_total"
    )


@pytest.mark.parametrize("path", ["/metrics", "/metrics/"])
@pytest.mark.parametrize(
    "accept", [[], [("Accept", "*/*")], [("Accept", "text/plain;version=0.0.4;q=0.5,*/*;q=0.1")]]
)
def test_prometheus_text_is_the_default(world: Visit, path: str, accept: list[tuple[str, str]]) -> None:
    answer = world.get(path, accept)
    assert answer.status == 200
    assert (answer.get("Content-Type") or "").startswith("text/plain")
    assert list(text_string_to_metric_families(answer.content.decode()))


@pytest.mark.parametrize("path", ["/metrics", "/metrics/"])
def test_the_old_summary_is_there_for_who_asks_for_json(world: Visit, path: str) -> None:
    answer = world.get(path, [("Accept", "application/json")])
    assert answer.status == 200
    assert (answer.get("Content-Type") or "").startswith("application/json")
    assert answer.json()


def test_names_are_ours_and_follow_one_rule(world: Visit) -> None:
    names = [name for name in _samples(world) if not name.startswith(("python_", "process_"))]
    assert names
    assert [name for name in names if not re.fullmatch(r"falcongate_[a-z0-9_]+", name)] == []


def test_a_request_is_counted_once_for_its_service(world: Visit) -> None:
    service = world.service(_obliging)
    with world.caller() as caller:
        for _ in range(7):
            caller.get(service.path())
    until(lambda: _requests_of(world, service.name) >= 7, "seven requests are counted")
    assert _requests_of(world, service.name) == 7


def _obliging(conversation: Conversation) -> None:
    while True:
        conversation.read_request()
        conversation.send(ok())


def test_paths_and_ids_of_callers_make_no_labels(world: Visit) -> None:
    world.get("/api/honest/some-path-of-a-caller", [("X-Request-ID", "some-request-id-of-a-caller")])
    world.get("/api/some-service-nobody-has/x")
    world.exchange("PROPFIND", "/api/honest/x")
    text = world.get("/metrics").content
    for label in (b"some-path", b"some-request-id", b"some-service-nobody-has"):
        assert label not in text


@pytest.fixture
def pair(tmp_path: Path) -> Iterator[Visit]:
    """A gateway of two workers, of this test's own."""
    with running(Plan("counted", {}, 0, workers=2), tmp_path) as site:
        visit = Visit(site)
        yield visit
        visit.leave()


def test_whichever_worker_is_asked_tells_of_all(pair: Visit) -> None:
    for _ in range(40):
        assert pair.get("/api/honest/x").status == 200
    until(lambda: _requests_of(pair, "honest") == 40, "forty requests are counted")
    assert [_requests_of(pair, "honest") for _ in range(10)] == [40] * 10


def test_a_killed_worker_takes_no_counts_with_it(pair: Visit) -> None:
    """Kill -9 of one of two workers, twice."""
    pair.gateway.allow_deaths()
    pair.gateway.allow(r"was sent SIGKILL|[Ww]orker exited")
    for _ in range(40):
        assert pair.get("/api/honest/x").status == 200
    until(lambda: _requests_of(pair, "honest") == 40, "forty requests are counted")
    for _ in range(2):
        victim = pair.gateway.children()[0]
        pair.gateway.signal(signal.SIGKILL, victim)
        until(lambda gone=victim: gone not in pair.gateway.children(), "it is gone")
        until(lambda: len(pair.gateway.children()) == 2, "it is replaced")
        assert [_requests_of(pair, "honest") for _ in range(5)] == [40] * 5


@pytest.mark.parametrize("content", [b"", b"\xff\xff\xff\x7f", b"\x10\0\0\0cut short"])
def test_a_file_that_was_cut_short_costs_only_its_own_counts(tmp_path: Path, content: bytes) -> None:
    """A worker died while it made its file, or the disk was full."""
    shared = tmp_path / "shared"
    with running(Plan("shared", environ={"PROMETHEUS_MULTIPROC_DIR": str(shared)}), tmp_path) as site:
        visit = Visit(site)
        assert visit.get("/api/honest/x").status == 200
        (shared / "counter_99999.db").write_bytes(content)
        until(lambda: _requests_of(visit, "honest") == 1, "it is counted")
        visit.leave()
