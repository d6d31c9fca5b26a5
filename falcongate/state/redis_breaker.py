"""Breakers in Redis: which keys, which script, and what its answer means."""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING, Any, Final

from falcongate.state.clock import whole_ms
from falcongate.state.keys import TRANSITIONS, breaker_keys, plain
from falcongate.state.redis_call import Script
from falcongate.state.store import BREAKER_BUCKETS, Breaker, Probe, Reported, Transition

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from falcongate.state.redis_call import Line
    from falcongate.state.store import BreakerRules, Counts, Order, Outcome


class _BreakerScript(Script):
    """A script that begins with what all scripts of the breaker share."""

    __slots__ = ()

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self.text = Script("breaker").text + self.text
        self.sha = hashlib.sha1(self.text, usedforsecurity=False).hexdigest()


_REPORT: Final = _BreakerScript("breaker_report")
_PROBE: Final = _BreakerScript("breaker_probe")
_FINISH: Final = _BreakerScript("breaker_finish")
_COMMAND: Final = _BreakerScript("breaker_command")
_READ: Final = _BreakerScript("breaker_read")


class RedisBreakers:
    """Breakers by name. In a cluster each may lie on another server."""

    def __init__(self, line: Line, *, is_cluster: bool = False) -> None:
        self._line = line
        self._is_cluster = is_cluster

    def report(
        self, name: str, rules: BreakerRules, *, host: str, generation: int, counts: Counts
    ) -> Reported:
        """As `SharedState` says."""
        told, is_alone = self._ask(
            _REPORT,
            name,
            *(plain(host), generation, *counts),
            *(rules.max_failures, rules.failure_ratio, rules.slow_ratio, rules.min_calls),
            *(rules.window_s, BREAKER_BUCKETS, rules.quorum, rules.open_s, rules.max_open_s),
        )
        return Reported(_breaker(told), is_alone == 1)

    def ask_probe(self, name: str, rules: BreakerRules, *, owner: str) -> Probe:
        """As `SharedState` says."""
        told, granted = self._ask(
            _PROBE, name, plain(owner), rules.probes, rules.successes, whole_ms(rules.probe_lease_s)
        )
        return Probe(granted == 1, _breaker(told))

    def finish_probe(
        self, name: str, rules: BreakerRules, *, owner: str, generation: int, outcome: Outcome
    ) -> Breaker:
        """As `SharedState` says."""
        numbers = (rules.successes, rules.open_s, rules.max_open_s)
        return _breaker(self._ask(_FINISH, name, plain(owner), generation, outcome, *numbers))

    def command(self, name: str, order: Order, *, by: str, why: str, for_s: float = 0.0) -> Breaker:
        """As `SharedState` says."""
        return _breaker(self._ask(_COMMAND, name, order, by, why, for_s))

    def snapshot(self, names: Sequence[str]) -> Mapping[str, Breaker]:
        """As `SharedState` says."""
        asked = [[name] for name in names] if self._is_cluster else [names] if names else []
        breakers = {}
        for together in asked:
            keys = [key for name in together for key in breaker_keys(name)]
            for told in self._line.call(_READ, keys, [TRANSITIONS, *together]):
                breaker = _breaker(told)
                breakers[breaker.name] = breaker
        return breakers

    def history(self, name: str, count: int) -> Sequence[Transition]:
        """As `SharedState` says."""
        *_, history = breaker_keys(name)
        return tuple(
            _transition(fields)
            for _, fields in self._line.command("XREVRANGE", history, "+", "-", "COUNT", count)
        )

    def subscribe(self, on_breaker: Callable[[Breaker], None], on_gap: Callable[[], None]) -> None:
        """As `SharedState` says."""
        self._line.subscribe(TRANSITIONS, lambda told: on_breaker(_breaker(told)), on_subscribed=on_gap)

    def _ask(self, script: Script, name: str, *arguments: str | float) -> Any:
        return self._line.call(script, breaker_keys(name), [TRANSITIONS, name, *map(_text, arguments)])


def _text(argument: str | float) -> str | int:
    return repr(argument) if isinstance(argument, float) else argument


def _breaker(told: str) -> Breaker:
    return Breaker(**json.loads(told))


def _transition(fields: list[str]) -> Transition:
    told: dict[str, Any] = dict(zip(fields[::2], fields[1::2], strict=True))
    for number in ("generation", "calls", "failures", "slow"):
        told[number] = int(told[number])
    return Transition(**{**told, "at_s": float(told["at_s"])})
