"""The line to the shared state: what a worker asks Redis goes through here, and nothing else does.

Which server is asked, and when all of them are well, is decided here; round trips, the budget and
failures are `redis_lane.py`, connections `redis_client.py`, pushed news `subscriber.py`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import gevent

from falcongate.state.keys import WRITE_TEST
from falcongate.state.redis_call import Call, Script
from falcongate.state.redis_client import ClusterServers, one_server
from falcongate.state.redis_cluster import ClusterLanes
from falcongate.state.redis_lane import Lane
from falcongate.state.subscriber import Subscriber

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from falcongate.config.redis import RedisSettings
    from falcongate.state.redis_client import Node


class RedisLine:
    """The shared Redis of one worker. Made in the worker, after gevent's patching; connects by itself.

    Each question is atomic. Questions that wait at the same time share round trips: whatever is asked
    while one is under way, or in the same turn of the event loop, goes out together in the next. Answers
    are texts, integers, None and lists of them. `on_round_trip` is called with the seconds that each round
    trip has taken, and must not wait.
    """

    def __init__(
        self, settings: RedisSettings, *, on_round_trip: Callable[[float], None] = lambda *_: None
    ) -> None:
        self._listeners: list[Callable[[], None]] = []
        self._subscribers: list[Subscriber] = []
        budget_s = settings.budget_ms / 1000
        self._lanes: Lane | ClusterLanes
        self._any_node: Callable[[], Node]
        if settings.cluster:
            servers = ClusterServers(settings)
            self._any_node = servers.any_node
            self._lanes = ClusterLanes(
                servers,
                budget_s=budget_s,
                probe_key=WRITE_TEST,
                on_change=self._tell_listeners,
                on_round_trip=on_round_trip,
            )
        else:
            node = one_server(settings)
            self._any_node = lambda: node
            self._lanes = Lane(
                node,
                budget_s=budget_s,
                probe_key=WRITE_TEST,
                on_change=self._tell_listeners,
                on_round_trip=on_round_trip,
            )

    @property
    def is_degraded(self) -> bool:
        """Whether a server is away, so that some or all questions raise StoreAway at once."""
        return self._lanes.is_degraded

    @property
    def dropped(self) -> int:
        """How many things that were told have not reached a server."""
        return self._lanes.dropped

    def on_change(self, listener: Callable[[], None]) -> None:
        """Call `listener`, in a greenlet of its own, whenever `is_degraded` may have changed."""
        self._listeners.append(listener)

    def call(self, script: Script, keys: Sequence[str], arguments: Sequence[str | int]) -> Any:
        """Ask. Waits at most the budget; raises StoreAway.

        After a StoreAway it may have happened or not. In a cluster all keys must be of one slot.
        """
        return self._lanes.ask(Call(script, keys, arguments))

    def tell(self, script: Script, keys: Sequence[str], arguments: Sequence[str | int]) -> None:
        """The same, but nobody waits. What cannot be delivered soon is dropped and counted."""
        self._lanes.tell(Call(script, keys, arguments))

    def command(self, *parts: str | int) -> Any:
        """A single command, its key in the second place. Waits at most the budget; raises StoreAway."""
        return self._lanes.ask(Call(None, [str(part) for part in parts[1:2]], parts))

    def subscribe(
        self, channel: str, on_message: Callable[[str], None], *, on_subscribed: Callable[[], None]
    ) -> None:
        """Pass on what is published on a channel, from now to the end. Does not wait.

        `on_subscribed` is called at the beginning and after every gap: what was published before is
        lost, so the state must be read. Both run in the greenlet that listens and may wait.
        """
        self._subscribers.append(Subscriber(self._any_node, channel, on_message, on_subscribed=on_subscribed))

    def close(self) -> None:
        """End all connections; who waits gets StoreAway. Harmless if repeated."""
        for subscriber in self._subscribers:
            subscriber.close()
        self._lanes.close()

    def _tell_listeners(self) -> None:
        for listener in self._listeners:
            gevent.spawn(listener)
