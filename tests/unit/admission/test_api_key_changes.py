"""What becomes of an API key that a worker knows: it changes, it ends, it cannot be asked for."""

from __future__ import annotations

import gevent
import pytest

from falcongate.exchange import Caller
from falcongate.outages import CredentialsUnknown
from falcongate.state.api_keys import ApiKey, NewKey
from falcongate.state.in_process import Fault
from falcongate.wire.api_key import make_key, parse_key
from tests.unit.admission.keys_world import World, id_of


@pytest.fixture
def world() -> World:
    return World()


def test_a_revoked_key_is_refused_from_then_on_like_an_unknown_one(world: World) -> None:
    text = world.create()
    world.find(text)
    world.state.revoke_key(id_of(text), why="lost")

    assert world.why_not(text) == world.why_not(make_key()) == "the key is not valid"


def test_a_rotated_key_has_two_secrets_until_its_grace_is_over(world: World) -> None:
    old = world.create()
    world.find(old)
    new = world.rotate(old, grace_s=60)
    callers = [world.find(text) for text in (old, new)]

    assert [caller and caller.name for caller in callers] == [id_of(old)] * 2
    world.passed_s = 20
    assert world.find(old) is not None
    world.passed_s = 60.1
    world.now_ms += 60_100
    assert world.why_not(old) == "the key has expired"
    assert world.find(new) is not None


def test_without_grace_the_old_secret_is_gone_at_once(world: World) -> None:
    old = world.create()
    world.find(old)
    new = world.rotate(old, grace_s=0)

    assert world.why_not(old) == "the key is not valid"
    assert world.find(new) is not None


def test_a_new_secret_is_good_on_a_worker_that_has_not_heard_of_it(world: World) -> None:
    old = world.create()
    world.find(old)
    hear = world.keys._hear  # noqa: SLF001
    world.state._key_listeners.clear()  # noqa: SLF001
    new = world.rotate(old, grace_s=0)
    world.passed_s = 1.5

    assert world.find(new) is not None
    hear(id_of(old))


def test_a_key_ends_at_its_time_without_anybody_being_asked(world: World) -> None:
    text = world.create(for_s=20.0)
    caller = world.find(text)
    assert caller is not None
    world.passed_s = 19.5
    assert world.find(text) is caller
    world.passed_s = 20.1

    assert world.why_not(text) == "the key has expired"
    assert world.asked == 1


def test_a_key_is_known_at_once_where_it_was_looked_for_before_it_was_made(world: World) -> None:
    text = make_key()
    world.why_not(text)
    parsed = parse_key(text)
    assert parsed is not None
    world.state.create_key(NewKey(parsed.id, parsed.digest.hex(), "a", "b"))

    assert world.find(text) is not None


def test_after_a_gap_in_the_news_everything_is_asked_again(world: World) -> None:
    text = world.create()
    world.find(text)
    world.gap()
    world.find(text)
    world.find(text)

    assert world.asked == 2


def test_what_is_known_is_asked_again_now_and_then(world: World) -> None:
    text = world.create()
    world.find(text)
    world.passed_s = 31
    world.find(text)

    assert world.asked == 2


def test_an_answer_that_a_change_has_overtaken_is_not_kept(world: World) -> None:
    text = world.create()
    find = world.state.find_key

    def find_key(key_id: str) -> ApiKey | None:
        found = find(key_id)
        world.state.find_key = find  # type: ignore[method-assign]
        world.state.revoke_key(key_id, why="while the answer was on its way")
        return found

    world.state.find_key = find_key  # type: ignore[method-assign]
    world.find(text)

    assert world.why_not(text) == "the key is not valid"


def test_a_key_that_is_known_to_be_revoked_is_not_asked_for_again(world: World) -> None:
    text = world.create()
    world.state.revoke_key(id_of(text), why="lost")
    world.why_not(text)
    world.state.fault = Fault.AWAY
    world.passed_s = 20

    assert world.why_not(text) == "the key is not valid"


@pytest.mark.parametrize("fault", list(Fault))
def test_without_the_shared_state_known_keys_go_on_until_a_bound(world: World, fault: Fault) -> None:
    text = world.create()
    world.find(text)
    world.state.fault = fault
    assert world.find(text) is not None
    assert not world.has_waited_in_vain
    world.gap()
    assert world.find(text) is not None
    assert world.has_waited_in_vain

    known = world.keys._known  # noqa: SLF001
    seen = known.get(id_of(text))
    assert seen is not None
    known[id_of(text)] = seen._replace(since=seen.since - 901)
    with pytest.raises(CredentialsUnknown) as refused:
        world.find(text)
    assert (refused.value.status, refused.value.retry_after_s) == (503, 1)


def test_without_the_shared_state_nobody_says_of_an_unknown_key_that_it_is_wrong(world: World) -> None:
    text = world.create()
    world.find(text)
    world.state.fault = Fault.AWAY
    with pytest.raises(CredentialsUnknown):
        world.find(make_key())
    world.passed_s = 1.5
    with pytest.raises(CredentialsUnknown):
        world.find(make_key(id_of(text)))  # it may have been rotated
    world.state.fault = None

    assert world.why_not(make_key()) == "the key is not valid"


def test_a_key_that_was_written_by_somebody_else_counts_for_nothing(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    text = world.create(rates=("often",))

    assert world.why_not(text) == "the key is not valid"
    assert "cannot be read" in caplog.text
    assert text not in caplog.text


def test_what_callers_make_up_is_not_remembered_for_ever(world: World) -> None:
    for _ in range(200):
        world.why_not(make_key())
    unknown = world.keys._unknown  # noqa: SLF001

    assert len(unknown) == 200
    assert unknown._most == 10_000  # noqa: SLF001


def is_void(world: World, text: str) -> list[bool]:
    """What is said of a key that was let pass, now and a moment later."""
    key = parse_key(text)
    assert key is not None
    caller = Caller("api_key", key.id, mark=key.digest)
    first = world.keys.is_void(caller)
    gevent.idle()
    return [first, world.keys.is_void(caller)]


def test_whoever_was_let_pass_can_be_asked_about_later(world: World) -> None:
    text, gone = world.create(), world.create()
    world.find(text)
    assert is_void(world, text) == [False, False]
    assert world.asked == 1
    world.state.revoke_key(id_of(text), why="")

    assert is_void(world, text) == [False, True]
    assert is_void(world, gone) == [False, False]
    assert is_void(world, make_key()) == [False, True]
    assert not world.keys.is_void(Caller("token", id_of(text)))


def test_who_had_the_old_secret_is_void_once_that_is_good_no_more(world: World) -> None:
    text = world.create()
    world.find(text)
    world.rotate(text, grace_s=0)

    assert is_void(world, text) == [False, True]


def test_nobody_is_void_because_nobody_can_be_asked(world: World) -> None:
    text = world.create()
    world.find(text)
    world.state.fault = Fault.AWAY
    world.gap()

    assert is_void(world, text) == [False, False]
