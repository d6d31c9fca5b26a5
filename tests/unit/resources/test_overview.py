"""The picture that operators are shown: what is in it, how often it is made, and what it is without Redis."""

from __future__ import annotations

import json

import gevent
import pytest

from falcongate.resources import overview
from falcongate.resources.picture import shown_hosts
from falcongate.state.heartbeat import Host, Saying
from falcongate.state.in_process import Fault
from tests.unit.resources.looked_at import NOW_MS, SAYING, Alive, Decision, World


@pytest.fixture
def world() -> World:
    return World(Alive(Host("gw-1", SAYING.render()), Host("gw-2", "falcongate 0.0.9, 4 workers")))


def test_the_document_is_as_it_is_promised(world: World) -> None:
    told = world.told()

    assert told["you"] == {"name": "jane", "may_change": True}
    assert told["gateway"] | {"started_s": 0} == {
        "version": "0.1.0", "host": "gw-1", "config": "3fa9c2d1", "started_s": 0,
        "is_counting": True, "is_keeping": True,
    }  # fmt: skip
    assert 0 < told["gateway"]["started_s"] <= told["at_s"]
    assert told["redis"].keys() == {"state", "is_embedded", "latency_ms"}
    assert told["redis"]["state"] == "connected"
    assert told["redis"]["latency_ms"] >= 1
    assert told["hosts"] == [
        {
            "name": "gw-1", "version": "0.1.0", "workers": 2, "config": "3fa9c2d1",
            "is_this": True, "differs": False,
        },
        {"name": "gw-2", "version": "", "workers": 0, "config": "", "is_this": False, "differs": True},
    ]  # fmt: skip
    assert [service["name"] for service in told["services"]] == ["hr", "lms"]
    assert (told["transitions"], told["refusals"]) == ([], [])


def test_services_are_told_with_their_targets_and_breakers(world: World) -> None:
    one, other = world.targets["hr"].all
    one.is_reachable, one.in_flight, other.is_reachable = True, 3, False
    world.shared.command("hr@10.0.0.2", "open", by="jane", why="moving", for_s=60)
    hr, lms = world.told()["services"]

    assert hr["breaker"]["state"] == "CLOSED"
    assert [(of["url"], of["health"], of["in_flight"], of["breaker"]["state"]) for of in hr["targets"]] == [
        ("http://10.0.0.1", "reachable", 3, "CLOSED"),
        ("http://10.0.0.2", "unreachable", 0, "FORCED_OPEN"),
    ]
    assert hr["targets"][1]["breaker"] == {
        "state": "FORCED_OPEN", "since_s": NOW_MS / 1000, "until_s": NOW_MS / 1000 + 60,
        "by": "jane", "why": "moving",
        "calls": 0, "failures": 0, "slow": 0, "total_calls": 0, "total_failures": 0,
    }  # fmt: skip
    assert lms["breaker"] is None
    assert lms["targets"] == [
        {"url": "http://lms", "health": "not asked yet", "in_flight": 0, "breaker": None}
    ]


def test_traffic_of_all_is_told_as_it_goes_on(world: World) -> None:
    world.serve(world.shared, "hr", 10)
    world.told()
    world.shared.now_ms += 5_000
    world.serve(world.shared, "hr", 20)
    hr, lms = world.told()["services"]

    assert hr["series"]["step_s"] == 5
    assert hr["series"]["from_s"] == 1_700_000_005 - 900
    assert hr["series"]["requests_per_s"] == [0.0] * 179 + [2.0]
    assert hr["series"]["p50_ms"] == [None] * 179 + [1.5]
    assert hr["now"] == {"requests_per_s": 2.73, "errors_per_s": 0.0, "p50_ms": 1.5, "p99_ms": 1.99}
    assert lms["now"]["requests_per_s"] == 0


def test_limits_are_told_with_what_they_said_and_to_whom(world: World) -> None:
    limits = {"api": [5, 3, 0], "tried": [1, 0, 2], "gone": [1, 1, 1]}
    world.shared.add_traffic({}, limits=limits, callers={"api": {"192.0.2.1": 2, "192.0.2.2": 1}})

    assert world.told()["limits"] == [
        {
            "name": "api", "mode": "enforce", "rates": ["200/m", "10/s"], "key": ["caller_address"],
            "admitted": 5, "refused": 3, "would_refuse": 0,
            "top": [{"caller": "192.0.2.1", "refused": 2}, {"caller": "192.0.2.2", "refused": 1}],
        },
        {
            "name": "tried", "mode": "shadow", "rates": ["5/h"], "key": ["claim:sub", "service"],
            "admitted": 1, "refused": 0, "would_refuse": 2, "top": [],
        },
    ]  # fmt: skip
    world.shared.add_traffic({}, limits={"key": [0, 1, 0]}, callers={"key": {"api_key:3f9a": 1}})
    assert world.told()["limits"][2] == {
        "name": "key", "mode": "enforce", "rates": [], "key": ["api_key"],
        "admitted": 0, "refused": 1, "would_refuse": 0, "top": [{"caller": "api_key:3f9a", "refused": 1}],
    }  # fmt: skip


