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
from falcongate.server.rollout import Progress, Rollout
from falcongate.telemetry.reload_count import count_reload

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from gunicorn.arbiter import Arbiter

    from falcongate.config.settings import GatewaySettings
    from falcongate.server.retirement import RetiredWorkers

_log: Final = logging.getLogger("gunicorn.error")


class Reload:
    """The reloads of one master. Made once, with the settings that it starts with.

    `provide` prepares the master for settings, and `configure` tells gunicorn of them; both raise ConfigError
    where that is impossible. Reloads are counted in `directory`, where the metrics are.
    """

    def __init__(
        self,
        master: Arbiter,
        retired: RetiredWorkers,
        settings: GatewaySettings,
        *,
        provide: Callable[[GatewaySettings], None],
        configure: Callable[[GatewaySettings], None],
        directory: Path,
    ) -> None:
        self._master = master
        self._provide = provide
        self._configure = configure
        self._directory = directory
        self._rollout = Rollout(master, retired, settings, provide=provide, tell=self._note)
        master.handle_hup = self._begin  # type: ignore[method-assign]
        listens = ", ".join(map(str, master.LISTENERS))
        workers = master.num_workers
        self._notice = Notice(master.pid, listens, version_of(settings), new=workers, wanted=workers)
        try:
            notice.write(self._notice)
        except OSError as error:
            _log.warning("falcongate reload will not find this gateway, kill -HUP reaches it: %s", error)

    def _begin(self) -> None:
        reloads = self._notice.reloads + 1
        try:
            settings = load()
            self._configure(settings)
            self._provide(settings)
        except ConfigError as error:
            report = render_report(error)
            sys.stderr.write(f"Not reloaded; what runs goes on as it was.\n{report}")
            self._count("refused")
            self._say(replace(self._notice, reloads=reloads, state="refused", report=report))
            return
        version = version_of(settings)
        _log.info("Reloading: configuration %s", version)
        self._notice = replace(self._notice, reloads=reloads, configuration=version, report="")
        self._rollout.begin(settings)

    def _note(self, progress: Progress) -> None:
        state: notice.State = "replacing"
        if progress.is_over:
            state = "failed" if progress.failure else "done"
            self._count(state)
            _log.info("Reload %s: %s workers", state, progress.new)
        version = version_of(progress.settings)
        said = replace(self._notice, configuration=version, state=state, report=progress.failure)
        self._say(replace(said, new=progress.new, wanted=progress.wanted))

    def _say(self, said: Notice) -> None:
        self._notice = said
        with suppress(OSError):
            notice.write(said)

    def _count(self, result: str) -> None:
        try:
            count_reload(self._directory, result)
        except OSError as error:
            _log.warning("A reload could not be counted: %s", error)
