"""Counts transitions of breakers: once for this host, however many of its workers hear of one."""

from __future__ import annotations

import fcntl
import json
import logging
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import gevent

from falcongate.config.load import copy_of_environment
from falcongate.telemetry.metric_files import COUNTED_TRANSITIONS, DIRECTORY_VARIABLE
from falcongate.telemetry.metrics import TRANSITIONS

if TYPE_CHECKING:
    from io import TextIOWrapper

_log = logging.getLogger("falcongate")

_TRY_AGAIN_AFTER_S: Final = 0.01
_TRIES: Final = 500


class Transition(NamedTuple):
    """One of the breaker `service`, whose `generation` is greater than that of the one before."""

    service: str
    before: str
    state: str
    reason: str
    generation: int


class TransitionTally:
    """Whoever of the workers comes first counts: the last generation that was counted stands in a file."""

    __slots__ = ("_directory",)

    def __init__(self) -> None:
        self._directory = copy_of_environment().get(DIRECTORY_VARIABLE)

    def note(self, transition: Transition, *, is_own: bool) -> None:
        """Count it, unless another worker has; one that `is_own` to this worker nobody else hears of.

        Does not wait.
        """
        if is_own or self._directory is None:
            _count(transition)
        else:
            gevent.spawn(self._count_first, Path(self._directory) / COUNTED_TRANSITIONS, transition)

    def _count_first(self, path: Path, transition: Transition) -> None:
        try:
            if _is_first(path, transition):
                _count(transition)
        except OSError as error:
            _log.error("a transition of breaker %s could not be counted: %s", transition.service, error)


def _count(transition: Transition) -> None:
    TRANSITIONS.labels(transition.service, transition.before, transition.state, transition.reason).inc()


def _is_first(path: Path, transition: Transition) -> bool:
    """Whether no worker has counted this one, nor a later one. Waits for those who look, never blocks."""
    with path.open("a+", encoding="utf-8") as file:
        if not _is_locked(file):
            return False
        file.seek(0)
        counted = _read(file.read())
        if counted.get(transition.service, -1) >= transition.generation:
            return False
        counted[transition.service] = transition.generation
        file.seek(0)
        file.truncate()
        file.write(json.dumps(counted))
        return True


def _is_locked(file: TextIOWrapper) -> bool:
    """A worker that was stopped in the middle must not stop the others."""
    for _ in range(_TRIES):
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            gevent.sleep(_TRY_AGAIN_AFTER_S)
        else:
            return True
    return False


def _read(text: str) -> dict[str, Any]:
    try:
        counted = json.loads(text or "{}")
    except ValueError:
        return {}  # a worker was killed while it wrote
    return counted if isinstance(counted, dict) else {}
