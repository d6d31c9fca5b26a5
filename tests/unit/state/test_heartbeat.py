"""What hosts say of themselves, and what they hear."""

from __future__ import annotations

import gevent
import pytest

from falcongate.state.heartbeat import Heartbeat, Saying, parse_saying
from falcongate.state.in_process import Fault
from falcongate.state.memory_store import MemoryState


@pytest.mark.parametrize(
    ("saying", "text"),
    [
        (Saying("0.1.0", 2, "3fa9c2d1"), "falcongate 0.1.0, 2 workers, configuration 3fa9c2d1"),
        (Saying("1.0.0rc1", 1, "00000000"), "falcongate 1.0.0rc1, 1 worker, configuration 00000000"),
    ],
)
def test_what_is_said_can_be_read(saying: Saying, text: str) -> None:
    assert saying.render() == text
    assert parse_saying(text) == saying


@pytest.mark.parametrize(
    "text", ["", "falcongate 0.1.0, 2 workers", "falcongate 2, many workers", "2 workers"]
)
def test_of_a_host_that_speaks_otherwise_nothing_is_known(text: str) -> None:
    assert parse_saying(text) == Saying("", 0, "")


class Store(MemoryState):
    """A store of which a part may be away, where hosts do not lie."""

    is_degraded = False


@pytest.mark.parametrize(
    ("fault", "is_degraded", "redis"),
    [
        (None, False, "connected"),
        (None, True, "partly connected"),
        (Fault.AWAY, True, "unreachable"),
    ],
)
def test_a_beat_tells_whether_all_of_the_store_is_there(
    fault: Fault | None,
    is_degraded: bool,  # noqa: FBT001
    redis: str,
) -> None:
    store = Store(fault=fault)
    store.is_degraded = is_degraded
    told: list[bool] = []
    heart = Heartbeat(store, name="gw-1", says=lambda: Saying("0.1.0", 2, "3fa9c2d1"), tell=told.append)
    gevent.sleep(0)
    assert (heart.redis, told) == (redis, [redis == "connected"])


def test_each_beat_says_what_is_true_then() -> None:
    workers = iter((2, 3))
    store = MemoryState()
    heart = Heartbeat(
        store, name="gw-1", says=lambda: Saying("0.1.0", next(workers), "3fa9c2d1"), tell=lambda _: None
    )
    assert heart.own.workers == 2
    gevent.sleep(0)
    assert [parse_saying(host.says).workers for host in store.hosts()] == [heart.own.workers] == [3]
