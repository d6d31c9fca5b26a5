"""What is added up of requests, and when it is handed on."""

from __future__ import annotations

import gevent
import pytest

from falcongate.telemetry import traffic
from falcongate.telemetry.record import Record, Tried
from falcongate.telemetry.traffic import BOUNDS_S, COUNTS, Seen, Traffic
from tests.support.turns import until
from tests.unit.telemetry.records import USUAL


@pytest.fixture
def sent(monkeypatch: pytest.MonkeyPatch) -> list[Seen]:
    """All that was handed on, by tests that do not want to wait for it."""
    monkeypatch.setattr(traffic, "_HAND_ON_AFTER_S", 0.001)
    return []


def seen(sent: list[Seen], *records: Record) -> Seen:
    """What is handed on of these."""
    Traffic(sent.append).take(records)
    until(lambda: sent)
    return sent.pop()


def failed_with(failure: str) -> Tried:
    tried = Tried("http://hr:8000")
    tried.end(failure)
    return tried


def test_requests_are_counted_by_service_and_duration(sent: list[Seen]) -> None:
    durations_s = (0.0005, 0.001, 0.0011, 10.0, 10.1, 3_600.0)
    told = seen(sent, *[USUAL._replace(duration_s=duration_s) for duration_s in durations_s])

    counts = [0] * COUNTS
    counts[0], counts[2], counts[3], counts[-2], counts[-1] = 6, 2, 1, 1, 2
    assert told == Seen({"hr": counts}, {}, {})
    assert len(counts) == 2 + len(BOUNDS_S) + 1


@pytest.mark.parametrize(
    ("record", "is_error"),
    [
        (USUAL, False),
        (USUAL._replace(status=404), False),
        (USUAL._replace(status=429, problem="limit-reached", answered_by="gateway", tried=()), False),
        (USUAL._replace(status=499, tried=()), False),
        (USUAL._replace(status=499, tried=(failed_with("cut-off"),)), False),
        (
            USUAL._replace(status=413, problem="body-too-large", tried=(failed_with("body-too-large"),)),
            False,
        ),
        (
            USUAL._replace(
                status=400, problem="malformed-request", tried=(failed_with("malformed-request"),)
            ),
            False,
        ),
        (USUAL._replace(status=500), True),
        (USUAL._replace(status=502, problem="service-unreachable", answered_by="gateway"), True),
        (USUAL._replace(status=503, problem="circuit-open", answered_by="gateway", tried=()), True),
        (USUAL._replace(tried=(failed_with("answer-cut-short"),)), True),
        (USUAL._replace(tried=(failed_with("service-unreachable"), failed_with(""))), False),
    ],
)
def test_an_error_is_what_went_wrong_behind_the_gateway(
    sent: list[Seen],
    record: Record,
    is_error: bool,  # noqa: FBT001
) -> None:
    assert seen(sent, record).services["hr"][:2] == [1, is_error]


def test_a_websocket_has_no_duration(sent: list[Seen]) -> None:
    assert sum(seen(sent, USUAL._replace(status=101, duration_s=500)).services["hr"]) == 1


def test_what_came_for_no_service_is_nobodys_traffic(sent: list[Seen]) -> None:
    told = seen(
        sent, USUAL._replace(service="", charged=(("sign-in", "192.0.2.1"),)), USUAL._replace(service="")
    )

    assert (told.services, told.limits) == ({}, {"sign-in": [1, 0, 0]})


def test_each_limit_says_what_it_has_said(sent: list[Seen]) -> None:
    asked = USUAL._replace(charged=(("api", "192.0.2.1"), ("all", "all"), ("tried", "jane")))
    told = seen(
        sent,
        asked,
        asked._replace(would_refuse=("tried", "a-room-in-shadow-mode")),
        asked._replace(refused_by=("a-room",)),
        *[asked._replace(refused_by=("api",), would_refuse=("tried",))] * 3,
        asked._replace(refused_by=("api", "all")),
        USUAL._replace(refused_by=("a-rule",), would_refuse=("another",)),
    )

    assert told.limits == {"api": [3, 4, 0], "all": [3, 1, 0], "tried": [2, 0, 1]}
    assert told.callers == {"api": {"192.0.2.1": 4}, "all": {"all": 1}, "tried": {"jane": 1}}


def test_it_is_handed_on_now_and_then_and_begins_anew(sent: list[Seen]) -> None:
    adding = Traffic(sent.append)
    for _ in range(3):
        adding.take([USUAL, USUAL._replace(charged=(("api", "a"),))])
    assert not sent
    until(lambda: sent)
    adding.take([USUAL])
    until(lambda: len(sent) == 2)

    assert [told.services["hr"][0] for told in sent] == [6, 1]
    assert [dict(told.limits) for told in sent] == [{"api": [3, 0, 0]}, {}]


def test_without_requests_nothing_is_handed_on(sent: list[Seen]) -> None:
    Traffic(sent.append).take([])
    gevent.sleep(0.005)

    assert not sent


def test_of_callers_without_number_the_heaviest_are_told_and_few_are_kept(sent: list[Seen]) -> None:
    adding = Traffic(sent.append)
    refused = USUAL._replace(refused_by=("api",))
    heavy = [refused._replace(charged=(("api", f"heavy-{number}"),)) for number in range(20) for _ in "abc"]
    for first in range(0, 5_000, 100):
        light = range(first, first + 100)
        adding.take(heavy)
        adding.take([refused._replace(charged=(("api", f"light-{number}"),)) for number in light])
        assert len(adding._callers["api"]) <= 1_000  # noqa: SLF001  # what it holds cannot be seen from outside
    until(lambda: sent)

    assert sent[0].callers == {"api": {f"heavy-{number}": 150 for number in range(20)}}
    assert sent[0].limits == {"api": [0, 50 * 160, 0]}
