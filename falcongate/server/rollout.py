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
_PAUSE_S: Final = 3.0


class CannotReload(Exception):
    """What runs goes on; the text says why."""


class Run(NamedTuple):
    """What workers are started with: our settings, and gunicorn's."""

    settings: GatewaySettings
    cfg: Config


class Progress(NamedTuple):
    """How far a rollout is: so many workers of so many run these settings.

    `has_begun` says that it is another rollout than was told of before, `failure` why these settings are
    those that ran before, and is empty if they are not.
    """

    settings: GatewaySettings
    new: int
    wanted: int
    has_begun: bool
    is_over: bool
    failure: str


class Rollout:
    """The workers of one master. Made once; it takes part in what the master does.

    `provide` is called with the settings that are to run from now on, before workers are started with them;
    `tell`, which others set, whenever a rollout has come further.
    """

    def __init__(
        self,
        master: Arbiter,
        retired: RetiredWorkers,
        settings: GatewaySettings,
        *,
        provide: Callable[[GatewaySettings], None],
    ) -> None:
        self._master = master
        self._retired = retired
        self._provide = provide
        self.tell: Callable[[Progress], None] = lambda _: None
        self._goal = self._proven = Run(settings, master.cfg)
        self._runs: dict[int, Run] = {}
        self._born_at: dict[int, float] = {}
        self._failure = ""
        self._is_under_way = False
        self._paused_until = 0.0
        self._reload = master.handle_hup
        for name, wrapper in (
            ("spawn_worker", self._spawn),
            ("reap_workers", self._reap),
            ("manage_workers", self._manage),
            ("wait_for_signals", self._wait_for_signals),
        ):
            setattr(master, name, partial(wrapper, getattr(master, name)))

    @property
    def settings(self) -> GatewaySettings:
        """What workers are started with from now on."""
        return self._goal.settings

    def begin(self, settings: GatewaySettings) -> None:
        """Bring all workers to these settings, which are valid and which gunicorn will find, too.

        Raises CannotReload, and goes on as before, where gunicorn cannot: its own settings may be wrong.
        """
        cfg = self._master.app.cfg
        try:
            with self._without_workers():
                # It reads its own settings anew, starts none, and finds none to kill.
                self._reload()
        except (Exception, SystemExit) as error:
            self._master.app.cfg = cfg
            self._master.setup(self._master.app)
            self._provide(self._goal.settings)
            raise CannotReload(f"gunicorn cannot: {error}") from error
        self._set_out(Run(settings, self._master.cfg))

    def _set_out(self, goal: Run, failure: str = "") -> None:
        self._goal, self._failure = goal, failure
        self._is_under_way = True
        self._say(has_begun=not failure)

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
        if monotonic() < self._paused_until:
            return
        if self._is_under_way:
            self._step()
            return
        workers = self._master.WORKERS
        for pid in sorted(workers, key=lambda pid: workers[pid].age)[: -self._master.num_workers]:
            # gunicorn would tell it to stop, and it would say that the whole gateway does.
            self._retired.retire(pid)
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
            self._say()
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
            workers, retired = dict(self._master.WORKERS), self._retired.all()
            try:
                return reap()
            except HaltServer:
                gone = (workers | retired).keys() - (self._master.WORKERS | self._retired.all()).keys()
                for pid in gone:
                    # gunicorn has not come to it.
                    worker = workers.get(pid) or retired[pid]
                    worker.tmp.close()
                    self._master.cfg.child_exit(self._master, worker)
                if not self._retired.is_stopping and (failed := gone & workers.keys()):
                    self._note_failure(failed)

    def _note_failure(self, failed: set[int]) -> None:
        """Workers could not start: go back, try again while others serve, or raise HaltServer."""
        is_of_goal = any(self._runs.get(pid) is self._goal for pid in failed)
        if is_of_goal and self._goal is not self._proven:
            self._go_back("a worker could not start")
        elif any(map(_serves, (self._master.WORKERS | self._retired.all()).values())):
            _log.error("A worker could not start; others serve, and it is tried again in %g s", _PAUSE_S)
            self._paused_until = monotonic() + _PAUSE_S
        else:
            raise HaltServer("No worker can start.", self._master.WORKER_BOOT_ERROR)

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

    def _say(self, *, has_begun: bool = False, is_over: bool = False) -> None:
        new = sum(1 for pid in self._master.WORKERS if self._runs.get(pid) is self._goal)
        how_far = (new, self._master.num_workers, has_begun, is_over, self._failure)
        self.tell(Progress(self._goal.settings, *how_far))


def _serves(worker: Worker) -> bool:
    """Whether it has reported itself; before, its file has the time of day, which is far ahead."""
    return bool(worker.tmp.last_update() <= monotonic())
