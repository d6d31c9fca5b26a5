"""What lies in Redis: the keys and fields that the page about it shows, how long they live, and where."""

from __future__ import annotations

import dataclasses
import math
import re
import threading
from collections import Counter
from collections.abc import Iterator, Sequence

import pytest
from redis.crc import key_slot

from falcongate.errors import StoreAway
from falcongate.state.api_keys import NewKey
from falcongate.state.audit import Change
from falcongate.state.keys import API_KEY_CHANGES, REVOCATIONS, TRANSITIONS, key_set_key, limit_key
from falcongate.state.redis_call import Script
from falcongate.state.redis_limits import CHARGE
from falcongate.state.redis_store import RedisState
from falcongate.state.sessions import Session
from falcongate.state.store import BreakerRules, Charge, Counts, Transition, Window
from tests.architecture.tree import DOCS
from tests.contract import stores
from tests.contract.layout import fields, keys, lifetime_s
from tests.contract.stores import START_MS, Answer, Opened, PlainLine
from tests.support.redis_servers import RedisServer

WINDOW = Window("api", limit=3, length_s=60)
KEY = "falcongate:1:limit:{203.0.113.7}:api:60s/10"
BREAKER = "falcongate:1:breaker:{hr}"
API_KEY = "falcongate:1:key:{0123456789ab}"


@pytest.fixture(params=["fakeredis", "redis"])
def opened(request: pytest.FixtureRequest) -> Iterator[Opened]:
    """An empty Redis of each kind."""
    if request.param == "fakeredis":
        with stores.fake() as opened:
            yield opened
    else:
        with stores.real(request.getfixturevalue("server_of")("redis")) as opened:
            yield opened


def test_a_window_is_a_hash_of_its_buckets(opened: Opened) -> None:
    opened.state.charge([Charge(WINDOW, "203.0.113.7", 2)])
    opened.clock.move(6)
    opened.state.charge([Charge(WINDOW, "203.0.113.7")])

    assert fields(opened, KEY) == {str(START_MS): "2", str(START_MS + 6000): "1"}
    assert 65 < lifetime_s(opened, KEY) <= 66


def test_what_has_left_the_window_leaves_the_hash(opened: Opened) -> None:
    opened.state.charge([Charge(WINDOW, "203.0.113.7")])
    opened.clock.move(65.9)
    opened.state.charge([Charge(WINDOW, "203.0.113.7")])
    opened.clock.move(6)
    opened.state.charge([Charge(WINDOW, "203.0.113.7")])

    assert len(fields(opened, KEY)) == 2


def test_a_refused_request_and_one_that_costs_nothing_write_nothing(opened: Opened) -> None:
    opened.state.charge([Charge(WINDOW, "a", 4)])
    opened.state.charge([Charge(WINDOW, "b", 0)])

    assert keys(opened) == set()


def test_a_refund_makes_nothing(opened: Opened) -> None:
    charged = opened.state.charge([Charge(WINDOW, "a")])
    opened.line.command("DEL", "falcongate:1:limit:{a}:api:60s/10")
    opened.state.refund(charged.receipt)

    assert keys(opened) == set()


def test_places_are_a_sorted_set_that_ends_with_the_last(opened: Opened) -> None:
    opened.state.lease("hr", limit=5, owner="gw-1 2", ttl_s=30)
    opened.state.lease("hr", limit=5, owner="gw-1 3", ttl_s=10)

    ends = opened.line.command("ZRANGE", "falcongate:1:lease:{hr}", 0, -1)
    assert ends == ["gw-1%203", "gw-1%202"]
    assert 29 < lifetime_s(opened, "falcongate:1:lease:{hr}") <= 30


def test_hosts_are_a_hash_of_words(opened: Opened) -> None:
    opened.state.beat("gw-1", says="2 workers", ttl_s=15)

    assert fields(opened, "falcongate:1:hosts") == {"gw-1": "1699999995.000 2 workers"}
    assert 14 < lifetime_s(opened, "falcongate:1:hosts") <= 15


def test_a_breaker_is_a_hash_of_words_and_numbers(opened: Opened) -> None:
    opened.state.report("hr", BreakerRules(), host="gw-1", generation=0, counts=Counts(9, 5, 1))
    told = fields(opened, BREAKER)

    assert told["state"] == "OPEN"
    assert (told["since_s"], told["until_s"]) == ("1699999980", "1700000010")
    assert (told["by"], told["why"]) == ("gw-1", "5 failures in 60 s")
    assert (told["calls"], told["failures"], told["slow"]) == ("9", "5", "1")
    assert keys(opened) == {BREAKER, f"{BREAKER}:history"}


