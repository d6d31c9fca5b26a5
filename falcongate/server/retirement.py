"""Workers that a reload has replaced: they take no more callers and keep those that they have.

gunicorn's master would end them within the grace period, and with them every WebSocket. Here they go on
until their last connection has ended, and the master looks after them all the while.
"""

from __future__ import annotations

import signal
from functools import partial
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable

    from gunicorn.arbiter import Arbiter
    from gunicorn.workers.base import Worker

RETIRE: Final = signal.SIGUSR2
"""Tells a worker of ours to retire. Others do not know it, and are told to stop."""


class RetiredWorkers:
    """The workers of one master that it no longer counts. Made once; it takes part in what it does.

    A second SIGTERM ends all at once, unless the platform `may_be_told_again` without meaning it.
    """

    def __init__(self, master: Arbiter, *, may_be_told_again: bool) -> None:
        self._master = master
        self._may_be_told_again = may_be_told_again
        self._workers: dict[int, Worker] = {}
        for name in ("reap_workers", "murder_workers"):
            setattr(master, name, partial(self._with_all, getattr(master, name)))
        master.stop = partial(self._stop, master.stop)  # type: ignore[method-assign]

    def retire(self, pid: int) -> None:
        """Tell this worker of the master's that others take the callers."""
        worker = self._workers[pid] = self._master.WORKERS.pop(pid)
        can_retire = getattr(worker, "can_retire", False)
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
        if not self._may_be_told_again:
            # gunicorn goes on waiting at a second SIGTERM; at SIGQUIT it does not.
            signal.signal(signal.SIGTERM, lambda *_: self._master.signal(signal.SIGQUIT, None))
        stop(*arguments, **named)
