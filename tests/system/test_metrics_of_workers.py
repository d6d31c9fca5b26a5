"""What workers have counted stays when they end, however they end, and takes up no more room."""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.callers import Caller
from tests.support.processes import until
from tests.support.wire import WireError
from tests.support.world import Plan, Visit, running

_FILES_OF_A_WORKER = 5
_FILES_OF_ALL = {"counter_merged.db", "histogram_merged.db", "merging.lock", "transitions.json"}


class Scraper(threading.Thread):
    """Asks again and again how many requests were counted, and remembers if it was ever less than before."""

    def __init__(self, world: Visit) -> None:
        super().__init__()
        self._world = world
        self._is_over = threading.Event()
        self.scrapes = 0
        self.counted = 0.0
        self.went_back: list[tuple[float, float]] = []

    def run(self) -> None:
        while not self._is_over.is_set():
            try:
                counted = counted_of(self._world, within_s=10)
            except (OSError, WireError):
                continue  # the worker that was asked has been killed
            if counted < self.counted:
                self.went_back.append((self.counted, counted))
            self.counted = counted
            self.scrapes += 1

    def end(self) -> None:
        self._is_over.set()
        self.join()


def counted_of(world: Visit, *, within_s: float = 5) -> float:
    """How many requests to the honest service were counted, by two metrics that must agree."""
    with Caller(world.gateway.address) as caller:
        caller.send(b"GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n")
        lines = caller.answer(within_s=within_s).content.decode().splitlines()
    requests = [line for line in lines if line.startswith("falcongate_http_requests_total{")]
    return sum(float(line.rpartition(" ")[2]) for line in requests if 'service="honest"' in line)


def observed(world: Visit) -> float:
    """How many requests to the honest service are in the histogram."""
    text = world.get("/metrics").content.decode()
    name = 'falcongate_http_request_duration_seconds_count{service="honest"} '
    return float(text.partition(name)[2].partition("\n")[0])


@pytest.fixture
def shared(tmp_path: Path) -> Path:
    return tmp_path / "shared"


@pytest.fixture
def pair(tmp_path: Path, shared: Path) -> Iterator[Visit]:
    """A gateway of two workers whose files can be seen."""
    plan = Plan("restarted", {}, 0, workers=2, environ={"PROMETHEUS_MULTIPROC_DIR": str(shared)})
    with running(plan, tmp_path) as site:
        visit = Visit(site)
        yield visit
        visit.leave()


def send(world: Visit, count: int) -> None:
    for _ in range(count):
        assert world.get("/api/honest/x").status == 200


def replaced(world: Visit, victim: int) -> bool:
    children = world.gateway.children()
    return victim not in children and len(children) == 2


def test_counters_never_go_back_and_files_do_not_grow_however_often_workers_are_replaced(
    pair: Visit, shared: Path
) -> None:
    """Kill -9, SIGTERM and reloads, three of each, with requests before each and scrapes all the while."""
    pair.gateway.allow_deaths()
    pair.gateway.allow(r"was sent SIGKILL|[Ww]orker exited")
    scraper = Scraper(pair)
    scraper.start()
    sent = 0
    try:
        for _ in range(3):
            for number in (signal.SIGKILL, signal.SIGTERM, signal.SIGHUP):
                send(pair, 10)
                sent += 10
                until(lambda expected=sent: scraper.counted == expected, "all are counted")
                if number == signal.SIGHUP:
                    old = pair.gateway.reload()
                    until(lambda gone=old: not gone & set(pair.gateway.children()), "the old ones have ended")
                else:
                    victim = pair.gateway.children()[0]
                    pair.gateway.signal(number, victim)
                    until(lambda gone=victim: replaced(pair, gone), "it is replaced")
    finally:
        scraper.end()
    assert scraper.went_back == []
    assert scraper.scrapes > 20
    send(pair, 10)
    until(lambda: counted_of(pair) == sent + 10, "all that were sent are counted")
    assert observed(pair) == sent + 10
    alive = {str(pid) for pid in pair.gateway.children()}
    files = {path.name for path in shared.iterdir()} - _FILES_OF_ALL
    assert {name.rpartition("_")[2].removesuffix(".db") for name in files} <= alive
    assert len(files) <= 2 * _FILES_OF_A_WORKER


def test_a_merger_that_was_cut_off_by_the_end_of_the_host_is_as_if_it_had_not_been(
    pair: Visit, shared: Path
) -> None:
    """A half-written file lies there, and a worker is killed."""
    pair.gateway.allow_deaths()
    pair.gateway.allow(r"was sent SIGKILL|[Ww]orker exited")
    (shared / "counter_merged.db.new").write_bytes(b"half of")
    send(pair, 5)
    until(lambda: counted_of(pair) == 5, "all are counted")
    victim = pair.gateway.children()[0]
    pair.gateway.signal(signal.SIGKILL, victim)
    until(lambda: replaced(pair, victim), "it is replaced")
    assert counted_of(pair) == 5
    assert not (shared / "counter_merged.db.new").exists()


def test_a_new_master_begins_anew(tmp_path: Path, shared: Path) -> None:
    """Stop the gateway and start it again in the same directory."""
    plan = Plan("again", {}, 0, environ={"PROMETHEUS_MULTIPROC_DIR": str(shared)})
    for run in range(2):
        with running(plan, tmp_path / str(run)) as site:
            visit = Visit(site)
            send(visit, 3)
            until(lambda: counted_of(visit) == 3, "they are counted")  # noqa: B023  # asked at once
            visit.leave()


def test_scrapes_hold_up_no_request(pair: Visit) -> None:
    """Four callers scrape without a pause; a request needs no more than its turn."""
    with pair.caller() as caller:
        caller.get("/api/honest/x")
        scraper = [Scraper(pair) for _ in range(4)]
        for each in scraper:
            each.start()
        try:
            deadline = time.monotonic() + 20
            served = 0
            while min(each.scrapes for each in scraper) < 5 and time.monotonic() < deadline:
                assert caller.get("/api/honest/x").status == 200
                served += 1
        finally:
            for each in scraper:
                each.end()
    assert min(each.scrapes for each in scraper) >= 5
    assert served >= 5