def test_the_window_and_the_probes_of_a_breaker_expire(opened: Opened) -> None:
    opened.state.report("hr", BreakerRules(), host="gw-1", generation=0, counts=Counts(1, 0, 0))
    assert fields(opened, f"{BREAKER}:window") == {f"{START_MS} gw-1": "1 0 0"}
    assert 65 < lifetime_s(opened, f"{BREAKER}:window") <= 66
    opened.state.report("hr", BreakerRules(), host="gw-1", generation=0, counts=Counts(5, 5, 0))
    opened.clock.move(30)
    opened.state.ask_probe("hr", BreakerRules(probe_lease_s=20), owner="gw-1:7")

    assert opened.line.command("ZRANGE", f"{BREAKER}:probes", 0, -1) == ["gw-1:7"]
    assert 19 < lifetime_s(opened, f"{BREAKER}:probes") <= 20


def test_a_session_is_a_hash_that_lives_by_being_used(opened: Opened) -> None:
    key = "falcongate:1:session:{messaging:Vr7Xt}"
    opened.state.note_session("messaging", "Vr7Xt", Session("http://10.0.0.1:3000", 90))
    assert fields(opened, key) == {"target": "http://10.0.0.1:3000", "life_s": "90"}
    assert 89 < lifetime_s(opened, key) <= 90

    opened.line.command("EXPIRE", key, 5)
    opened.state.find_session("messaging", "Vr7Xt")
    opened.state.find_session("messaging", "nobody")

    assert 89 < lifetime_s(opened, key) <= 90
    assert keys(opened) == {key}


@pytest.mark.parametrize(("for_s", "days"), [(0.0, None), (86_400.0, 31)])
def test_an_order_outlives_every_pause(opened: Opened, for_s: float, days: int | None) -> None:
    opened.state.report("hr", BreakerRules(), host="gw-1", generation=0, counts=Counts(1, 0, 0))
    assert 29 * 86_400 < lifetime_s(opened, BREAKER) <= 30 * 86_400
    opened.state.command("hr", "disable", by="jane", why="", for_s=for_s)

    if days is None:
        assert opened.line.command("PTTL", BREAKER) == -1
    else:
        assert (days - 1) * 86_400 < lifetime_s(opened, BREAKER) <= days * 86_400


def test_fields_of_a_later_release_are_left_alone(opened: Opened) -> None:
    opened.line.command("HSET", BREAKER, "novelty", "x", "total_calls", "7")
    opened.state.report("hr", BreakerRules(), host="gw-1", generation=0, counts=Counts(1, 0, 0))

    assert fields(opened, BREAKER)["novelty"] == "x"
    assert opened.state.snapshot(["hr"])["hr"].total_calls == 8


def test_joined_requests_are_charged_one_after_the_other(opened: Opened) -> None:
    asked: list[tuple[Sequence[str], Sequence[str | int]]] = []

    class Recorder:
        """A line that keeps what it is asked."""

        def call(self, _: Script, keys: Sequence[str], arguments: Sequence[str | int]) -> list[int]:
            asked.append((keys, arguments))
            return [1, *[0, 0, 0] * len(keys)]

    recorder = RedisState(Recorder())  # type: ignore[arg-type]
    recorder.charge([Charge(WINDOW, "a", 2)])
    recorder.charge([Charge(WINDOW, "b", 3), Charge(WINDOW, "a", 2)])
    recorder.charge([Charge(WINDOW, "b", 3)])
    answers = opened.line.call_joined(CHARGE, asked)

    assert [answer[0] for answer in answers] == [1, 0, 1]
    assert [len(answer) for answer in answers] == [4, 7, 4]


def test_in_a_cluster_windows_of_different_callers_are_reserved_in_turn() -> None:
    three = Window("three", limit=3, length_s=60)
    with stores.fake(is_cluster=True) as opened:
        charges = [Charge(WINDOW, "a"), Charge(three, "b", 3), Charge(three, "a"), Charge(WINDOW, "c")]
        assert opened.state.charge(charges).admitted
        refused = opened.state.charge(charges)

        assert not refused.admitted
        assert [verdict and verdict.fits for verdict in refused.verdicts] == [True, False, True, None]
        assert refused.receipt.entries == ()
        assert opened.state.charge([Charge(WINDOW, "a", 2), Charge(three, "a", 2)]).admitted


def test_in_a_cluster_a_receipt_of_several_callers_is_given_back_whole() -> None:
    with stores.fake(is_cluster=True) as opened:
        charges = [Charge(WINDOW, "a", 3), Charge(WINDOW, "b", 3)]
        opened.state.refund(opened.state.charge(charges).receipt)

        assert opened.state.charge(charges).admitted


def test_what_was_reserved_is_given_back_if_the_next_server_is_away() -> None:
    with stores.fake(is_cluster=True) as opened:
        line = opened.line
        ask = line.call

        def fail_for_b(script: Script, keys: Sequence[str], arguments: Sequence[str | int]) -> Answer:
            if script is CHARGE and "{b}" in keys[0]:
                raise StoreAway("b is away")
            return ask(script, keys, arguments)

        line.call = fail_for_b  # type: ignore[method-assign]
        with pytest.raises(StoreAway):
            opened.state.charge([Charge(WINDOW, "a", 3), Charge(WINDOW, "b")])

        assert opened.state.charge([Charge(WINDOW, "a", 3)]).admitted


