"""Whether the shared Redis can be reached: asked in the background, answered from memory."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Final

import gevent
import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

if TYPE_CHECKING:
    from falcongate.config.settings import RedisSettings

_log = logging.getLogger("falcongate")

_ASK_EVERY_S: Final = 5.0
_TIMEOUT_S: Final = 0.5


class RedisPresence:
    """Asks every few seconds; nobody waits for the answer."""

    __slots__ = ("_client", "state")

    def __init__(self, settings: RedisSettings) -> None:
        self.state = "not configured"
        self._client: redis.Redis | None = None
        if settings.url is not None:
            # redis-py's own ten retries and five seconds would hide an outage for a minute.
            self._client = redis.Redis.from_url(
                settings.url.get_secret_value(),
                socket_timeout=_TIMEOUT_S,
                socket_connect_timeout=_TIMEOUT_S,
                retry=Retry(NoBackoff(), 0),
            )
            self.state = "not asked yet"
            gevent.spawn(self._watch)

    def _watch(self) -> None:
        while True:
            self._ask()
            gevent.sleep(_ASK_EVERY_S)

    def _ask(self) -> None:
        assert self._client is not None  # noqa: S101  # `_watch` is not started without
        before = self.state
        try:
            self._client.ping()
            self.state = "connected"
        except redis.RedisError as error:
            self.state = "unreachable"
            if before != self.state:
                _log.warning("Redis is unreachable: %s", type(error).__name__)
