"""Which target a session is led to, with the shared state there, away and forgetful."""

from __future__ import annotations

from falcongate.admission.sessions import Sessions
from falcongate.state.in_process import Fault
from falcongate.state.memory_store import MemoryState

HERE, THERE = "http://10.0.0.1:3000", "http://10.0.0.2:3000"


class World:
    """One shared state, whose clock the test moves, and two workers."""

    def __init__(self) -> None:
        self.now_ms = 1_699_999_980_000
        self.state = MemoryState(lambda: self.now_ms)
        self.one = Sessions(self.state)
        self.other = Sessions(self.state)


def test_what_one_worker_has_noted_the_other_finds() -> None:
    world = World()
    world.one.begin("chat", "a", target=HERE, life_s=90)

    assert world.other.find("chat", "a") == HERE
    assert world.other.find("chat", "b") == ""


def test_it_lives_for_as_long_as_it_is_used() -> None:
    world = World()
    world.one.begin("chat", "a", target=HERE, life_s=90)
    for _ in range(3):
        world.now_ms += 80_000
        assert world.other.find("chat", "a") == HERE
    world.now_ms += 90_000

    assert Sessions(world.state).find("chat", "a") == ""


def test_what_has_ended_is_known_to_nobody() -> None:
    world = World()
    world.one.begin("chat", "a", target=HERE, life_s=90)
    world.one.end("chat", "a")

    assert world.other.find("chat", "a") == world.one.find("chat", "a") == ""


def test_without_the_shared_state_a_worker_knows_what_it_has_seen() -> None:
    world = World()
    world.one.begin("chat", "a", target=HERE, life_s=90)
    world.other.find("chat", "a")
    world.state.fault = Fault.AWAY
    world.one.begin("chat", "b", target=THERE, life_s=90)

    assert world.one.find("chat", "a") == world.other.find("chat", "a") == HERE
    assert world.one.find("chat", "b") == THERE
    assert world.other.find("chat", "b") == ""
    world.one.end("chat", "b")
    assert world.one.find("chat", "b") == ""


def test_a_state_that_lost_its_memory_is_told_again() -> None:
    world = World()
    world.one.begin("chat", "a", target=HERE, life_s=90)
    world.state.forget_session("chat", "a")

    assert world.one.find("chat", "a") == HERE
    assert world.other.find("chat", "a") == HERE


def test_a_session_that_was_begun_elsewhere_is_there() -> None:
    world = World()
    world.one.begin("chat", "a", target=HERE, life_s=90)
    world.other.begin("chat", "a", target=THERE, life_s=90)

    assert world.one.find("chat", "a") == THERE


def test_who_waited_in_vain_already_is_answered_from_what_the_worker_has_seen() -> None:
    world = World()
    world.one.begin("chat", "a", target=HERE, life_s=90)
    world.other.begin("chat", "b", target=THERE, life_s=90)

    assert world.one.find("chat", "a", asks=False) == HERE
    assert world.one.find("chat", "b", asks=False) == ""
    assert world.one.find("chat", "b") == THERE
