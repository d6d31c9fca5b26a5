"""How many requests may be in flight: each takes a place, and gives it back when it is over.

Places are leases: those of a worker that dies are free when their time ends.
"""

from __future__ import annotations

import os
from collections import Counter
from contextlib import suppress
from itertools import count
from typing import TYPE_CHECKING, Final, NamedTuple

import gevent

from falcongate.admission.policies import PolicyScope, Selection
from falcongate.errors import StoreAway
from falcongate.refusals import LimitsUnknown, ServiceFull, TooManyAtOnce

if TYPE_CHECKING:
    from collections.abc import Callable

    from falcongate.config.policies import ConcurrencySettings
    from falcongate.config.settings import GatewaySettings
    from falcongate.exchange import Exchange
    from falcongate.state.store import Leased, SharedState

_NOBODY_S_KEYS: Final = frozenset(("service", "route", "global"))
_RETRY_AFTER_S: Final = 1
_RENEWALS: Final = 3


class Room(NamedTuple):
    """One named concurrency limit. `is_of_callers` if it counts them and not what they ask for."""

    name: str
    scope: PolicyScope
    limit: int
    lease_s: float
    is_of_callers: bool


class _Place(NamedTuple):
    """Held by one request. `is_shared` if the shared state knows of it."""

    key: str
    owner: str
    is_shared: bool


class Held:
    """The places of one request."""

    __slots__ = ("_places", "_rooms")

    def __init__(self, rooms: Rooms) -> None:
        self._rooms = rooms
        self._places: list[_Place] = []

    def add(self, place: _Place) -> None:
        """One more."""
        self._places.append(place)

    def end(self) -> None:
        """Give them back. Harmless if repeated; does not wait."""
        places, self._places = self._places, []
        for place in places:
            self._rooms.give_back(place)


class Rooms:
    """The concurrency limits of one configuration in one worker.

    `host` is how this host is called in what is shared; `parts` tells among how many workers a limit is
    divided while that is away.
    """

    def __init__(
        self, settings: GatewaySettings, state: SharedState, *, host: str, parts: Callable[[], int]
    ) -> None:
        self._rooms = rooms_of(settings)
        self._state = state
        self._parts = parts
        self._numbers = count(1)
        self._name = f"{host}:{os.getpid()}"
        self._owners: dict[str, set[str]] = {}
        self._lease_s: dict[str, float] = {}
        self._here: Counter[str] = Counter()
        if settings.concurrency:
            shortest_s = min(room.lease_s for room in settings.concurrency.values())
            gevent.spawn(self._renew, shortest_s / _RENEWALS)

    def enter(self, exchange: Exchange) -> None:
        """Take a place in every room of the request, or raise TooManyAtOnce or LimitsUnknown.

        Waits for the shared state at most its budget for each that it answers, and not at all without any.
        """
        rooms = self._rooms.for_request(exchange)
        if not rooms:
            return
        exchange.places = held = Held(self)
        for room in rooms:
            place = self._take(room, f"{room.name}:{room.scope.caller_of(exchange)}", exchange)
            if place is not None:
                held.add(place)
            elif room.scope.is_shadow:
                exchange.would_refuse += (room.name,)
            else:
                held.end()
                exchange.refused_by = (room.name,)
                kind = TooManyAtOnce if room.is_of_callers else ServiceFull
                raise kind(room.name, retry_after_s=_RETRY_AFTER_S)

    def give_back(self, place: _Place) -> None:
        """The request is over. Does not wait."""
        self._here[place.key] -= 1
        if not self._here[place.key]:
            del self._here[place.key]
        if place.is_shared:
            owners = self._owners[place.key]
            owners.discard(place.owner)
            if not owners:
                del self._owners[place.key]
                del self._lease_s[place.key]
            self._release(place.key, place.owner)

    def _take(self, room: Room, key: str, exchange: Exchange) -> _Place | None:
        owner = f"{self._name}:{next(self._numbers)}"
        leased = self._lease(room, key, owner, exchange)
        if leased is None:
            if not self._has_part(room, key):
                return None
        elif leased.granted:
            self._owners.setdefault(key, set()).add(owner)
            self._lease_s[key] = room.lease_s
        else:
            return None
        self._here[key] += 1
        return _Place(key, owner, is_shared=leased is not None)

    def _lease(self, room: Room, key: str, owner: str, exchange: Exchange) -> Leased | None:
        """What the shared state says; None if it is away."""
        if exchange.waited_in_vain:
            return None
        try:
            return self._state.lease(key, limit=room.limit, owner=owner, ttl_s=room.lease_s)
        except StoreAway:
            exchange.waited_in_vain = True
            # It may have been taken and the answer come too late.
            self._release(key, owner)
            return None

    def _release(self, key: str, owner: str) -> None:
        # What cannot be given back ends by itself.
        with suppress(StoreAway):
            self._state.release(key, owner=owner)

    def _has_part(self, room: Room, key: str) -> bool:
        """Whether there is room by this worker's own count."""
        if room.scope.without_store == "closed":
            raise LimitsUnknown(retry_after_s=_RETRY_AFTER_S)
        if room.scope.without_store == "open":
            return True
        return self._here[key] < max(room.limit // max(self._parts(), 1), 1)

    def _renew(self, pause_s: float) -> None:
        while True:
            gevent.sleep(pause_s)
            for key, owners in list(self._owners.items()):
                # What ends because nobody could be told is taken by others; the request goes on.
                with suppress(StoreAway):
                    self._state.renew(key, owners=tuple(owners), ttl_s=self._lease_s[key])


def rooms_of(settings: GatewaySettings) -> Selection[Room, tuple[Room, ...]]:
    """The concurrency limits of a configuration."""
    return Selection((_room(name, room) for name, room in settings.concurrency.items()), tuple)


def _room(name: str, settings: ConcurrencySettings) -> Room:
    is_of_callers = not _NOBODY_S_KEYS.issuperset(settings.key)
    return Room(name, PolicyScope(settings), settings.limit, settings.lease_s, is_of_callers)
