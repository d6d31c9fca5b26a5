"""How the store in the process fails when it is told to, and how it does without a clock of the tests."""

from collections import Counter

import pytest

from falcongate.errors import StoreAway
from falcongate.state.in_process import Fault, InProcess
from falcongate.state.memory_limits import MemoryLeases, MemoryLimits
from falcongate.state.memory_store import MemoryState
from falcongate.state.store import Charge, Window

ONE = Window("one", limit=1, length_s=60)


@pytest.mark.parametrize(
    ("fault", "has_happened"), [(Fault.AWAY, False), (Fault.SLOW, True), (Fault.LOST_REPLY, True)]
)
def test_a_question_fails_and_may_have_happened(fault: Fault, has_happened: bool) -> None:  # noqa: FBT001
    state = MemoryState(budget_s=0.001)
    state.fault = fault
    with pytest.raises(StoreAway, match=fault.value):
        state.charge([Charge(ONE, "a")])
    state.fault = None

    assert state.charge([Charge(ONE, "a")]).admitted is not has_happened


@pytest.mark.parametrize(
    ("fault", "has_happened"), [(Fault.AWAY, False), (Fault.SLOW, True), (Fault.LOST_REPLY, True)]
)
def test_what_nobody_waits_for_never_fails(fault: Fault, has_happened: bool) -> None:  # noqa: FBT001
    state = MemoryState()
    charged = state.charge([Charge(ONE, "a")])
    state.fault = fault
    state.refund(charged.receipt)
    state.fault = None

    assert state.charge([Charge(ONE, "a")]).admitted is has_happened


def test_every_question_fails_when_the_store_is_away() -> None:
    state = MemoryState()
    state.fault = Fault.AWAY
    questions = [
        lambda: state.charge([]),
        lambda: state.lease("hr", limit=1, owner="a", ttl_s=1),
        lambda: state.snapshot(["hr"]),
        lambda: state.history("hr", 1),
        lambda: state.command("hr", "reset", by="", why=""),
        lambda: state.beat("gw", says="", ttl_s=1),
        state.hosts,
    ]

    for question in questions:
        with pytest.raises(StoreAway):
            question()


def test_without_a_clock_it_goes_by_the_true_time() -> None:
    state = MemoryState()
    answers = [state.charge([Charge(ONE, "a")]) for _ in range(2)]

    assert [answer.admitted for answer in answers] == [True, False]
    assert 0 < answers[1].verdicts[0].reset_s <= 66


def test_no_part_keeps_what_is_its_own_under_the_name_of_anothers() -> None:
    """They are one object in the end, where one would write into the other's."""
    owners = Counter(
        name
        for part in MemoryState.__bases__
        for name in {*vars(part()), *vars(part)} - set(dir(InProcess()))
        if not name.startswith("__")
    )
    assert [name for name, count in owners.items() if count > 1] == []


def test_windows_of_callers_who_have_gone_are_forgotten() -> None:
    now = iter(range(0, 10**9, 100_000))
    limits = MemoryLimits(lambda: next(now))
    for number in range(3_000):
        limits.charge([Charge(ONE, str(number))])

    assert len(limits._counts) <= 1_000  # noqa: SLF001  # what it holds cannot be seen from outside


def test_it_keeps_no_more_callers_than_it_may_and_forgets_those_who_end_soonest() -> None:
    now_ms = 0
    limits = MemoryLimits(lambda: now_ms, most=2_000)
    soon, late = (Window(name, limit=1, length_s=length_s) for name, length_s in (("s", 60), ("l", 3_600)))
    for number in range(10_000):
        now_ms = number
        limits.charge([Charge(soon, f"soon-{number}")])
        if number < 1_500:
            limits.charge([Charge(late, f"late-{number}")])
        assert len(limits._counts) <= 2_000 + 1_000  # noqa: SLF001  # it cannot be seen from outside

    assert not any(limits.charge([Charge(late, f"late-{number}")]).admitted for number in range(1_500))
    assert limits.charge([Charge(soon, "soon-0")]).admitted, "it was forgotten"
    assert not limits.charge([Charge(soon, "soon-9999")]).admitted


def test_places_that_nobody_holds_leave_nothing_behind() -> None:
    leases = MemoryLeases()
    for number in range(100):
        assert leases.lease(f"it:{number}", limit=1, owner="a", ttl_s=60).granted
        assert not leases.lease(f"none:{number}", limit=0, owner="a", ttl_s=60).granted
        leases.release(f"none:{number}", owner="a")
        leases.release(f"it:{number}", owner="b")
        assert not leases.lease(f"it:{number}", limit=1, owner="b", ttl_s=60).granted
        leases.release(f"it:{number}", owner="a")

    assert leases._leases == {}  # noqa: SLF001  # what it holds cannot be seen from outside
