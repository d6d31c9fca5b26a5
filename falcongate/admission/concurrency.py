"""How many requests may be in flight: each takes a place, and gives it back when it is over.

Places are leases: those of a worker that dies are free when their time ends.
"""

from __future__ import annotations

import os
from contextlib import suppress
from itertools import count
from typing import TYPE_CHECKING, Final, NamedTuple

import gevent

from falcongate.admission.policies import PolicyScope, Selection
from falcongate.errors import StoreAway
from falcongate.outages import LimitsUnknown
from falcongate.refusals import ServiceFull, TooManyAtOnce

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
    """Held by one request."""

    key: str
    owner: str


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
        self._room_of: dict[str, Room] = {}
        self._apart: set[_Place] = set()
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
        owners = self._owners[place.key]
        owners.discard(place.owner)
        if not owners:
            del self._owners[place.key]
            del self._room_of[place.key]
        self._apart.discard(place)
        self._release(place)

    def _take(self, room: Room, key: str, exchange: Exchange) -> _Place | None:
        if self._taken(key) >= room.limit and room.scope.without_store != "open":
            # The shared state need not know of all of these yet, and could say nothing else.
            _note(exchange, room, self._taken(key), fits=False, counted_by="own places")
            return None
        place = _Place(key, f"{self._name}:{next(self._numbers)}")
        leased = self._lease(room, place, exchange)
        if leased is None:
            if room.scope.without_store == "closed":
                _note(exchange, room, self._taken(key), fits=False, counted_by="this worker")
                exchange.refused_by = (room.name,)
                raise LimitsUnknown(retry_after_s=_RETRY_AFTER_S)
            fits = self._has_part(room, key)
            _note(exchange, room, self._taken(key) + fits, fits=fits, counted_by="this worker")
            if not fits:
                # It may have been taken and the answer come too late.
                self._release(place)
                return None
            self._apart.add(place)
        else:
            _note(exchange, room, leased.in_use, fits=leased.granted, counted_by="all hosts")
            if not leased.granted:
                return None
        self._owners.setdefault(key, set()).add(place.owner)
        self._room_of[key] = room
        return place

    def _lease(self, room: Room, place: _Place, exchange: Exchange) -> Leased | None:
        """What the shared state says; None if it is away."""
        if exchange.waited_in_vain:
            return None
        try:
            return self._state.lease(place.key, limit=room.limit, owner=place.owner, ttl_s=room.lease_s)
        except StoreAway:
            exchange.waited_in_vain = True
            return None

    def _release(self, place: _Place) -> None:
        # What cannot be given back ends by itself.
        with suppress(StoreAway):
            self._state.release(place.key, owner=place.owner)

    def _taken(self, key: str) -> int:
        """How many places this worker has."""
        return len(self._owners.get(key, ()))

    def _has_part(self, room: Room, key: str) -> bool:
        """Whether there is room by this worker's own count."""
        if room.scope.without_store == "open":
            return True
        return self._taken(key) < max(room.limit // max(self._parts(), 1), 1)

    def _renew(self, pause_s: float) -> None:
        while True:
            gevent.sleep(pause_s)
            # What ends because nobody could be told is taken by others; the request goes on.
            with suppress(StoreAway):
                self._tell_apart()
                for key, owners in list(self._owners.items()):
                    self._state.renew(key, owners=tuple(owners), ttl_s=self._room_of[key].lease_s)

    def _tell_apart(self) -> None:
        """Take with the others what was taken while the shared state was away. Waits; raises StoreAway."""
        for place in tuple(self._apart):
            room = self._room_of.get(place.key)
            if room is None or place not in self._apart:
                continue
            leased = self._state.lease(place.key, limit=room.limit, owner=place.owner, ttl_s=room.lease_s)
            if place not in self._apart:
                # Its request has ended while this was asked.
                self._release(place)
            elif leased.granted:
                self._apart.discard(place)


def _note(exchange: Exchange, room: Room, taken: int, *, fits: bool, counted_by: str) -> None:
    exchange.rooms = (*exchange.rooms, (room.name, room.limit, taken, fits, counted_by))


def rooms_of(settings: GatewaySettings) -> Selection[Room, tuple[Room, ...]]:
    """The concurrency limits of a configuration."""
    return Selection((_room(name, room) for name, room in settings.concurrency.items()), tuple)


def _room(name: str, settings: ConcurrencySettings) -> Room:
    is_of_callers = not _NOBODY_S_KEYS.issuperset(settings.key)
    return Room(name, PolicyScope(settings), settings.limit, settings.lease_s, is_of_callers)
