"""Tells the others that this host is alive, and remembers who else is."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final, NamedTuple

import gevent

from falcongate.errors import StoreAway

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from falcongate.state.store import SharedState

_BEAT_EVERY_S: Final = 1.0
_ALIVE_FOR_S: Final = 5.0
_SAYING: Final = re.compile(r"falcongate (\S+), ([0-9]{1,9}) workers?, configuration ([0-9a-f]+)")


class Saying(NamedTuple):
    """What a host says of itself: its release, how many workers it has, and how it is configured."""

    version: str
    workers: int
    config: str

    def render(self) -> str:
        """As a person reads it."""
        plural = "s" * (self.workers != 1)
        return f"falcongate {self.version}, {self.workers} worker{plural}, configuration {self.config}"


def parse_saying(text: str) -> Saying:
    """What a host has said; of one that speaks otherwise nothing is known."""
    found = _SAYING.fullmatch(text)
    return Saying(found[1], int(found[2]), found[3]) if found else Saying("", 0, "")


class Host(NamedTuple):
    """A host that is alive and what it says of itself."""

    name: str
    says: str


class Heartbeat:
    """Beats in the background; nobody waits for it.

    `name` is one for all workers of a host. `redis` is `connected`, `unreachable`, or `not asked yet`;
    `hosts` are those that were alive at the last beat that came through. `tell` is told after each beat
    whether it did.
    """

    __slots__ = ("_name", "_says", "_state", "_tell", "hosts", "redis")

    def __init__(self, state: SharedState, *, name: str, says: str, tell: Callable[[bool], None]) -> None:
        self._state = state
        self._name = name
        self._says = says
        self._tell = tell
        self.redis = "not asked yet"
        self.hosts: Sequence[Host] = ()
        gevent.spawn(self._run)

    def _run(self) -> None:
        while True:
            try:
                self.hosts = self._state.beat(self._name, says=self._says, ttl_s=_ALIVE_FOR_S)
                self.redis = "connected"
            except StoreAway:
                self.redis = "unreachable"
            self._tell(self.redis == "connected")
            gevent.sleep(_BEAT_EVERY_S)
