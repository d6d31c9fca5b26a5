"""SIGHUP in gunicorn's master: the configuration is read anew, looked at, and refused or rolled out.

What comes of it is logged, counted, and said to `falcongate reload`.
"""

from __future__ import annotations

import logging
import sys
from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING, Final

from falcongate.config.load import load, render_report
from falcongate.config.version import version_of
from falcongate.errors import ConfigError
from falcongate.server import notice
from falcongate.server.notice import Notice
from falcongate.server.rollout import CannotReload, Progress, Rollout
from falcongate.telemetry.reload_count import count_reload

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from gunicorn.arbiter import Arbiter

    from falcongate.config.settings import GatewaySettings

_log: Final = logging.getLogger("gunicorn.error")


class Reload:
    """The reloads of one master, which `rollout` brings to its workers. Made once.

    `provide` prepares the master for settings, and `configure` tells gunicorn of them; both raise ConfigError
    where that is impossible. Reloads are counted in `directory`, where the metrics are.
    """

    def __init__(
        self,
        master: Arbiter,
        rollout: Rollout,
        *,
        provide: Callable[[GatewaySettings], None],
        configure: Callable[[GatewaySettings], None],
        directory: Path,
    ) -> None:
        self._provide = provide
        self._configure = configure
        self._directory = directory
        self._under_way: int | None = None
        self._rollout = rollout
        rollout.tell = self._note
        master.handle_hup = self._begin  # type: ignore[method-assign]
        listens = ", ".join(map(str, master.LISTENERS))
        workers = master.num_workers
        version = version_of(rollout.settings)
        self._notice = Notice(master.pid, listens, version, new=workers, wanted=workers)
        try:
            notice.write(self._notice)
        except OSError as error:
            _log.warning("falcongate reload will not find this gateway, kill -HUP reaches it: %s", error)

    def _begin(self) -> None:
        number = self._notice.reloads + 1
        self._notice = replace(self._notice, reloads=number)
        try:
            settings = load()
            self._configure(settings)
            self._provide(settings)
            self._rollout.begin(settings)
        except ConfigError as error:
            self._refuse(number, render_report(error))
        except CannotReload as error:
            self._refuse(number, f"{error}\n")
        except Exception as error:  # noqa: BLE001  # the one net under what operators may write
            # Whatever it is: what runs must go on.
            _log.exception("A reload met a defect")
            self._refuse(number, f"{type(error).__name__}: {error}\n")

    def _refuse(self, number: int, report: str) -> None:
        sys.stderr.write(f"Not reloaded; what runs goes on as it was.\n{report}")
        self._end(number, "refused", report)

    def _note(self, progress: Progress) -> None:
        version = version_of(progress.settings)
        said = replace(self._notice, configuration=version, new=progress.new, wanted=progress.wanted)
        if progress.has_begun:
            if self._under_way is not None:
                said = said.ended(self._under_way, "superseded")
                self._count("superseded")
            self._under_way = self._notice.reloads
            _log.info("Reloading: configuration %s", version)
        self._notice = said
        if progress.is_over and self._under_way is not None:
            number, self._under_way = self._under_way, None
            _log.info("Reload %s: %s workers", "failed" if progress.failure else "done", progress.new)
            self._end(number, "failed" if progress.failure else "done", progress.failure)
        else:
            self._say(said)

    def _end(self, number: int, end: notice.End, report: str) -> None:
        self._count(end)
        self._say(self._notice.ended(number, end, report))

    def _say(self, said: Notice) -> None:
        self._notice = said
        with suppress(OSError):
            notice.write(said)

    def _count(self, result: str) -> None:
        try:
            count_reload(self._directory, result)
        except OSError as error:
            _log.warning("A reload could not be counted: %s", error)
