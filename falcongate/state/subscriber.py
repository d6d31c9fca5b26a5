"""News from Redis, pushed: a subscription that comes back by itself.

What was published while it was away is lost, so after every beginning the subscriber is told to read
the state anew.
"""

from __future__ import annotations

import logging
import random
from typing import TYPE_CHECKING, Any, Final

import gevent
import redis

from falcongate.errors import StoreAway

if TYPE_CHECKING:
    from collections.abc import Callable

    from falcongate.state.redis_client import Node

_log = logging.getLogger("falcongate")

_SILENCE_S: Final = 1.0
_AGAIN_AFTER_S: Final = 0.1
_AGAIN_AFTER_MOST_S: Final = 1.0


class Subscriber:
    """One channel, listened to in a greenlet on a connection of its own.

    `on_message` gets each message as text; `on_subscribed` is called at the first beginning and after
    every gap. Both run in the greenlet that listens and may wait: what arrives meanwhile is kept.
    """

    def __init__(
        self,
        find_node: Callable[[], Node],
        channel: str,
        on_message: Callable[[str], None],
        *,
        on_subscribed: Callable[[], None],
    ) -> None:
        self._find_node = find_node
        self._channel = channel
        self._on_message = on_message
        self._on_subscribed = on_subscribed
        self._greenlet = gevent.spawn(self._run)

    def close(self) -> None:
        """End the subscription. Does not wait."""
        self._greenlet.kill(block=False)

    def _run(self) -> None:
        pause_s = _AGAIN_AFTER_S
        while True:
            connection: Any = None
            try:
                connection = self._find_node().connect()
                connection.send_command("SUBSCRIBE", self._channel)
                connection.read_response()
                pause_s = _AGAIN_AFTER_S
                self._on_subscribed()
                self._listen(connection)
            except (StoreAway, redis.RedisError, OSError) as error:
                _log.info("The subscription to %s is interrupted: %s", self._channel, error)
            finally:
                if connection is not None:
                    connection.disconnect()
            gevent.sleep(pause_s * random.uniform(0.8, 1.2))  # noqa: S311  # all workers would come at once
            pause_s = min(pause_s * 2, _AGAIN_AFTER_MOST_S)

    def _listen(self, connection: Any) -> None:
        """Pass on messages; raises `redis.RedisError` or OSError when the connection ends or is dead."""
        is_asked = False
        while True:
            try:
                said = connection.read_response(timeout=_SILENCE_S, disconnect_on_error=False)
            except redis.TimeoutError:
                # A server that has vanished without a word looks like one with nothing to tell.
                if is_asked:
                    raise
                connection.send_command("PING")
                is_asked = True
                continue
            is_asked = False
            if said[0] in (b"message", "message"):
                text = said[2]
                self._on_message(text.decode("utf-8", "replace") if isinstance(text, bytes) else text)
