"""A master's workers brought to another configuration, one by one, while callers are served.

gunicorn's own reload starts all new workers at once, and ends everything if one of them cannot start. Here a
new one must serve before an old one retires; if it cannot, those that run go on as they were.
"""

from __future__ import annotations

import logging
import signal
from contextlib import contextmanager
from functools import partial
from time import monotonic
from typing import TYPE_CHECKING, Final, NamedTuple

from gunicorn.errors import HaltServer

from falcongate.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from gunicorn.arbiter import Arbiter
    from gunicorn.config import Config
    from gunicorn.workers.base import Worker

    from falcongate.config.settings import GatewaySettings
    from falcongate.server.retirement import RetiredWorkers

# gunicorn's own, which an operator's settings of gunicorn lead where they want it.
_log: Final = logging.getLogger("gunicorn.error")

_LOOK_EVERY_S: Final = 0.1
_BOOT_S: Final = 60.0


class Run(NamedTuple):
    """What workers are started with: our settings, and gunicorn's."""

    settings: GatewaySettings
    cfg: Config


class Progress(NamedTuple):
    """How far a rollout is: so many workers of so many run these settings.

    `failure` says why they are those that ran before, and is empty if they are not.
    """

    settings: GatewaySettings
    new: int
    wanted: int
    is_over: bool
    failure: str


class Rollout:
    """The workers of one master. Made once; it takes part in what the master does.

    `provide` is called with the settings that are to run from now on, before workers are started with them;
    `tell` whenever a rollout has come further.
    """

    def __init__(
        self,
        master: Arbiter,
        retired: RetiredWorkers,
        settings: GatewaySettings,
        *,
        provide: Callable[[GatewaySettings], None],
        tell: Callable[[Progress], None],
    ) -> None:
        self._master = master
        self._retired = retired
        self._provide = provide
        self._tell = tell
        self._goal = self._proven = Run(settings, master.cfg)
        self._runs: dict[int, Run] = {}
        self._born_at: dict[int, float] = {}
        self._failure = ""
        self._is_under_way = False
        self._reload = master.handle_hup
        for name, wrapper in (
            ("spawn_worker", self._spawn),
            ("reap_workers", self._reap),
            ("manage_workers", self._manage),
            ("wait_for_signals", self._wait_for_signals),
        ):
            setattr(master, name, partial(wrapper, getattr(master, name)))

    def begin(self, settings: GatewaySettings) -> None:
        """Bring all workers to these settings, which are valid and which gunicorn will find, too."""
        self._is_under_way = False
        with self._without_workers():
            # It reads its own settings anew, starts none, and finds none to kill.
            self._reload()
        self._set_out(Run(settings, self._master.cfg))

    def _set_out(self, goal: Run, failure: str = "") -> None:
        self._goal, self._failure = goal, failure
        self._is_under_way = True
        self._say(is_over=False)

    @contextmanager
    def _without_workers(self) -> Iterator[None]:
        master, workers = self._master, dict(self._master.WORKERS)
        spawn = master.spawn_worker
        master.WORKERS.clear()
        master.spawn_worker = lambda: 0  # type: ignore[method-assign]
        try:
            yield
        finally:
            master.WORKERS.update(workers)
            master.spawn_worker = spawn  # type: ignore[method-assign]

    def _spawn(self, spawn: Callable[[], int]) -> int:
        pid = spawn()
        self._runs[pid] = self._goal
        self._born_at[pid] = monotonic()
        return pid

    def _manage(self, manage: Callable[[], None]) -> None:
        if self._is_under_way:
            self._step()
        else:
            manage()

    def _wait_for_signals(self, wait: Callable[..., list[int]], timeout: float = 1.0) -> list[int]:
        return wait(timeout=_LOOK_EVERY_S if self._is_under_way else timeout)

    def _step(self) -> None:
        """Start the next one as soon as the last one serves, and let an old one go for it."""
        workers, wanted = self._master.WORKERS, self._master.num_workers
        for known in (self._runs, self._born_at):
            for gone in known.keys() - workers.keys():
                del known[gone]
        new = [pid for pid in workers if self._runs.get(pid) is self._goal]
        if starting := [pid for pid in new if not _serves(workers[pid])]:
            self._look_at(starting)
            return
        # Those first that do not serve yet, which an earlier rollout has left behind.
        old = sorted(workers.keys() - new, key=lambda pid: (_serves(workers[pid]), workers[pid].age))
        for pid in old[: max(len(workers) - wanted, 0)]:
            self._retired.retire(pid)
        if len(new) < wanted:
            self._say(is_over=False)
            self._master.spawn_worker()
        else:
            self._is_under_way = False
            self._proven = self._goal
            self._say(is_over=True)

    def _look_at(self, starting: list[int]) -> None:
        for pid in starting:
            # Where what ran before does not start either, there is nothing to go back to.
            if monotonic() - self._born_at[pid] > _BOOT_S and self._goal is not self._proven:
                self._master.kill_worker(pid, signal.SIGKILL)
                self._go_back(f"a worker did not serve within {_BOOT_S:g} s")
                return

    def _reap(self, reap: Callable[[], None]) -> None:
        while True:
            workers = dict(self._master.WORKERS)
            try:
                return reap()
            except HaltServer:
                if self._goal is self._proven:
                    raise
                for gone in workers.keys() - self._master.WORKERS.keys():
                    # gunicorn has not come to it.
                    workers[gone].tmp.close()
                    self._master.cfg.child_exit(self._master, workers[gone])
                self._go_back("a worker could not start")

    def _go_back(self, failure: str) -> None:
        """Let workers run what ran before; those that already run what should have are replaced again."""
        goal = self._proven
        _log.error("Not reloaded: %s. What ran before goes on.", failure)
        self._master.app.cfg = goal.cfg
        self._master.setup(self._master.app)
        try:
            self._provide(goal.settings)
        except ConfigError as error:
            _log.error("%s", "; ".join(map(str, error.problems)))  # no defect of ours
        self._set_out(goal, failure)

    def _say(self, *, is_over: bool) -> None:
        new = sum(1 for pid in self._master.WORKERS if self._runs.get(pid) is self._goal)
        self._tell(Progress(self._goal.settings, new, self._master.num_workers, is_over, self._failure))


def _serves(worker: Worker) -> bool:
    """Whether it has reported itself; before, its file has the time of day, which is far ahead."""
    return bool(worker.tmp.last_update() <= monotonic())
