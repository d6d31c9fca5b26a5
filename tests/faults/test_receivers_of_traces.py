"""The receiver of traces fails: requests go on as if there were none."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from tests.support.processes import until
from tests.support.receiver import TAKEN, Receiver, answer, rejecting
from tests.support.upstreams import refusing_port
from tests.support.world import Plan, Site, Visit, running

_ROOM = 4_096
_CALLERS = 4


@contextlib.contextmanager
def traced(endpoint: str, directory: Path) -> Iterator[Site]:
    """A gateway of one worker that tells all of its requests."""
    plan = Plan("traced", {"traces": {"endpoint": endpoint, "ratio": 1}}, scripted=0)
    with running(plan, directory) as site:
        yield site


def counted(site: Site, name: str) -> dict[str, float]:
    """A counter of spans, by why."""
    text = Visit(site).get("/metrics/").content.decode()
    return {
        sample.labels.get("why", ""): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
        if sample.name == f"falcongate_trace_spans_{name}_total"
    }


def flood(site: Site, requests: int) -> None:
    """So many requests, each of two spans, all of them answered."""

    def some(_: int) -> None:
        visit = Visit(site)
        with visit.caller() as caller:
            for _ in range(requests // _CALLERS):
                assert caller.exchange("GET", "/api/honest/x").status == 200

    with ThreadPoolExecutor(_CALLERS) as pool:
        list(pool.map(some, range(_CALLERS)))


def saying(said: bytes | None) -> Callable[[int], bytes | None]:
    return lambda _: said


@pytest.mark.parametrize(
    "mood", [None, answer(503), b"SSH-2.0-OpenSSH_9.9\r\n", answer(429, fields=b"Retry-After: 86400\r\n")],
    ids=["stalled", "unavailable", "garbage", "busy-for-a-day"],
)  # fmt: skip
def test_a_receiver_that_takes_nothing_costs_spans_and_nothing_else(
    mood: bytes | None, tmp_path: Path
) -> None:
    """More spans than there is room for, and a receiver that is there but takes none."""
    receiver = Receiver(saying(mood))
    with traced(receiver.url, tmp_path) as site:
        flood(site, 400)
        until(lambda: receiver.heads, "it was sent something")
        (worker,) = site.gateway.workers
        before = site.gateway.memory_bytes(worker)
        flood(site, _ROOM)
        assert until(lambda: counted(site, "dropped").get("queue_full"), "some had no room") > _ROOM // 2
        # Two spans take a thousand bytes; what has no room must not stay anywhere.
        assert site.gateway.memory_bytes(worker) - before < 3_000 * _ROOM
        assert counted(site, "exported") == {"": 0}
        why = "'no whole answer within 5 s'" if mood is None else ""
        until(lambda: f"Traces are not taken: {why}" in site.gateway.stderr(), "an operator is told")
    # Leaving it has stopped the gateway, in order and in time.
    assert site.gateway.stderr().count("Traces are") == 1
    receiver.stop()


def test_a_receiver_that_is_dead_is_nobodys_failure(tmp_path: Path) -> None:
    """Nobody listens where traces are to go."""
    with refusing_port() as port, traced(f"http://127.0.0.1:{port}", tmp_path) as site:
        flood(site, _ROOM)
        assert until(lambda: counted(site, "dropped").get("queue_full"), "some had no room")
        until(lambda: "Traces are not taken" in site.gateway.stderr(), "an operator is told")


def test_what_a_receiver_did_not_take_is_sent_again(tmp_path: Path) -> None:
    """It is away for the first two requests, and then takes them, but for a part."""
    said = [
        answer(503),
        answer(429, fields=b"Retry-After: 1\r\n"),
        answer(200, rejecting(2, "too old\nLevel: error")),
    ]
    receiver = Receiver(lambda number: said[number] if number < len(said) else TAKEN)
    with traced(receiver.url, tmp_path) as site:
        flood(site, 40)
        until(lambda: len(receiver.heads) >= 3, "it was asked for the third time")
        until(lambda: counted(site, "dropped")["refused"], "what it refused is counted")
        assert {why: count for why, count in counted(site, "dropped").items() if count} == {"refused": 2}
        until(lambda: "Traces are taken again" in site.gateway.stderr(), "an operator is told")
        assert r"too old\nLevel: error" in site.gateway.stderr()
    of_requests = {
        span.span_id for span in receiver.spans if span.attributes.get("falcongate.service") == "honest"
    }
    assert len(of_requests) == 40
    receiver.stop()


def test_a_receiver_that_refuses_is_not_asked_again(tmp_path: Path) -> None:
    """A wrong key, or a redirect to where nobody has sent the gateway."""
    elsewhere = Receiver()
    said = [answer(401), answer(307, fields=f"Location: {elsewhere.url}/v1/traces\r\n".encode())]
    receiver = Receiver(lambda number: said[number] if number < len(said) else TAKEN)
    with traced(receiver.url, tmp_path) as site:
        for number in (1, 2):
            flood(site, 4)
            until(lambda number=number: len(receiver.heads) == number, "it was asked")  # type: ignore[misc]
        until(lambda: counted(site, "dropped").get("refused", 0) >= 16, "they are counted")
    assert not elsewhere.heads
    elsewhere.stop()
    receiver.stop()


def test_a_worker_that_ends_sends_what_it_has(tmp_path: Path) -> None:
    """It is stopped right after its last request."""
    receiver = Receiver()
    with traced(receiver.url, tmp_path) as site:
        flood(site, 1 * _CALLERS)
    assert len({span.trace_id for span in receiver.spans if span.attributes.get("http.route")}) == _CALLERS
    receiver.stop()
