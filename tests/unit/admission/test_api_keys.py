"""Whose API key a request has, and how often the shared state is asked."""

from __future__ import annotations

import gevent
import pytest

from falcongate.admission.api_keys import api_keys_of
from falcongate.config.settings import GatewaySettings
from falcongate.errors import StoreAway
from falcongate.outages import CredentialsUnknown
from falcongate.state.api_keys import ApiKey
from falcongate.state.memory_store import MemoryState
from falcongate.wire.api_key import make_key
from tests.unit.admission.keys_world import World, id_of
from tests.unit.making import make_exchange


@pytest.fixture
def world() -> World:
    return World()


@pytest.mark.parametrize("line", ["X-API-Key: {}", "x-api-key: {}", "Authorization: Bearer {}"])
def test_a_key_is_found_where_it_may_stand(world: World, line: str) -> None:
    text = world.create(services=("hr",), rates=("100/m",))
    caller = world.keys.find(make_exchange(line.format(text)))

    assert caller is not None
    assert (caller.kind, caller.name, caller.services) == ("api_key", id_of(text), {"hr"})
    assert (caller.rates, caller.headers, caller.ends_at) == (("100/m",), b"", float("inf"))


@pytest.mark.parametrize(
    "lines", [[], ["X-API-Key: of-a-service"], ["Authorization: Bearer a.b.c"], ["Authorization: Basic fg_"]]
)
def test_what_others_call_a_key_is_none_of_ours(world: World, lines: list[str]) -> None:
    assert world.keys.find(make_exchange(*lines)) is None
    assert world.asked == 0


def test_our_key_is_found_beside_a_key_of_a_service(world: World) -> None:
    text = world.create()

    assert world.keys.find(make_exchange("X-API-Key: other", f"Authorization: Bearer {text}")) is not None


def test_what_cannot_be_a_key_is_refused_unasked(world: World) -> None:
    text = world.create()
    for wrong in ("fg_", text[:-1], f"{text}0", f"{text},{text}"):
        assert world.why_not(wrong) == "the key is not valid"
    assert world.asked == 0


def test_a_key_that_comes_again_is_not_asked_for(world: World) -> None:
    text = world.create()
    callers = {id(world.find(text)) for _ in range(10)}

    assert len(callers) == 1
    assert world.asked == 1


def test_an_unknown_key_is_asked_for_once(world: World) -> None:
    text = make_key()
    assert {world.why_not(text) for _ in range(10)} == {"the key is not valid"}
    assert world.asked == 1
    world.passed_s = 6
    world.why_not(text)

    assert world.asked == 2


def test_whoever_guesses_secrets_of_an_id_asks_nothing_within_a_second(world: World) -> None:
    text = world.create()
    world.find(text)
    for tenth in range(10):
        world.passed_s = tenth / 10
        assert world.why_not(make_key(id_of(text))) == "the key is not valid"
    assert world.asked == 1
    world.passed_s = 1.5
    world.why_not(make_key(id_of(text)))

    assert world.asked == 2


def test_many_who_come_at_once_with_one_key_ask_once(world: World) -> None:
    text = world.create()
    find = world.state.find_key

    def slowly(key_id: str) -> ApiKey | None:
        found = find(key_id)
        gevent.sleep(0)
        return found

    world.state.find_key = slowly  # type: ignore[method-assign]
    callers = [gevent.spawn(world.find, text) for _ in range(20)]
    gevent.joinall(callers)

    assert {caller.value.name for caller in callers} == {id_of(text)}
    assert world.asked == 1


def test_who_waits_for_the_question_of_another_is_not_left_waiting_when_that_fails(world: World) -> None:
    text = world.create()

    def fail(_: str) -> ApiKey | None:
        gevent.sleep(0)
        raise StoreAway("gone")

    world.state.find_key = fail  # type: ignore[method-assign]
    callers = [gevent.spawn(world.find, text) for _ in range(3)]
    gevent.joinall(callers)

    assert [type(caller.exception) for caller in callers] == [CredentialsUnknown] * 3


@pytest.mark.parametrize(
    ("access", "are_asked"),
    [
        ({}, False),
        ({"it": {"identity": "required"}}, True),
        ({"it": {"identity": "optional", "accept": ["token"]}}, False),
        ({"it": {"allow": ["10.0.0.0/8"]}}, False),
        ({"it": {"identity": "required", "accept": "api_key", "mode": "shadow"}}, True),
    ],
)
def test_nobody_listens_where_no_rule_asks_for_keys(access: dict[str, object], *, are_asked: bool) -> None:
    settings = GatewaySettings.model_validate({"access": access})

    assert bool(api_keys_of(settings, MemoryState())) is are_asked
