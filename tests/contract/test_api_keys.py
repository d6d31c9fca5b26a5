"""What every store promises of API keys."""

from __future__ import annotations

import pytest

from falcongate.state.api_keys import KEPT_S, ApiKey, NewKey
from tests.contract.stores import START_MS, Opened

ID = "0123456789ab"
START_S = START_MS / 1000


def create(opened: Opened, key_id: str = ID, digest: str = "first", **rest: object) -> ApiKey | None:
    """A key of this test."""
    return opened.state.create_key(NewKey(key_id, digest, "billing", "jane@gw-1", **rest))  # type: ignore[arg-type]


def test_a_key_is_found_as_it_was_created(opened: Opened) -> None:
    made = create(opened, for_s=60.0, services=("hr", "lms"), rates=("100/m", "1000/d"))

    assert made == ApiKey(
        ID,
        "billing",
        "first",
        START_S,
        "jane@gw-1",
        ends_s=START_S + 60,
        services=("hr", "lms"),
        rates=("100/m", "1000/d"),
        now_s=START_S,
    )
    assert opened.state.find_key(ID) == made
    assert opened.state.find_key("ba9876543210") is None


def test_a_key_without_an_end_says_so_and_may_ask_all(opened: Opened) -> None:
    made = create(opened)

    assert made is not None
    assert (made.ends_s, made.services, made.rates, made.revoked_s, made.old_digest) == (0, (), (), 0, "")


def test_an_id_that_is_taken_stays_whose_it_was(opened: Opened) -> None:
    create(opened)

    assert create(opened, digest="second") is None
    found = opened.state.find_key(ID)
    assert found is not None
    assert found.digest == "first"


@pytest.mark.parametrize("text", ["", "} {", "a\nb", "über", "x" * 500])
def test_names_reasons_and_who_are_any_text(opened: Opened, text: str) -> None:
    made = opened.state.create_key(NewKey(ID, "first", text, text))
    revoked = opened.state.revoke_key(ID, why=text)

    assert made is not None
    assert revoked is not None
    assert (made.name, made.by, revoked.why) == (text, text, text)


def test_a_rotated_key_has_two_secrets_for_the_time_of_grace(opened: Opened) -> None:
    create(opened, for_s=600.0)
    opened.clock.move(10)
    rotated = opened.state.rotate_key(ID, "second", grace_s=60)

    assert rotated is not None
    assert rotated == opened.state.find_key(ID)
    assert (rotated.digest, rotated.rotated_s) == ("second", START_S + 10)
    assert (rotated.old_digest, rotated.old_ends_s) == ("first", START_S + 70)
    assert (rotated.ends_s, rotated.created_s) == (START_S + 600, START_S)


def test_of_three_secrets_the_first_is_gone(opened: Opened) -> None:
    create(opened)
    opened.state.rotate_key(ID, "second", grace_s=60)
    rotated = opened.state.rotate_key(ID, "third", grace_s=60)

    assert rotated is not None
    assert (rotated.digest, rotated.old_digest) == ("third", "second")


def test_without_grace_the_former_secrets_are_gone(opened: Opened) -> None:
    create(opened)
    opened.state.rotate_key(ID, "second", grace_s=60)
    rotated = opened.state.rotate_key(ID, "third", grace_s=0)

    assert rotated is not None
    assert (rotated.digest, rotated.old_digest, rotated.old_ends_s) == ("third", "", 0)


@pytest.mark.parametrize(("for_s", "ends_s"), [(None, 600), (900.0, 910), (0.0, None)])
def test_a_rotation_can_give_another_end(opened: Opened, for_s: float | None, ends_s: float | None) -> None:
    create(opened, for_s=600.0)
    opened.clock.move(10)
    rotated = opened.state.rotate_key(ID, "second", grace_s=0, for_s=for_s)

    assert rotated is not None
    assert rotated.ends_s == (0 if ends_s is None else START_S + ends_s)


def test_a_revoked_key_stays_so_with_the_reason_that_was_given_first(opened: Opened) -> None:
    create(opened)
    opened.clock.move(5)
    revoked = opened.state.revoke_key(ID, why="lost")
    opened.clock.move(5)

    assert revoked is not None
    assert (revoked.revoked_s, revoked.why) == (START_S + 5, "lost")
    again = opened.state.revoke_key(ID, why="found")
    assert again is not None
    assert (again.revoked_s, again.why) == (START_S + 5, "lost")
    assert opened.state.rotate_key(ID, "second", grace_s=60) is None
    found = opened.state.find_key(ID)
    assert found is not None
    assert found.digest == "first"


def test_what_there_is_not_can_neither_be_rotated_nor_revoked(opened: Opened) -> None:
    assert opened.state.rotate_key(ID, "second", grace_s=60) is None
    assert opened.state.revoke_key(ID, why="") is None
    assert opened.state.find_key(ID) is None
    assert list(opened.state.list_keys()) == []


def test_all_are_listed_the_oldest_first(opened: Opened) -> None:
    for key_id in ("cc", "aa", "bb"):
        create(opened, key_id)
        opened.clock.move(1)
    opened.state.revoke_key("aa", why="lost")

    assert [key.id for key in opened.state.list_keys()] == ["cc", "aa", "bb"]
    assert [bool(key.revoked_s) for key in opened.state.list_keys()] == [False, True, False]


@pytest.mark.parametrize("open_store", ["memory", "fakeredis"], indirect=True)
def test_keys_that_have_ended_are_forgotten_in_the_end(opened: Opened) -> None:
    create(opened, "aa", for_s=60.0)
    create(opened, "bb")
    create(opened, "cc")
    opened.state.revoke_key("bb", why="")
    opened.clock.move(60 + KEPT_S - 1)
    assert opened.state.find_key("aa") is not None
    opened.clock.move(2)

    assert opened.state.find_key("aa") is None
    assert [key.id for key in opened.state.list_keys()] == ["cc"]
    create(opened, "dd")
    assert [key.id for key in opened.state.list_keys()] == ["cc", "dd"]


def test_each_change_is_told_to_who_listens(opened: Opened) -> None:
    heard: list[str] = []
    gaps: list[None] = []
    opened.state.subscribe_keys(heard.append, lambda: gaps.append(None))
    create(opened, "aa")
    create(opened, "bb")
    opened.state.rotate_key("bb", "second", grace_s=1)
    opened.state.revoke_key("aa", why="")
    opened.state.revoke_key("nobody", why="")
    if opened.line is not None:
        opened.line.listen()

    assert heard == ["aa", "bb", "bb", "aa"]
    assert len(gaps) == 1
