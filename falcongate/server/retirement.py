"""Workers that a reload has replaced: they take no more callers and keep those that they have.

gunicorn's master would end them within the grace period, and with them every WebSocket. Here they go on
until their last connection has ended, and the master looks after them all the while.
"""

from __future__ import annotations

import signal
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Final

from gunicorn.sock import UnixSocket

if TYPE_CHECKING:
    from collections.abc import Callable

    from gunicorn.arbiter import Arbiter
    from gunicorn.workers.base import Worker

OF_THE_MASTER: Final = (signal.SIGHUP, signal.SIGTTIN, signal.SIGTTOU)
"""What only the master is meant by, whoever gets it."""
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
        self.is_stopping = False
        for name in ("reap_workers", "murder_workers"):
            setattr(master, name, partial(self._with_all, getattr(master, name)))
        master.stop = partial(self._stop, master.stop)  # type: ignore[method-assign]

    def retire(self, pid: int) -> None:
        """Tell this worker of the master's that others take the callers."""
        worker = self._workers[pid] = self._master.WORKERS.pop(pid)
        can_retire = getattr(worker, "can_retire", False)
        self._master.kill_worker(pid, RETIRE if can_retire else signal.SIGTERM)

    def all(self) -> dict[int, Worker]:
        """Those that have not ended, by process id."""
        return dict(self._workers)

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
        self.is_stopping = True
        self._master.WORKERS.update(self._workers)
        self._workers.clear()
        files = self._part_with_files()
        if not self._may_be_told_again:
            # gunicorn goes on waiting at a second SIGTERM; at SIGQUIT it does not.
            signal.signal(signal.SIGTERM, lambda *_: self._master.signal(signal.SIGQUIT, None))
        stop(*arguments, **named)
        for path, inode in files:
            # A gateway that has started meanwhile has made it anew.
            with suppress(OSError):
                if path.stat().st_ino == inode:
                    path.unlink()

    def _part_with_files(self) -> list[tuple[Path, int]]:
        """Close the sockets that are files, which gunicorn would remove while workers still listen there."""
        master = self._master
        is_alone = master.reexec_pid == master.master_pid == 0 and not master.systemd
        files = []
        for listener in [each for each in master.LISTENERS if isinstance(each, UnixSocket)]:
            path = Path(listener.sock.getsockname())
            with suppress(OSError):
                if is_alone:
                    files.append((path, path.stat().st_ino))
            master.LISTENERS.remove(listener)
            listener.sock.close()
        return files
