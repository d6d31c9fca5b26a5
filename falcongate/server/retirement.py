"""Workers that a reload has replaced: they take no more callers and keep those that they have.

gunicorn's master would end them within the grace period, and with them every WebSocket. Here they go on
until their last connection has ended, and the master looks after them all the while.
"""

from __future__ import annotations

import signal
from functools import partial
from time import monotonic
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable

    from gunicorn.arbiter import Arbiter
    from gunicorn.workers.base import Worker

RETIRE: Final = signal.SIGUSR2
"""Tells a worker of ours to retire. Others do not know it, and are told to stop."""


class RetiredWorkers:
    """The workers of one master that it no longer counts. Made once; it takes part in what it does."""

    def __init__(self, master: Arbiter) -> None:
        self._master = master
        self._workers: dict[int, Worker] = {}
        self._to_tell: set[int] = set()
        for name in ("reap_workers", "murder_workers"):
            setattr(master, name, partial(self._with_all, getattr(master, name)))
        master.stop = partial(self._stop, master.stop)  # type: ignore[method-assign]

    def replace_all(self, reload: Callable[[], None]) -> None:
        """Let `reload` start new workers; those that run retire once the new ones serve."""
        workers = self._master.WORKERS
        self._workers |= workers
        self._to_tell |= workers.keys()
        workers.clear()
        reload()

    def look_after(self) -> None:
        """Tell those whose successors serve by now that they are replaced. To be called every second."""
        if not self._to_tell or not all(map(_serves, self._master.WORKERS.values())):
            return
        told, self._to_tell = self._to_tell, set()
        for pid in told & self._workers.keys():
            can_retire = getattr(self._workers[pid], "can_retire", False)
            self._master.kill_worker(pid, RETIRE if can_retire else signal.SIGTERM)

    def forget_in_child(self) -> None:
        """A new worker has nothing to do with them."""
        for worker in self._workers.values():
            worker.tmp.close()

    def _with_all(self, act: Callable[[], None]) -> None:
        """For as long as this lasts the master takes them for its own."""
        workers = self._master.WORKERS
        workers.update(self._workers)
        try:
            act()
        finally:
            self._workers = {pid: worker for pid, worker in self._workers.items() if pid in workers}
            for pid in self._workers:
                del workers[pid]

    def _stop(self, stop: Callable[..., None], *arguments: object, **named: object) -> None:
        self._master.WORKERS.update(self._workers)
        self._workers.clear()
        stop(*arguments, **named)


def _serves(worker: Worker) -> bool:
    """Whether it has reported itself; before, its file has the time of day, which is far ahead."""
    return bool(worker.tmp.last_update() <= monotonic())
