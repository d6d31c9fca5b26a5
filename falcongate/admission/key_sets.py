"""The keys that an issuer publishes at one address, as one worker knows them.

They are fetched by one worker for all: what was fetched lies in the shared state, and who fetches holds a
place there. While neither answers, what is known goes on to hold.
"""

from __future__ import annotations

import json
import logging
import math
import random
from contextlib import suppress
from functools import partial
from time import monotonic
from typing import TYPE_CHECKING, Final, NamedTuple

import gevent
from gevent.event import Event

from falcongate.admission.recent import Recent
from falcongate.admission.token_keys import fitting, keys_of
from falcongate.errors import StoreAway
from falcongate.outages import KeysUnavailable
from falcongate.state.tokens import KEYS_LIFE_S, UNPROVEN_KEYS_LIFE_S

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from falcongate.admission.token_keys import Key
    from falcongate.state.store import SharedState

    Fetch = Callable[[str], Mapping[str, object] | None]

_log = logging.getLogger("falcongate")

_FETCH_S: Final = 8.0
_PATIENCE_S: Final = 6.0
_OTHERS_S: Final = 2.5
_TELLING_S: Final = 0.002
_POLL_S: Final = 0.05
_NEWS_S: Final = 1.0
_RETRY_S: Final = 5.0
_NEVER: Final = float("-inf")
_ANY_AGE: Final = float("inf")
_MOST_ABSENT: Final = 1_000


class KeysAway(Exception):
    """The keys could not be fetched. The text says why; it may name addresses and is for the log."""


class Pace(NamedTuple):
    """How often keys are fetched: by themselves, and because a token names one that is not known."""

    refresh_s: float
    cooldown_s: float

    @property
    def pause_s(self) -> float:
        """The least time between two looks for keys that are not known, whichever they are."""
        return self.cooldown_s / 10


class FixedKeys:
    """Keys that a file or a secret holds. What they have in common with a `KeySet` stands there."""

    def __init__(self, keys: Sequence[Key]) -> None:
        self._keys = tuple(keys)
        self.generation = 0.0
        self.used_at = 0.0

    def candidates(self, algorithm: str, key_id: str | None) -> Sequence[Key]:
        """All that fit: such keys have no name."""
        del key_id
        return fitting(self._keys, algorithm, None)

    def look(self, key_id: str | None) -> bool:
        """There are never others."""
        del key_id
        return False


