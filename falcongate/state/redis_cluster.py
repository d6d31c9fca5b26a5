"""A lane for each master of a Redis Cluster, and the choice among them by the slot of the keys."""

from __future__ import annotations

import logging
from itertools import count
from typing import TYPE_CHECKING, Any, Final

import gevent
from gevent.event import Event

from falcongate.errors import StoreAway
from falcongate.state.redis_client import slot_of
from falcongate.state.redis_lane import Lane

if TYPE_CHECKING:
    from collections.abc import Callable

    from falcongate.state.redis_call import Call
    from falcongate.state.redis_client import ClusterServers

_log = logging.getLogger("falcongate")

_LOAD_AGAIN_S: Final = 0.5


class ClusterLanes:
    """What `Lane` is for one server, for all masters of a cluster.

    The map of slots is read anew, in the background, when a server redirects and while one is away.
    """

    def __init__(
        self,
        servers: ClusterServers,
        *,
        budget_s: float,
        probe_key: str,
        on_change: Callable[[], None],
        on_round_trip: Callable[[float], None] = lambda *_: None,
    ) -> None:
        self._servers = servers
        self._budget_s = budget_s
        self._probe_key = probe_key
        self._on_change, self._on_round_trip = on_change, on_round_trip
        self._lanes: dict[str, Lane] = {}
        self._dropped = 0
        self._is_map_lost = False
        self._is_loading = False
        self._is_closed = False
        self._has_looked = Event()
        self._load_soon()

    @property
    def is_degraded(self) -> bool:
        """Whether a master is away, or the cluster cannot be found."""
        return self._is_map_lost or any(lane.is_degraded for lane in self._lanes.values())

    @property
    def dropped(self) -> int:
        """How many things that were told have not reached a server, those of former masters included."""
        return self._dropped + sum(lane.dropped for lane in self._lanes.values())

    def ask(self, call: Call) -> Any:
        """The answer to a call. Waits at most the budget; raises StoreAway.

        The first calls wait as long again for the map.
        """
        self._has_looked.wait(self._budget_s)
        return self._lane_for(call).ask(call)

    def tell(self, call: Call) -> None:
        """Send a call whose answer nobody waits for; counted in `dropped` if that is not possible."""
        try:
            self._lane_for(call).tell(call)
        except StoreAway:
            self._dropped += 1

    def close(self) -> None:
        """End all connections; who waits gets StoreAway. Harmless if repeated."""
        self._is_closed = True
        for lane in self._lanes.values():
            lane.close()

    def _lane_for(self, call: Call) -> Lane:
        call.slot = slot_of(call.keys[0]) if call.keys else 0
        lane = self._lanes.get(self._servers.name_of(call.slot))
        if lane is None:
            self._load_soon()
            raise StoreAway("no server of the cluster is known to hold this key")
        return lane

    def _redirect(self, call: Call, kind: str, address: str) -> bool:
        """Send a call where a server has pointed to."""
        self._load_soon()
        lane = self._lanes.get(address)
        if lane is None:
            return False
        call.is_redirected = kind == "ASK"
        lane.take_over(call)
        return True

    def _load_soon(self) -> None:
        if not self._is_loading and not self._is_closed:
            self._is_loading = True
            gevent.spawn(self._load)

    def _load(self) -> None:
        """Read the map until all is well."""
        while not self._is_closed:
            try:
                self._servers.load()
                self._set_lost(is_lost=False, reason="")
                self._follow_map()
            except StoreAway as error:
                self._set_lost(is_lost=True, reason=str(error))
            self._has_looked.set()
            if not self.is_degraded:
                break
            gevent.sleep(_LOAD_AGAIN_S)
        self._is_loading = False

    def _set_lost(self, *, is_lost: bool, reason: str) -> None:
        if is_lost != self._is_map_lost:
            self._is_map_lost = is_lost
            _log.warning(
                "The Redis Cluster %s", f"cannot be found: {reason}" if is_lost else "is found again"
            )
            self._on_change()

    def _follow_map(self) -> None:
        """Open lanes to new masters and close those to former ones."""
        for name in self._lanes.keys() - self._servers.nodes.keys():
            lane = self._lanes.pop(name)
            lane.close()
            self._dropped += lane.dropped
            self._on_change()
        for name in self._servers.nodes.keys() - self._lanes.keys():
            self._lanes[name] = Lane(
                self._servers.nodes[name],
                budget_s=self._budget_s,
                probe_key=self._probe_key_of(name),
                redirect=self._redirect,
                on_change=self._note_change,
                on_round_trip=self._on_round_trip,
            )

    def _probe_key_of(self, name: str) -> str:
        """A key in one of the slots that a master holds."""
        keys = (f"{self._probe_key}:{{{number}}}" for number in count())
        return next(key for key in keys if self._servers.name_of(slot_of(key)) == name)

    def _note_change(self) -> None:
        if self.is_degraded:
            self._load_soon()
        self._on_change()
