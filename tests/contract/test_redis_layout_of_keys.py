"""What lies in Redis of API keys and of changes, and how long that lives."""

from __future__ import annotations

import pytest

from falcongate.state.api_keys import NewKey
from falcongate.state.audit import Change
from tests.contract.layout import fields, lifetime_s
from tests.contract.stores import START_MS, Opened

pytestmark = pytest.mark.parametrize("open_store", ["fakeredis", "redis"], indirect=True)

KEY_ID = "0123456789ab"
API_KEY = "falcongate:1:key:{0123456789ab}"
DAY_S = 86_400


def create(opened: Opened, **rest: object) -> None:
    opened.state.create_key(NewKey(KEY_ID, "first", "billing", "jane@gw-1", **rest))  # type: ignore[arg-type]


def test_an_api_key_is_a_hash_that_outlives_its_end(opened: Opened) -> None:
    create(opened, for_s=90.0 * DAY_S, services=("hr", "lms"), rates=("100/m",))

    assert fields(opened, API_KEY) == {
        "digest": "first",
        "name": "billing",
        "by": "jane@gw-1",
        "services": "hr lms",
        "rate": "100/m",
        "created_s": "1699999980.000",
        "ends_s": "1707775980.000",
    }
    assert 119 * DAY_S < lifetime_s(opened, API_KEY) <= 120 * DAY_S
    assert opened.line.command("ZRANGE", "falcongate:1:key-ids", 0, -1, "WITHSCORES") == [
        KEY_ID,
        str(START_MS // 1000 + 120 * DAY_S + 1),
    ]


def test_an_api_key_without_an_end_stays_and_a_revoked_one_goes(opened: Opened) -> None:
    create(opened)
    assert opened.line.command("PTTL", API_KEY) == -1
    assert opened.line.command("ZSCORE", "falcongate:1:key-ids", KEY_ID) == "inf"
    opened.state.revoke_key(KEY_ID, why="lost")

    assert fields(opened, API_KEY)["revoked_s"] == "1699999980.000"
    assert 29 * DAY_S < lifetime_s(opened, API_KEY) <= 30 * DAY_S
    assert float(opened.line.command("ZSCORE", "falcongate:1:key-ids", KEY_ID)) < START_MS / 1000 + 31 * DAY_S


def test_a_rotation_moves_the_digest_and_may_move_the_end(opened: Opened) -> None:
    create(opened, for_s=60.0)
    opened.state.rotate_key(KEY_ID, "second", grace_s=30, for_s=0.0)
    told = fields(opened, API_KEY)

    assert (told["digest"], told["old_digest"], told["old_ends_s"]) == ("second", "first", "1700000010.000")
    assert "ends_s" not in told
    assert opened.line.command("PTTL", API_KEY) == -1


def test_the_audit_is_a_stream_of_words(opened: Opened) -> None:
    opened.state.note_change(Change("jane@gw-1", "command line", "breaker open", "hr", "a test"))
    ((_, entry),) = opened.line.command("XRANGE", "falcongate:1:audit", "-", "+")

    assert entry == [
        "at_s", "1699999980.000", "who", "jane@gw-1", "from", "command line", "did", "breaker open",
        "on", "hr", "why", "a test",
    ]  # fmt: skip
