"""What every store promises of places and of hosts."""

from falcongate.state.heartbeat import Host
from tests.contract.stores import Opened


def lease(opened: Opened, owner: str, *, limit: int = 2, key: str = "hr") -> tuple[bool, int]:
    return opened.state.lease(key, limit=limit, owner=owner, ttl_s=30)


def test_as_many_places_as_the_limit_says(opened: Opened) -> None:
    assert [lease(opened, owner) for owner in "abc"] == [(True, 1), (True, 2), (False, 2)]
    assert lease(opened, "c", key="lms") == (True, 1)


def test_who_asks_again_keeps_one_place(opened: Opened) -> None:
    assert [lease(opened, "a") for _ in range(3)] == [(True, 1)] * 3


def test_a_place_given_back_is_free(opened: Opened) -> None:
    for owner in "ab":
        lease(opened, owner)
    opened.state.release("hr", owner="a")
    opened.state.release("hr", owner="nobody")

    assert lease(opened, "c") == (True, 2)


def test_the_place_of_a_killed_worker_is_free_after_its_time(opened: Opened) -> None:
    for owner in "ab":
        lease(opened, owner)
    opened.clock.move(29.999)
    assert lease(opened, "c") == (False, 2)
    opened.clock.move(0.001)

    assert lease(opened, "c") == (True, 1)


def test_a_renewed_place_is_held_for_longer(opened: Opened) -> None:
    for owner in "ab":
        lease(opened, owner)
    opened.clock.move(20)
    opened.state.renew("hr", owners=["a", "nobody"], ttl_s=30)
    opened.clock.move(29)

    assert lease(opened, "c") == (True, 2)
    assert lease(opened, "d") == (False, 2)


def test_a_place_that_was_given_away_is_not_renewed(opened: Opened) -> None:
    lease(opened, "a", limit=1)
    opened.clock.move(30)
    lease(opened, "b", limit=1)
    opened.state.renew("hr", owners=["a"], ttl_s=30)

    assert lease(opened, "b", limit=1) == (True, 1)


def test_a_place_that_has_ended_is_not_renewed_even_if_nobody_has_it(opened: Opened) -> None:
    lease(opened, "a", limit=1)
    opened.clock.move(30)
    opened.state.renew("hr", owners=["a"], ttl_s=30)

    assert lease(opened, "b", limit=1) == (True, 1)


def test_an_asking_again_holds_it_for_longer(opened: Opened) -> None:
    lease(opened, "a", limit=1)
    opened.clock.move(20)
    lease(opened, "a", limit=1)
    opened.clock.move(20)

    assert lease(opened, "b", limit=1) == (False, 1)


def test_hosts_are_alive_for_as_long_as_they_said(opened: Opened) -> None:
    opened.state.beat("gw-2", says="2 workers, 1.0", ttl_s=15)
    opened.clock.move(10)
    both = (Host("gw-1", ""), Host("gw-2", "2 workers, 1.0"))

    assert opened.state.beat("gw-1", says="", ttl_s=15) == both
    assert opened.state.hosts() == both

    opened.clock.move(5)

    assert opened.state.hosts() == (Host("gw-1", ""),)


def test_a_host_that_beats_again_says_what_it_said_last(opened: Opened) -> None:
    opened.state.beat("gw-1", says="old", ttl_s=15)
    opened.clock.move(10)
    opened.state.beat("gw-1", says="new", ttl_s=15)
    opened.clock.move(10)

    assert opened.state.hosts() == (Host("gw-1", "new"),)


def test_nobody_is_alive_at_the_beginning(opened: Opened) -> None:
    assert opened.state.hosts() == ()
