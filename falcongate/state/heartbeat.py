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

    `name` is one for all workers of a host; `says` is asked before each beat, and `own` is what it said.
    `redis` is `connected`, `unreachable`, `not asked yet`, or, when only some servers of a cluster are away,
    `partly connected`; `hosts` are those that were alive at the last beat that came through. `tell` is told
    after each beat whether all is connected.
    """

    __slots__ = ("_name", "_says", "_state", "_tell", "hosts", "own", "redis")

    def __init__(
        self, state: SharedState, *, name: str, says: Callable[[], Saying], tell: Callable[[bool], None]
    ) -> None:
        self._state = state
        self._name = name
        self._says = says
        self._tell = tell
        self.own = says()
        self.redis = "not asked yet"
        self.hosts: Sequence[Host] = ()
        gevent.spawn(self._run)

    def parts(self) -> int:
        """How many workers there are if all hosts have as many as this one: what one may give out by itself.

        Who has heard of no host knows of this one.
        """
        return self.own.workers * max(len(self.hosts), 1)

    def _run(self) -> None:
        while True:
            self.own = self._says()
            try:
                self.hosts = self._state.beat(self._name, says=self.own.render(), ttl_s=_ALIVE_FOR_S)
                self.redis = "partly connected" if self._state.is_degraded else "connected"
            except StoreAway:
                self.redis = "unreachable"
            self._tell(self.redis == "connected")
            gevent.sleep(_BEAT_EVERY_S)
