"""A service that fails is spared by all workers of all hosts, tried by few, and comes back."""

from __future__ import annotations

import contextlib
import statistics
import struct
import threading
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.support.callers import Caller
from tests.support.hosts import (
    all_say,
    ask,
    breaker_state,
    callers_of_all_workers,
    hosts,
    plan_on,
    say,
)
from tests.support.moody import Moody
from tests.support.processes import until
from tests.support.redis_servers import SERVER, RedisServer
from tests.support.upstreams import Conversation, ScriptedUpstream, refusing_port
from tests.support.websockets import agreeing, close_code, frame, upgrade
from tests.support.wire import Stalled
from tests.support.world import Plan, Site

pytestmark = pytest.mark.skipif(SERVER is None, reason="redis-server is not installed")


def plan_for(server: RedisServer, moody: Moody, **breaker: object) -> Plan:
    """Two workers before the moody service, whose breaker is like this."""
    services = {"moody": {"url": moody.url, "retries": 0, "breaker": {"ramp_s": 0, **breaker}}}
    return plan_on(server.url, services=services)


def statuses(sites: list[Site], count: int, callers: int = 16) -> Counter[int]:
    """What so many requests through all hosts are answered."""
    with ThreadPoolExecutor(callers) as pool:
        return Counter(
            pool.map(lambda number: ask(sites[number % len(sites)], "/api/moody/x").status, range(count))
        )


def open_it(sites: list[Site], moody: Moody, failures: int = 3) -> None:
    """Let the service fail until all know that it does."""
    moody.status = 503
    for _ in range(failures):
        ask(sites[0], "/api/moody/x")
    until(lambda: all_say(sites, "OPEN"), "all workers know that it is open", within_s=5)


def nobody_asks(sites: list[Site], moody: Moody) -> bool:
    """Whether many are refused, and none of them by the service itself."""
    moody.forget()
    assert statuses(sites, 100) == {503: 100}
    return moody.served == 0


def test_one_breaker_opens_for_both_hosts_lets_exactly_the_probes_through_and_closes_for_both(
    server: RedisServer, tmp_path: Path, moody: Moody
) -> None:
    plan = plan_for(server, moody, max_failures=3, open_s=5, probes=3, successes=3)
    with hosts(tmp_path, plan, plan) as sites:
        assert statuses(sites, 40) == {200: 40}

        open_it(sites, moody)
        until(lambda: nobody_asks(sites, moody), "nobody asks who is spared")
        refused = ask(sites[1], "/api/moody/x")
        assert refused.status == 503
        assert refused.json()["type"] == "/problems/circuit-open"
        assert refused.json()["service"] == "moody"
        assert refused.get("Proxy-Status") == "falcongate; error=destination_unavailable"
        assert 1 <= int(refused.get("Retry-After") or 0) <= 5

        # Half open: 3 probes are out, and nobody else passes, whoever asks on whichever host.
        moody.status = 200
        moody.hold()
        with ThreadPoolExecutor(64) as callers:
            waiting = []

            def three_are_out() -> bool:
                waiting.append(callers.submit(ask, sites[len(waiting) % 2], "/api/moody/x"))
                return moody.present == 3

            until(three_are_out, "probes are let through", within_s=20)
            assert statuses(sites, 200, 32) == {503: 200}
            assert moody.most == moody.served == 3
            moody.let_go()
            answers = Counter(answer.result().status for answer in waiting)
        assert answers[200] == 3
        until(lambda: all_say(sites, "CLOSED"), "it closes for all")
        assert statuses(sites, 100) == {200: 100}


def test_a_failed_probe_opens_it_again_for_longer(server: RedisServer, tmp_path: Path, moody: Moody) -> None:
    plan = plan_for(server, moody, max_failures=1, open_s=1, max_open_s=30)
    with hosts(tmp_path, plan) as (site,), server.client() as client:
        open_it([site], moody, 1)
        until(lambda: client.hget("falcongate:1:breaker:{moody}", "opened_times") == "1", "it has opened")
        until(
            lambda: (
                ask(site, "/api/moody/x")
                and client.hget("falcongate:1:breaker:{moody}", "opened_times") == "2"
            ),
            "a probe was sent and has failed",
        )
        fields = client.hgetall("falcongate:1:breaker:{moody}")
        assert fields["state"] == "OPEN"
        assert fields["why"] == "a probe failed"
        assert float(fields["until_s"]) - float(fields["since_s"]) == pytest.approx(2, abs=0.01)


def order(site: Site, what: str) -> None:
    """An operator's, to the moody service's breaker."""
    assert ask(site, f"/circuit-breaker/{what}/moody", method="POST").status == 200


def test_a_transition_is_known_everywhere_at_once(server: RedisServer, tmp_path: Path, moody: Moody) -> None:
    """Within 250 ms all workers of both hosts know; what a busy machine adds now and then is not counted."""
    plan = plan_for(server, moody, max_failures=1, open_s=60)
    took_s = []
    with hosts(tmp_path, plan, plan) as sites, contextlib.ExitStack() as stack:
        workers = callers_of_all_workers(stack, sites)
        assert len(workers) == 4

        def is_known(state: str) -> None:
            began = time.monotonic()
            until(lambda: say(workers, state), f"all workers know that it is {state}")
            took_s.append(time.monotonic() - began)

        for number in range(5):
            order(sites[number % 2], "disable")
            is_known("DISABLED")
            order(sites[1 - number % 2], "enable")
            is_known("CLOSED")
            moody.status = 502
            assert ask(sites[number % 2], "/api/moody/x").status == 502
            is_known("OPEN")
            moody.status = 200
            order(sites[number % 2], "reset")
            is_known("CLOSED")
    assert statistics.median(took_s) < 0.25
    assert statistics.median(took_s[2::4]) < 0.25, "those that a failure has brought about"


