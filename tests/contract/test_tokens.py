"""What every store promises of revocations, and of keys that issuers have published."""

from __future__ import annotations

import pytest

from falcongate.state.tokens import KEYS_LIFE_S, Revocation
from tests.contract.stores import START_MS, Opened

START_S = START_MS / 1000
URL = "http://auth:8001/api/jwks/a%20b/"


def revoke(opened: Opened, member: str, for_s: float = 60) -> Revocation | None:
    return opened.state.revoke(member, for_s=for_s, by="jane", why="lost")


def test_a_revocation_holds_for_its_time_and_then_ends(opened: Opened) -> None:
    assert revoke(opened, "jti:a", 60) == ("jti:a", START_S, START_S + 60, START_S, "jane", "lost")
    opened.clock.move(59.999)

    (held,) = opened.state.revocations()
    assert held == ("jti:a", START_S, START_S + 60, START_S + 59.999, "jane", "lost")

    opened.clock.move(0.001)
    assert list(opened.state.revocations()) == []


def test_those_that_end_first_are_told_first(opened: Opened) -> None:
    revoke(opened, "jti:b", 90)
    revoke(opened, "sub:main:\N{SNOWMAN} :", 30)

    assert [one.member for one in opened.state.revocations()] == ["sub:main:\N{SNOWMAN} :", "jti:b"]


def test_what_is_revoked_again_is_so_from_now_and_not_for_less_long(opened: Opened) -> None:
    revoke(opened, "sub:main:jane", 600)
    opened.clock.move(10)
    again = revoke(opened, "sub:main:jane", 60)
    assert again is not None

    assert (again.at_s, again.ends_s) == (START_S + 10, START_S + 600)
    assert [one.at_s for one in opened.state.revocations()] == [START_S + 10]


def test_what_is_taken_back_is_gone(opened: Opened) -> None:
    revoke(opened, "jti:a")
    revoke(opened, "jti:b", 1)
    opened.clock.move(2)

    assert [opened.state.restore(member) for member in ("jti:a", "jti:a", "jti:b")] == [True, False, False]
    assert list(opened.state.revocations()) == []


def test_each_is_told_to_who_listens(opened: Opened) -> None:
    told: list[Revocation] = []
    gaps: list[int] = []
    opened.state.subscribe_revocations(told.append, lambda: gaps.append(1))
    revoke(opened, "jti:a")
    opened.state.restore("jti:a")
    if opened.line is not None:
        opened.line.listen()

    assert gaps == [1]
    assert [(one.member, one.ends_s > one.now_s) for one in told] == [("jti:a", True), ("jti:a", False)]
    assert {one.now_s for one in told} == {START_S}


def test_there_are_at_most_so_many_and_those_that_ended_make_room(
    opened: Opened, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("falcongate.state.tokens.MOST_REVOKED", 9)
    monkeypatch.setattr("falcongate.state.redis_tokens.MOST_REVOKED", 9)
    for number in range(8):
        revoke(opened, f"jti:{number}", 600)
    revoke(opened, "jti:short", 1)

    assert revoke(opened, "jti:one too many") is None
    assert revoke(opened, "jti:7") is not None
    assert len(opened.state.revocations()) == 9
    opened.clock.move(1)

    assert revoke(opened, "jti:one too many") is not None


def test_keys_are_found_as_they_were_noted_last(opened: Opened) -> None:
    assert opened.state.find_keys(URL) is None
    opened.state.note_keys(URL, '{"keys": []}', for_s=60)
    opened.state.note_keys(URL, '{"keys": [1]}', for_s=60)
    opened.clock.move(12.5)

    assert opened.state.find_keys(URL) == ('{"keys": [1]}', 12.5)
    assert opened.state.find_keys(URL + "x" * 1_000) is None


def test_keys_that_were_fetched_earlier_do_not_replace_later_ones(opened: Opened) -> None:
    opened.state.note_keys(URL, "new", for_s=60, age_s=1)
    opened.state.note_keys(URL, "old", for_s=60, age_s=2.5)

    assert opened.state.find_keys(URL) == ("new", 1)


def test_keys_of_addresses_that_tokens_have_chosen_lie_apart(opened: Opened) -> None:
    urls = ["http://a/{x}", "http://a/x}", "http://a/\n", "http://a/" + "x" * 500, "http://a/" + "x" * 501]
    for url in urls:
        opened.state.note_keys(url, url, for_s=60)

    assert [opened.state.find_keys(url) for url in urls] == [(url, 0) for url in urls]
    assert KEYS_LIFE_S >= 86_400
