"""What lies in Redis of totals, of traffic and of callers who were refused, and how long that lives."""

from __future__ import annotations

import re

import pytest

from tests.architecture.tree import DOCS
from tests.contract.layout import fields, keys, lifetime_s
from tests.contract.stores import Opened

pytestmark = pytest.mark.parametrize("open_store", ["fakeredis", "redis"], indirect=True)

KEY = "falcongate:1:{traffic}"


@pytest.fixture
def told(opened: Opened) -> Opened:
    """A store that was told of a service and a limit."""
    callers = {"api": {"203.0.113.7": 8, "192.0.2.1": 2}}
    opened.state.add_traffic({"hr": [12, 1, 9, 3]}, limits={"api": [4, 8, 2]}, callers=callers)
    return opened


def test_totals_are_a_hash_that_stays(told: Opened) -> None:
    assert fields(told, f"{KEY}:totals") == {
        "requests:hr": "12",
        "errors:hr": "1",
        "limit:api:admitted": "4",
        "limit:api:refused": "8",
        "limit:api:would_refuse": "2",
    }
    assert told.line.command("PTTL", f"{KEY}:totals") == -1


def test_what_is_no_number_there_is_passed_over(told: Opened) -> None:
    told.line.command("HSET", f"{KEY}:totals", "requests:lms", "many")
    assert told.state.totals() == {
        "requests:hr": 12,
        "errors:hr": 1,
        "limit:api:admitted": 4,
        "limit:api:refused": 8,
        "limit:api:would_refuse": 2,
    }


def test_a_slot_is_a_hash_that_ends(told: Opened) -> None:
    assert fields(told, f"{KEY}:1699999980") == {"hr": "12 1 9 3"}
    assert 904 < lifetime_s(told, f"{KEY}:1699999980") <= 905


def test_callers_are_a_sorted_set_that_ends(told: Opened) -> None:
    key = f"{KEY}:refused:api:1699999800"
    refused = told.line.command("ZRANGE", key, 0, -1, "WITHSCORES")

    assert [*map(str, refused)] == ["192.0.2.1", "2", "203.0.113.7", "8"]
    assert 599 < lifetime_s(told, key) <= 600


def test_who_was_not_told_anything_has_written_nothing(opened: Opened) -> None:
    opened.state.add_traffic({}, limits={"api": [0, 0, 0]}, callers={"api": {}})
    opened.state.traffic(900)
    opened.state.top_callers(["api"], 5)

    assert keys(opened) == set()


def test_the_page_about_it_names_every_field(told: Opened) -> None:
    named = set(re.findall(r"`(\w+)`", (DOCS / "redis.md").read_text("utf-8")))
    names = {name.removesuffix(":hr").rpartition(":")[2] for name in fields(told, f"{KEY}:totals")}

    assert names == {"requests", "errors", "admitted", "refused", "would_refuse"}
    assert names <= named


def test_more_callers_than_are_kept_do_not_stay(opened: Opened) -> None:
    for first in range(0, 1_000, 50):
        opened.state.add_traffic(
            {}, limits={}, callers={"api": {str(number): number for number in range(first, first + 50)}}
        )

    assert opened.line.command("ZCARD", f"{KEY}:refused:api:1699999800") == 100
