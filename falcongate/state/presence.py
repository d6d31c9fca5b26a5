"""Whether a Redis server can be asked; looked for in the background, answered from memory."""

from __future__ import annotations

import logging
import random
from time import monotonic
from typing import TYPE_CHECKING, Final

import gevent

from falcongate.errors import StoreAway

if TYPE_CHECKING:
    from collections.abc import Callable

_log = logging.getLogger("falcongate")

_MAX_SILENCES: Final = 3
_FIRST_PROBE_S: Final = 0.1
_PROBE_EVERY_S: Final = 0.5


class Presence:
    """Whether one server can be asked: the store's own breaker.

    After a few silences in a row, or at once when the server says that it cannot, everybody is
    answered without asking until `probe` succeeds. `probe` waits and raises StoreAway; `on_change` is
    called when the server is away or back, and must not wait.
    """

    __slots__ = ("_looker", "_name", "_on_change", "_probe", "_silences", "is_away", "reason")

    def __init__(self, name: str, *, probe: Callable[[], None], on_change: Callable[[], None]) -> None:
        self.is_away = False
        self.reason = ""
        self._name = name
        self._probe = probe
        self._on_change = on_change
        self._silences = 0
        self._looker: gevent.Greenlet[..., None] | None = None

    def note_answer(self) -> None:
        """The server has answered."""
        self._silences = 0

    def note_silence(self, reason: str) -> None:
        """The server has not answered, or has ended a connection. A single one may be chance."""
        self._silences += 1
        if self._silences >= _MAX_SILENCES:
            self.go_away(reason)

    def go_away(self, reason: str) -> None:
        """Answer everybody at once from now on, and look in the background until the server is back."""
        if self.is_away:
            return
        self.is_away = True
        self.reason = reason
        self._looker = gevent.spawn(self._look)
        _log.warning("Redis at %s is away, going on without: %s", self._name, reason)
        self._on_change()

    def end(self) -> None:
        """Nobody will ask any more."""
        self.is_away = True
        self.reason = "the gateway is ending"
        self._looker = None

    def _look(self) -> None:
        """Ask for a sign of life until there is one."""
        pause_s = _FIRST_PROBE_S
        since = monotonic()
        while self.is_away:
            gevent.sleep(pause_s * random.uniform(0.8, 1.2))  # noqa: S311  # all workers would ask at once
            if self._looker is not gevent.getcurrent():
                return
            try:
                self._probe()
                self.is_away = False
            except StoreAway as error:
                self.reason = str(error)
            pause_s = min(pause_s * 2, _PROBE_EVERY_S)
        self._silences = 0
        _log.warning("Redis at %s is back after %.1f s", self._name, monotonic() - since)
        self._on_change()