class KeySet:
    """The keys at one address. `fetch` asks there; it waits, and raises KeysAway or answers None for none.

    `generation` changes whenever the keys do: what was proven under another is void. `used_at` is when
    they were last of use, monotonic seconds. Until they `are_proven`, whose they are may
    be made up.
    """

    def __init__(
        self, url: str, fetch: Fetch, store: SharedState, *, pace: Pace, owner: str, are_proven: bool
    ) -> None:
        self.generation = 0.0
        self.used_at = monotonic()
        self.is_known = False
        self.url = url
        self._are_proven = are_proven
        self._fetch = fetch
        self._store = store
        self._pace = pace
        self._owner = owner
        self._keys: tuple[Key, ...] = ()
        self._text = ""
        self._fetched_at = self._due_at = self._look_at = _NEVER
        self._has_failed = False
        self._flight: Event | None = None
        self._absent: Recent[str, float] = Recent(_MOST_ABSENT)

    def load(self) -> bool:
        """Have keys, whoever has fetched them; False if the issuer says that there are none.

        Raises KeysUnavailable. Waits, unless keys are known.
        """
        if self.is_known:
            return True
        is_due = monotonic() >= self._due_at
        if self._has_failed and self._flight is None and is_due:
            # Whoever asks meanwhile is not made to wait for an issuer that does not answer.
            gevent.spawn(self._fly, self._begin)
        elif not self._has_failed and (is_due or self._flight is not None):
            self._fly(self._begin)
        return self._answer()

    def candidates(self, algorithm: str, key_id: str | None) -> Sequence[Key]:
        """Keys that a token may have been signed with, of those that are known. Does not wait."""
        return fitting(self._keys, algorithm, key_id)

    def look(self, key_id: str | None) -> bool:
        """Look for a key that is not known; whether any keys have changed.

        Raises KeysUnavailable if the issuer cannot be asked. Waits; does not look again and again.
        """
        before, name = self.generation, key_id or ""
        # Whoever asks meanwhile is not made to wait: it is tried again in the background.
        if self._has_failed:
            raise KeysUnavailable
        if self._flight is not None:
            self._flight.wait(_PATIENCE_S)
            if self.generation != before:
                return True
            if self._has_failed:
                # Whoever has waited for one that does not answer does not ask it once more.
                raise KeysUnavailable
        now = monotonic()
        if now < (self._absent.get(name) or _NEVER):
            return False
        if now >= self._look_at:
            self._look_at = now + self._pace.pause_s
            self._fly(partial(self._look, name))
            if self.generation != before:
                return True
            if not self._has_failed:
                self._absent[name] = monotonic() + self._pace.cooldown_s
        if self._has_failed:
            raise KeysUnavailable
        return False

    def has_shared(self) -> bool:
        """Whether others have fetched them; then they are known here too. Waits for the shared state only."""
        return self._take_shared(_ANY_AGE)

    def note_proven(self) -> None:
        """A token has been proven with them, so that they are worth being remembered for long."""
        if self._are_proven:
            return
        self._are_proven = True
        with suppress(StoreAway):
            age_s = max(0.0, monotonic() - self._fetched_at)
            self._store.note_keys(self.url, self._text, for_s=KEYS_LIFE_S, age_s=age_s)

    def refresh_if_due(self) -> None:
        """Fetch anew in the background, if it is time to and they are of use."""
        if monotonic() >= self._due_at and self._flight is None and self.used_at > self._fetched_at:
            gevent.spawn(self._fly, self._refresh)

    def retire(self) -> None:
        """Nobody keeps them up to date any longer: what they have proven is void."""
        self.generation = math.nan  # which equals nothing, not even itself

    def _answer(self) -> bool:
        if not self.is_known and (self._has_failed or self._flight is not None):
            raise KeysUnavailable
        return self.is_known

    def _fly(self, work: Callable[[], None]) -> None:
        """Do it, or wait until what is being done is done."""
        if self._flight is not None:
            self._flight.wait(_PATIENCE_S)
            return
        self._flight = flight = Event()
        try:
            work()
        finally:
            self._flight = None
            flight.set()

    def _begin(self) -> None:
        if not self._take_shared(_ANY_AGE):
            self._obtain(max_age_s=self._pace.refresh_s)

    def _refresh(self) -> None:
        # Another worker, a little earlier, was meant to have done it for all.
        self._obtain(max_age_s=self._pace.refresh_s * 0.7)

    def _look(self, name: str) -> None:
        """Take what others have fetched, else fetch once for all hosts."""
        before = self.generation
        if self._take_shared(_ANY_AGE) and self.generation != before:
            return
        # The one keeps this key from being looked for again, the other any number of made-up ones.
        is_first = self._lease(f"absent:{name}", self._pace.cooldown_s)
        if is_first and self._lease("look", self._pace.pause_s):
            self._obtain(max_age_s=0.0)
            return
        ends = monotonic() + _NEWS_S
        while monotonic() < ends and self.generation == before:
            gevent.sleep(_POLL_S)
            self._take_shared(_ANY_AGE)

    def _obtain(self, *, max_age_s: float) -> None:
        """Take the shared keys if they are that young; else fetch them, or wait for who does."""
        asked = monotonic()
        # What was fetched since this was asked is young enough in any case; ages are told in milliseconds.
        while not self._take_shared(max(max_age_s, monotonic() - asked - _TELLING_S)):
            if self._lease("fetch", _FETCH_S):
                self._fetch_now()
                return
            if monotonic() > asked + _OTHERS_S:
                self._fail("another worker has been fetching them for too long")
                return
            gevent.sleep(_POLL_S)

    def _fetch_now(self) -> None:
        try:
            document = self._fetch(self.url)
            if document is None:
                # It has answered, so this is no outage; what it said before it still means.
                self._has_failed = False
                self._due_at = monotonic() + self._pace.cooldown_s
                return
            text = json.dumps(document, sort_keys=True, separators=(",", ":"))
            if self._take(text, 0.0):
                with suppress(StoreAway):
                    life_s = KEYS_LIFE_S if self._are_proven else UNPROVEN_KEYS_LIFE_S
                    self._store.note_keys(self.url, text, for_s=life_s)
        except KeysAway as away:
            self._fail(str(away))
        finally:
            with suppress(StoreAway):
                self._store.release(self._place("fetch"), owner=self._owner)

    def _take(self, text: str, age_s: float) -> bool:
        """Know these keys from now on; False if they are none."""
        if text != self._text:
            try:
                keys = keys_of(json.loads(text))
            except (ValueError, AttributeError) as error:
                self._fail(str(error))
                return False
            self._text, self._keys = text, keys
            self.generation += 1.0
            _log.info("The keys at %s have changed: there are %d", self.url, len(keys))
        self.is_known, self._has_failed = True, False
        self._fetched_at = monotonic() - age_s
        self._due_at = self._fetched_at + self._pace.refresh_s * random.uniform(0.8, 1)  # noqa: S311  # all would come at once
        return True

    def _fail(self, why: str) -> None:
        _log.warning("The keys at %s cannot be had: %s", self.url, why)
        self._has_failed = True
        self._due_at = monotonic() + min(_RETRY_S, self._pace.refresh_s) * random.uniform(0.8, 1)  # noqa: S311

    def _take_shared(self, max_age_s: float) -> bool:
        """Take the keys that are shared, if they are younger than that and than our own."""
        try:
            shared = self._store.find_keys(self.url)
        except StoreAway:
            return False
        if shared is None or shared.age_s >= max_age_s or monotonic() - shared.age_s <= self._fetched_at:
            return False
        return self._take(shared.text, shared.age_s)

    def _lease(self, what: str, ttl_s: float) -> bool:
        """Whether it is this worker's turn; without the shared state it always is."""
        owner = self._owner if what == "fetch" else f"{self._owner}:{monotonic()}"
        try:
            return self._store.lease(self._place(what), limit=1, owner=owner, ttl_s=ttl_s).granted
        except StoreAway:
            return True

    def _place(self, what: str) -> str:
        return f"keys-{what}:{self.url}"
