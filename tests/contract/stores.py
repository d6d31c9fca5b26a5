"""The stores that the suite runs over, each with a clock that the tests move.

fakeredis takes its time from `time.time`, which is replaced while such a store is open, so that keys
expire by the moved clock too. A real server's time cannot be moved: there the scripts are sent with the
one word `redis.call('TIME')` replaced by the reading of a key. Keys then expire by the true time, which
no test there waits for.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Sequence
from typing import Any
from unittest.mock import patch

import fakeredis
import redis
from redis.crc import key_slot

from falcongate.state.memory_store import MemoryState
from falcongate.state.redis_call import Script
from falcongate.state.redis_store import RedisState
from tests.support.redis_servers import RedisServer

Answer = Any
"""Texts, integers, None and lists of them."""

START_MS = 1_699_999_980_000  # the beginning of a minute, and so of a bucket in most tests
_TIME = "redis.call('TIME')"
_CLOCK_KEY = "test:clock"
_END = "that was all"


class Clock:
    """The store's time in whole milliseconds."""

    def __init__(self) -> None:
        self.now_ms = START_MS
        self.listeners: list[Callable[[int], None]] = []

    def __call__(self) -> int:
        return self.now_ms

    def move(self, seconds: float) -> None:
        """Let time pass; negative seconds are a step back."""
        self.now_ms += round(seconds * 1000)
        for listener in self.listeners:
            listener(self.now_ms)


class PlainLine:
    """The line without anything that makes it fast: one call, one round trip.

    In a cluster a call whose keys lie in several slots is an error; so it is here if `is_cluster`.
    """

    is_degraded = False

    def __init__(
        self, client: redis.Redis, *, has_moved_clock: bool = False, is_cluster: bool = False
    ) -> None:
        self.client = client
        self.calls = 0
        self._has_moved_clock = has_moved_clock
        self._is_cluster = is_cluster
        self._loaded: dict[str, str] = {}
        self._subscriptions: list[tuple[Any, str, Callable[[str], None]]] = []
        client.response_callbacks.clear()

    def set_clock(self, now_ms: int) -> None:
        """Tell the scripts what time it is."""
        self.client.execute_command("DEL", _CLOCK_KEY)
        self.client.execute_command("RPUSH", _CLOCK_KEY, now_ms // 1000, now_ms % 1000 * 1000)

    def call(self, script: Script, keys: Sequence[str], arguments: Sequence[str | int]) -> Answer:
        """One question. A script that joins is asked as a batch of one."""
        if not script.joins:
            return self._evaluate(script, keys, arguments)
        return self.call_joined(script, [(keys, arguments)])[0]

    def call_joined(
        self, script: Script, calls: Sequence[tuple[Sequence[str], Sequence[str | int]]]
    ) -> list[Any]:
        """Several questions in one, as the real line joins them."""
        all_keys = [key for keys, _ in calls for key in keys]
        joined: list[str | int] = [len(calls)]
        for keys, arguments in calls:
            joined += (len(keys), len(arguments), *arguments)
        answers: list[Any] = self._evaluate(script, all_keys, joined)
        return answers

    def tell(self, script: Script, keys: Sequence[str], arguments: Sequence[str | int]) -> None:
        """The same as `call`."""
        self.call(script, keys, arguments)

    def command(self, *parts: str | int) -> Answer:
        """One command as it is."""
        return self.client.execute_command(*parts)

    def subscribe(
        self, channel: str, on_message: Callable[[str], None], *, on_subscribed: Callable[[], None]
    ) -> None:
        """Pass on what is published, when `listen` is called."""
        subscription = self.client.pubsub()
        subscription.subscribe(channel)
        subscription.get_message(timeout=1)  # the answer to SUBSCRIBE
        self._subscriptions.append((subscription, channel, on_message))
        on_subscribed()

    def listen(self) -> None:
        """Pass on all that has been published until now."""
        for subscription, channel, on_message in self._subscriptions:
            self.client.publish(channel, _END)
            while (message := subscription.get_message(timeout=5)["data"]) != _END:
                on_message(message)

    def close(self) -> None:
        """End the subscriptions."""
        for subscription, *_ in self._subscriptions:
            subscription.close()

    def _evaluate(self, script: Script, keys: Sequence[str], arguments: Sequence[str | int]) -> Answer:
        self.calls += 1
        if self._is_cluster:
            assert len({key_slot(key.encode()) for key in keys}) <= 1, keys
        if script.sha not in self._loaded:
            text = script.text.decode()
            if self._has_moved_clock:
                text = text.replace(_TIME, f"redis.call('LRANGE', '{_CLOCK_KEY}', 0, 1)")
            self._loaded[script.sha] = self.client.execute_command("SCRIPT LOAD", text)
        return self.client.execute_command("EVALSHA", self._loaded[script.sha], len(keys), *keys, *arguments)


class Opened:
    """A store, its clock, and the line to it if it has one."""

    def __init__(self, state: MemoryState | RedisState, clock: Clock, line: PlainLine | None = None) -> None:
        self.state = state
        self.clock = clock
        self.line = line


@contextlib.contextmanager
def memory() -> Iterator[Opened]:
    """The store in the process."""
    clock = Clock()
    yield Opened(MemoryState(clock), clock)


@contextlib.contextmanager
def fake(*, is_cluster: bool = False) -> Iterator[Opened]:
    """The scripts, run by fakeredis."""
    clock = Clock()
    with patch("time.time", lambda: clock.now_ms / 1000):
        client = fakeredis.FakeRedis(server=fakeredis.FakeServer(), decode_responses=True, protocol=2)
        line = PlainLine(client, is_cluster=is_cluster)
        yield Opened(RedisState(line, is_cluster=is_cluster), clock, line)
        line.close()


@contextlib.contextmanager
def real(server: RedisServer, *, is_cluster: bool = False) -> Iterator[Opened]:
    """The scripts, run by a server; it is emptied first."""
    clock = Clock()
    with server.client(protocol=2) as client:
        client.flushall()
        line = PlainLine(client, has_moved_clock=True, is_cluster=is_cluster)
        line.set_clock(clock.now_ms)
        clock.listeners.append(line.set_clock)
        yield Opened(RedisState(line, is_cluster=is_cluster), clock, line)
        line.close()
