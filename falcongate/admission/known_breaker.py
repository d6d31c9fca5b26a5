"""One circuit breaker as far as one worker knows it: its state, since when, and what follows for requests."""

from __future__ import annotations

import logging
import math
import random
from dataclasses import replace
from time import monotonic
from typing import TYPE_CHECKING, Final

from falcongate.refusals import CircuitOpen, Refusal, ServiceDisabled
from falcongate.state.store import Breaker

if TYPE_CHECKING:
    from collections.abc import Callable

_log = logging.getLogger("falcongate")

_RETRY_SOON_S: Final = 1
_RETRY_SOME_DAY_S: Final = 60
FIRST_SHARE: Final = 0.1


class KnownBreaker:
    """What is known of the breaker `name`; `tell` is called with each transition, and whether it is our own.

    `is_clear` says that every request may pass without a question. `breaker` is what is known of it, the
    worker's own while `is_alone`. `mark` changes with each transition. One that comes back gets its traffic
    over `ramp_s`.
    """

    __slots__ = ("_known_at", "_ramp_s", "_tell", "_until", "breaker", "is_alone", "is_clear", "mark", "name")

    def __init__(self, name: str, *, ramp_s: float, tell: Callable[[Breaker, bool], None]) -> None:
        self.name = name
        self._ramp_s = ramp_s
        self._tell = tell
        self._known_at = 0.0
        self._until = math.inf
        self.breaker = Breaker(name)
        self.is_alone = False
        self.is_clear = True
        self.mark = 0

    def learn(self, news: Breaker) -> None:
        """Take what is told of the breaker, unless something later is known."""
        known = self.breaker
        if news.generation == known.generation:
            if news.now_s >= known.now_s:
                self.breaker, self._known_at = news, monotonic()
        elif news.generation > known.generation or news.now_s >= known.now_s:
            # A younger one that is told later: the store has lost its memory.
            self._begin(news)

    def _begin(self, news: Breaker) -> None:
        """A transition has happened."""
        self._known_at = monotonic()
        self.breaker = news
        self.mark += 1
        self._tell(news, self.is_alone)
        self._until = self._known_at + news.until_s - news.now_s if news.until_s else math.inf
        is_back = news.state == "CLOSED" and news.before == "HALF_OPEN" and self._ramp_s > 0
        self.is_clear = news.state in ("CLOSED", "FORCED_CLOSED") and not is_back and self._until == math.inf
        if news.by:
            _log.info(
                "Breaker %s: %s -> %s by %s: %s%s",
                *(self.name, news.before, news.state, news.by, news.why),
                " (this worker only)" if self.is_alone else "",
            )

    def _aged(self) -> Breaker:
        """What is known of the breaker, at the time that it is now where it was told."""
        return replace(self.breaker, now_s=self.breaker.now_s + monotonic() - self._known_at)

    def _ramp_up(self, now: float) -> None:
        """Let a growing share pass of what comes for a service that came back. Raises CircuitOpen."""
        back_s = now - self._known_at + self.breaker.now_s - self.breaker.since_s
        share = FIRST_SHARE + (1 - FIRST_SHARE) * back_s / self._ramp_s
        if share >= 1:
            self.is_clear = True
        elif random.random() >= share:  # noqa: S311  # no secret
            raise CircuitOpen(
                "The service works again and gets its traffic back bit by bit.", retry_after_s=_RETRY_SOON_S
            )

    def _refusal(self, now: float) -> Refusal:
        state = self.breaker.state
        left_s = self._until - now
        if state == "HALF_OPEN" or left_s <= 0:
            return CircuitOpen(retry_after_s=_RETRY_SOON_S)
        retry_after_s = _RETRY_SOME_DAY_S if left_s == math.inf else math.ceil(left_s)
        kind = ServiceDisabled if state == "DISABLED" else CircuitOpen
        return kind(retry_after_s=retry_after_s)
