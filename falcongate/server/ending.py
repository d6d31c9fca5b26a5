"""When a worker ends, and by when it must be through with what. Times are of the monotonic clock.

Signals only change what is kept here; the worker looks at it and acts.
"""

from __future__ import annotations

from math import inf
from time import monotonic
from typing import Final

_CUT_S: Final = 1.0
_MOST_OF_GRACE: Final = 0.25


class Ending:
    """What one worker has been told of its end, and by when it must be through with what.

    `grace_s` is all the time from the word to stop to the end: gunicorn's master kills after it. `cut_s` of
    it are kept for those who must be cut off, so that each of their requests gets its line in the log.
    """

    __slots__ = ("_grace_s", "_is_retired", "_is_told", "_listens_until", "_over_at", "cut_s")

    def __init__(self, grace_s: float) -> None:
        self._grace_s = grace_s
        self.cut_s = min(_CUT_S, grace_s * _MOST_OF_GRACE)
        self._is_retired = self._is_told = False
        self._over_at = inf
        self._listens_until = 0.0

    def stop(self, listen_s: float) -> None:
        """Told to stop: go on listening for a moment, then finish. To be told again changes nothing.

        Platforms tell every process (a dyno, a unit's control group), and the master tells its workers: it
        is one word that comes twice. Whoever does not want to wait tells the master twice.
        """
        if self._is_told:
            return
        self.begin()
        self._is_told, self._is_retired = True, False
        self._listens_until = monotonic() + min(listen_s, self._grace_s / 2)

    def begin(self) -> None:
        """Let the time run, if it does not: from the word to stop, or from when it stops by itself."""
        if self._over_at == inf:
            self._over_at = monotonic() + self._grace_s - self.cut_s

    def stop_at_once(self) -> None:
        """Told to stop without waiting for anybody."""
        self._is_told, self._is_retired = True, False
        self._over_at = self._listens_until = 0.0

    def retire(self) -> None:
        """Told that others take the callers from now on."""
        self._is_retired = not self._is_told

    @property
    def is_retired(self) -> bool:
        """Whether it keeps the callers that it has, for as long as they stay."""
        return self._is_retired

    @property
    def is_listening(self) -> bool:
        """Whether it was told to stop and takes callers all the same."""
        return monotonic() < self._listens_until

    @property
    def is_over(self) -> bool:
        """Whether whoever is left must be cut off."""
        return monotonic() >= self._over_at

    @property
    def left_s(self) -> float:
        """Seconds until then."""
        return max(self._over_at - monotonic(), 0.0)