def test_published_keys_live_for_as_long_as_anybody_has_wished(opened: Opened) -> None:
    for url, lives_s in (("http://short", [60]), ("http://long", [600, 60]), ("http://proven", [60, 600])):
        for life_s in lives_s:
            opened.state.note_keys(url, "{}", for_s=life_s)

    lives = [
        math.ceil(lifetime_s(opened, key_set_key(f"http://{name}"))) for name in ("short", "long", "proven")
    ]
    assert lives == [60, 600, 600]


def test_in_a_cluster_every_call_has_its_keys_in_one_slot() -> None:
    with stores.fake(is_cluster=True) as opened:  # whose line refuses others
        names = ["hr", "lms", "}", "{x}", "hr@[::1]:80"]
        for name in names:
            opened.state.charge([Charge(WINDOW, name), Charge(Window("b", limit=1, length_s=1), name)])
            opened.state.command(name, "disable", by="", why="")
            opened.state.create_key(NewKey(name, "first", "", ""))
            opened.state.rotate_key(name, "second", grace_s=1, for_s=0.0)
            opened.state.revoke_key(name, why="")
            opened.state.note_change(Change("", "", "", name))
            opened.state.revoke(f"jti:{name}", for_s=60, by="", why="")
            opened.state.note_keys(name, "{}", for_s=60)
            opened.state.add_traffic({name: [1, 0, 1]}, limits={}, callers={"api": {name: 1}})
            opened.state.top_callers(["api", "b"], 5)
        assert {key.id for key in opened.state.list_keys()} == set(names)
        assert len(opened.state.revocations()) == 5
        assert opened.state.restore("jti:}")
        assert [breaker.state for breaker in opened.state.snapshot(names).values()] == ["DISABLED"] * 5

    assert key_slot(limit_key(Charge(WINDOW, "}")).encode()) == key_slot(b"%7D")


def test_processes_that_race_by_the_true_clock_admit_exactly_the_limit(redis_server: RedisServer) -> None:
    """Many connections ask at once; nothing in the scripts or the clock is replaced."""
    window = Window("race", limit=100, length_s=600)
    admitted: Counter[bool] = Counter()
    with redis_server.client(protocol=2) as client:
        client.flushall()

    def ask() -> None:
        with redis_server.client(protocol=2) as client:
            state = RedisState(PlainLine(client))
            answers = [state.charge([Charge(window, "a")]).admitted for _ in range(40)]
        admitted.update(answers)

    threads = [threading.Thread(target=ask) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert admitted == {True: 100, False: 220}


def test_the_page_about_it_names_every_key_and_every_field(opened: Opened) -> None:
    rules = BreakerRules(max_failures=2)
    opened.state.report("hr", rules, host="gw-1", generation=0, counts=Counts(2, 2, 0))
    opened.clock.move(30)
    probe = opened.state.ask_probe("hr", rules, owner="gw-1:7")
    opened.state.report("b", rules, host="gw-1", generation=0, counts=Counts(1, 1, 0))
    opened.state.charge([Charge(WINDOW, "a")])
    opened.state.lease("hr", limit=1, owner="a", ttl_s=1)
    opened.state.beat("gw-1", says="", ttl_s=1)
    opened.state.note_session("messaging", "Vr7Xt", Session("http://10.0.0.1:3000", 90))
    opened.state.create_key(NewKey("0123456789ab", "first", "", "", for_s=60.0))
    opened.state.rotate_key("0123456789ab", "second", grace_s=1)
    opened.state.revoke_key("0123456789ab", why="")
    opened.state.note_change(Change("", "", "", ""))
    opened.state.revoke("jti:8b1f", for_s=60, by="jane", why="")
    opened.state.note_keys("http://auth/jwks", "{}", for_s=60)
    for are_wrong in (True, False):
        opened.state.keep_decisions([("an-id", "{}")], most=10, are_wrong=are_wrong)
    opened.state.add_traffic({"hr": [1, 0, 1]}, limits={"api": [0, 1, 1]}, callers={"api": {"a": 1}})
    page, channels = (DOCS / "redis.md").read_text("utf-8"), {TRANSITIONS, API_KEY_CHANGES, REVOCATIONS}
    kinds = {re.sub(r"\{.*?\}", "{}", key) for key in keys(opened)} | channels
    documented = {
        re.sub(r"\{.*?\}", "{}", key)
        .replace("POLICY:LENGTHs/BUCKETS", "api:60s/10")
        .replace("POLICY:PERIOD", "api:1699999800")
        .replace("SLOT", "1700000010")
        for key in re.findall(r"^\| `(falcongate:1:[^`]+)` \|", page, re.MULTILINE)
    }
    assert documented == kinds | {"falcongate:1:write-test"}
    named = set(re.findall(r"`(\w+)`", page))
    said = [fields(opened, key).keys() for key in (BREAKER, API_KEY, key_set_key("http://auth/jwks"))]
    said += [{field.name for field in dataclasses.fields(told)} for told in (Transition, probe.breaker)]
    assert not set().union(*said) - named