def test_transitions_of_all_breakers_are_told_the_newest_first_and_no_more_than_twenty(world: World) -> None:
    assert world.told()["transitions"] == []
    for number in range(15):
        for name in ("hr", "hr@10.0.0.1"):
            world.shared.now_ms += 1_000
            world.shared.command(name, "disable" if number % 2 else "reset", by="jane", why=str(number))
    told = world.told()["transitions"]

    assert len(told) == 20
    assert [line["at_s"] for line in told] == sorted((line["at_s"] for line in told), reverse=True)
    assert told[0]["at_s"] == world.shared.now_ms / 1000
    assert told[1] == {
        "at_s": world.shared.now_ms / 1000 - 1, "name": "hr", "before": "DISABLED", "state": "CLOSED",
        "by": "jane", "why": "14", "calls": 0, "failures": 0, "slow": 0,
    }  # fmt: skip


def test_refusals_are_told_and_what_is_none_is_not(world: World) -> None:
    refused = {
        "method": "GET", "path": "/api/hr/x", "service": "hr", "status": 429, "problem": "limit-reached",
        "refused_by": ["api"], "duration_ms": 1.2,
    }  # fmt: skip
    told = json.dumps(refused | {"novelty": True})
    failed = refused | {"status": 502, "problem": ""}
    world.decided = [Decision(9.0, "x", json.dumps(failed))]
    assert world.told()["refusals"] == [{"at_s": 9.0, "request_id": "x", **failed}]
    world.decided = [
        *[Decision(9.0, "x", text) for text in ("no JSON", "[]")],
        *[Decision(8.0, f"r{number}", told) for number in range(60)],
    ]
    shown = world.told()["refusals"]

    assert shown[0] == {"at_s": 8.0, "request_id": "r0", **refused}
    assert [refusal["request_id"] for refusal in shown] == [f"r{number}" for number in range(48)]


def test_twenty_who_watch_ask_once(world: World) -> None:
    watching = [gevent.spawn(world.overview.look) for _ in range(20)]
    gevent.joinall(watching)

    assert world.shared.asked == 1
    assert len({watcher.value.number for watcher in watching}) == 1


def test_who_goes_away_while_it_is_made_leaves_it_to_the_others(world: World) -> None:
    first, *others = [gevent.spawn(world.overview.look) for _ in range(3)]
    gevent.sleep(0)
    first.kill()
    gevent.joinall(others)

    assert world.shared.asked == 2
    assert all(other.value.number for other in others)


def test_nobody_asks_while_nobody_watches(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(overview, "_FRESH_S", 0.0)
    world.overview.look()
    gevent.sleep(0.01)

    assert world.shared.asked == 1


def test_time_alone_is_no_change(world: World) -> None:
    world.told()
    first = world.overview.look()
    world.shared.now_ms += 1_000
    world.told()
    same = world.overview.look()
    world.serve(world.shared, "hr", 1)
    world.told()

    assert (same.number, same.at_s > first.at_s) == (first.number, True)
    assert world.overview.look().number == first.number + 1


@pytest.mark.parametrize("fault", [Fault.AWAY, Fault.SLOW])
def test_without_redis_it_is_what_this_worker_knows_until_it_is_back(world: World, fault: Fault) -> None:
    world.serve(world.shared, "hr", 100)
    world.serve(world.own, "hr", 10)
    world.shared.command("hr", "open", by="jane", why="moving")
    before = world.told()
    world.shared.fault = fault
    away = world.told()
    world.shared.fault = None
    after = world.told()

    assert [told["redis"]["state"] for told in (before, away, after)] == [
        "connected", "unreachable", "connected",
    ]  # fmt: skip
    assert away["redis"]["latency_ms"] is None
    rates = [told["services"][0]["now"]["requests_per_s"] for told in (before, away, after)]
    assert rates[0] == rates[2] == pytest.approx(rates[1] * 10, abs=0.1)
    assert before["transitions"] == away["transitions"] == after["transitions"]
    assert [host["is_this"] for host in away["hosts"]] == [True]
    assert len(before["hosts"]) == len(after["hosts"]) == 2


def test_what_a_breaker_did_alone_is_told_until_its_history_can_be_asked(world: World) -> None:
    world.shared.fault = Fault.AWAY
    guard = world.breakers._all["hr"]  # noqa: SLF001  # as if requests had failed
    for _ in range(5):
        guard.note("FAILURE", 0.0)
    guard.report()
    (line,) = world.told()["transitions"]
    assert (line["name"], line["before"], line["state"], line["by"]) == ("hr", "CLOSED", "OPEN", "gw-1")
    assert line["failures"] == 5

    world.shared.fault = None
    assert world.told()["transitions"] == []


def test_with_nothing_shared_it_says_so() -> None:
    world = World(None)
    world.shared.fault = Fault.AWAY
    world.serve(world.own, "hr", 10)
    told = world.told()

    assert told["redis"] == {"state": "none", "is_embedded": False, "latency_ms": None}
    assert [host["name"] for host in told["hosts"]] == ["gw-1"]
    assert told["services"][0]["now"]["requests_per_s"] > 0
    assert world.shared.asked == 0


def test_a_host_differs_from_most_and_not_from_the_one_that_is_asked() -> None:
    usual, odd = Saying("0.1.0", 2, "3fa9c2d1"), Saying("0.1.0", 2, "00000000")
    hosts = [Host("gw-1", usual.render()), Host("gw-2", usual.render()), Host("gw-3", odd.render())]

    assert [host["differs"] for host in shown_hosts(hosts, "gw-3", odd)] == [False, False, True]
    assert [host["differs"] for host in shown_hosts(hosts[1:], "gw-3", odd)] == [True, False]