def test_who_cannot_be_reached_fails_and_callers_who_err_do_not(
    server: RedisServer, tmp_path: Path, moody: Moody
) -> None:
    moody.status = 404
    with refusing_port() as port:
        services = {
            "gone": {"url": f"http://127.0.0.1:{port}", "breaker": {"max_failures": 4}},
            "moody": {"url": moody.url, "breaker": {"max_failures": 1}},
        }
        with hosts(tmp_path, plan_on(server.url, services=services)) as (site,):
            assert [ask(site, "/api/moody/x").status for _ in range(20)] == [404] * 20
            moody.status = 500  # not among those that count
            assert [ask(site, "/api/moody/x").status for _ in range(8)] == [500] * 8
            found = []

            def opened() -> bool:
                found.append(ask(site, "/api/gone/x").status)
                return breaker_state(site, "gone") == "OPEN"

            until(opened, "it opens")
            assert set(found) <= {502, 503}
            assert found.count(502) >= 4
            assert breaker_state(site) == "CLOSED"


def test_with_one_breaker_for_each_target_the_others_go_on(
    server: RedisServer, tmp_path: Path, moody: Moody
) -> None:
    other = Moody()
    try:
        breaker = {"max_failures": 3, "per_target": True, "open_s": 60}
        services = {"both": {"url": [moody.url, other.url], "retries": 0, "breaker": breaker}}
        with hosts(tmp_path, plan_on(server.url, services=services)) as (site,):
            moody.status = 503
            name = "both@" + moody.url.removeprefix("http://")

            def opened() -> bool:
                ask(site, "/api/both/x")
                return all_say([site], "OPEN", name)

            until(opened, "the target's breaker opens")
            assert [ask(site, "/api/both/x").status for _ in range(30)] == [200] * 30
            other.status = 503

            def all_open() -> bool:
                answer = ask(site, "/api/both/x")
                return answer.status == 503 and answer.get("Content-Type") == "application/problem+json"

            until(all_open, "without any target it is refused")
    finally:
        other.stop()


def test_a_host_that_alone_sees_failures_opens_for_itself(
    server: RedisServer, tmp_path: Path, moody: Moody
) -> None:
    plan = plan_for(server, moody, max_failures=2, quorum=2, open_s=60)
    with hosts(tmp_path, plan, plan) as sites:
        moody.status = 503

        def opened_here() -> bool:
            ask(sites[0], "/api/moody/x")
            return all_say(sites[:1], "OPEN")

        until(opened_here, "the host that sees failures opens")
        assert all_say(sites[1:], "CLOSED")
        moody.status = 200
        assert statuses(sites[1:], 10) == {200: 10}


def test_a_service_that_came_back_gets_its_traffic_bit_by_bit(
    server: RedisServer, tmp_path: Path, moody: Moody
) -> None:
    plan = plan_for(server, moody, max_failures=1, open_s=1, probes=1, successes=1, ramp_s=30)
    with hosts(tmp_path, plan) as (site,):
        open_it([site], moody, 1)
        moody.status = 200
        until(lambda: ask(site, "/api/moody/x").status == 200, "it is tried again")
        # News of one probe may be late for a busy Redis; then another is needed.
        until(lambda: ask(site, "/api/moody/x") and all_say([site], "CLOSED"), "it is closed")
        counted = statuses([site], 200)
        assert counted[503] > 40, "most are still held off"
        assert counted[200] > 2


def test_who_agrees_to_websockets_and_drops_them_at_once_fails(server: RedisServer, tmp_path: Path) -> None:
    """One that was dropped later, or closed in good order, says nothing against its service."""
    may_drop = threading.Event()

    def drop(conversation: Conversation) -> None:
        head, _ = conversation.read_request()
        conversation.send(agreeing(head))
        if b"/later" in head.raw:
            may_drop.wait(20)
        elif b"/well" in head.raw:
            conversation.send(frame(struct.pack("!H", 1000), 8, is_masked=False))
            conversation.reader.exactly(8)
        conversation.close()

    service = ScriptedUpstream().serve(drop)
    services = {"room": {"url": service.url, "breaker": {"max_failures": 2, "open_s": 60}}}
    try:
        with (
            hosts(tmp_path, plan_on(server.url, services=services)) as (site,),
            contextlib.ExitStack() as stack,
        ):

            def come(path: str) -> Caller:
                caller = stack.enter_context(Caller(site.gateway.address))
                caller.send(upgrade(f"/ws/room/{path}"))
                assert caller.reader.head().start.startswith("HTTP/1.1 101 ")
                return caller

            later = [come("later") for _ in range(3)]
            for _ in range(3):
                well = come("well")
                assert close_code(well.reader) == 1000
                well.send(frame(struct.pack("!H", 1000), 8))
                well.expect_closed()
            with pytest.raises(Stalled):
                later[0].reader.exactly(1, within_s=2.2)
            may_drop.set()
            for caller in later:
                assert close_code(caller.reader) == 1011
            come("once")
            assert ask(site, "/health/").json()["circuit_breaker"]["room"] == "CLOSED"
            come("twice")
            until(lambda: breaker_state(site, "room") == "OPEN", "it opens")
    finally:
        service.stop()
