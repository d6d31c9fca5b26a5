"""When those who watch are told, and when that ends."""

from __future__ import annotations

import json
from typing import Any

import gevent
import pytest

from falcongate.resources import live
from falcongate.resources.live import Live
from falcongate.resources.overview import Picture
from falcongate.wire.websocket import POLICY, RESTART
from tests.support.turns import until
from tests.unit.making import make_exchange


class World:
    """Everything that a watcher asks, each as the test says."""

    def __init__(self) -> None:
        self.number = 1
        self.looks = 0
        self.is_draining = False
        self.mays = {"read": True, "change": False}
        self.sent: list[dict[str, Any]] = []

    def look(self) -> Picture:
        self.looks += 1
        return Picture(self.number, float(self.looks), {"state": "connected"}, '{"hosts": []}')

    def may_read(self, _: object) -> bool:
        return self.mays["read"]

    def may_change(self, _: object) -> bool:
        return self.mays["change"]

    def send(self, text: str) -> None:
        self.sent.append(json.loads(text))


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch) -> World:
    monkeypatch.setattr(live, "_LOOK_EVERY_S", 0.001)
    return World()


def watch(world: World) -> gevent.Greenlet[..., int]:
    """Somebody who watches."""
    door: Any = Live(world, None, world, tunnels=world)  # type: ignore[arg-type]
    return gevent.spawn(door._watch, world, make_exchange(), "jane")  # noqa: SLF001  # what its body runs


def test_it_is_told_once_and_again_when_something_has_changed(world: World) -> None:
    watcher = watch(world)
    until(lambda: world.looks == 20)
    assert world.sent == [
        {
            "at_s": 1.0,
            "you": {"name": "jane", "may_change": False},
            "redis": {"state": "connected"},
            "hosts": [],
        }
    ]
    world.number, world.mays["change"] = 2, True
    until(lambda: len(world.sent) == 2)
    until(lambda: world.looks >= 30)
    watcher.kill()

    assert [told["you"]["may_change"] for told in world.sent] == [False, True]


def test_a_worker_that_ends_says_so(world: World) -> None:
    watcher = watch(world)
    until(lambda: world.sent)
    world.is_draining = True

    assert watcher.get(timeout=5) == RESTART


def test_who_may_look_no_more_is_told_no_more(world: World) -> None:
    watcher = watch(world)
    until(lambda: world.sent)
    world.mays["read"] = False

    assert watcher.get(timeout=5) == POLICY
