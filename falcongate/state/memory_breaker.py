"""Breakers in one process: what the scripts `breaker*.lua` are held to."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Final

from falcongate.state.clock import whole_ms
from falcongate.state.in_process import InProcess, asked
from falcongate.state.store import BREAKER_BUCKETS, Breaker, Counts, Probe, Reported, Transition

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from falcongate.state.store import BreakerRules, Order, Outcome, State

_HISTORY_LENGTH: Final = 200
_NOT_FORCED: Final = ("CLOSED", "OPEN", "HALF_OPEN")
_FORCED: Final[Mapping[Order, State]] = {
    "open": "FORCED_OPEN",
    "close": "FORCED_CLOSED",
    "disable": "DISABLED",
}


@dataclass(slots=True)
class _Cell:
    """One breaker, the counts of its window by bucket and host, its probes by owner and its history."""

    breaker: Breaker
    window: dict[tuple[int, str], Counts] = field(default_factory=dict)
    probes: dict[str, int] = field(default_factory=dict)
    history: deque[Transition] = field(default_factory=lambda: deque(maxlen=_HISTORY_LENGTH))


class MemoryBreakers(InProcess):
    """The breakers of a `SharedState`, in this process."""

    def __init__(self, *how: Any, **also: Any) -> None:
        super().__init__(*how, **also)
        self._cells: dict[str, _Cell] = {}
        self._breaker_listeners: list[Callable[[Breaker], None]] = []

    @asked
    def report(
        self, name: str, rules: BreakerRules, *, host: str, generation: int, counts: Counts
    ) -> Reported:
        """As `SharedState` says."""
        now_ms = self._clock()
        cell = self._cell(name, now_ms)
        if generation != cell.breaker.generation:
            return Reported(cell.breaker, is_alone=False)
        before = cell.breaker
        by_host = _counted(cell, rules, host=host, counts=counts, now_ms=now_ms)
        everything = _sum(by_host.values())
        cell.breaker = replace(
            before,
            **everything._asdict(),
            total_calls=before.total_calls + counts.calls,
            total_failures=before.total_failures + counts.failures,
            last_failure_s=now_ms / 1000 if counts.failures else before.last_failure_s,
        )
        is_shared = rules.quorum > 1
        why = _reason(rules, by_host[host] if is_shared else everything)
        if before.state != "CLOSED" or not why:
            return Reported(cell.breaker, is_alone=False)
        if is_shared and sum(bool(_reason(rules, sums)) for sums in by_host.values()) < rules.quorum:
            return Reported(cell.breaker, is_alone=True)
        self._open(cell, rules, by=host, why=why)
        return Reported(cell.breaker, is_alone=False)

    @asked
    def ask_probe(self, name: str, rules: BreakerRules, *, owner: str) -> Probe:
        """As `SharedState` says."""
        now_ms = self._clock()
        cell = self._cell(name, now_ms)
        out = len(cell.probes)
        needed = max(rules.probes, rules.successes) - cell.breaker.successes
        granted = cell.breaker.state == "HALF_OPEN" and (
            owner in cell.probes or (out < rules.probes and out < needed)
        )
        if granted:
            cell.probes[owner] = now_ms + whole_ms(rules.probe_lease_s)
        cell.breaker = replace(cell.breaker, probes=len(cell.probes))
        return Probe(granted, cell.breaker)

    @asked
    def finish_probe(
        self, name: str, rules: BreakerRules, *, owner: str, generation: int, outcome: Outcome
    ) -> Breaker:
        """As `SharedState` says."""
        now_ms = self._clock()
        cell = self._cell(name, now_ms)
        old = cell.breaker
        if generation != old.generation or old.state != "HALF_OPEN":
            return old
        is_held = cell.probes.pop(owner, None) is not None
        cell.breaker = replace(old, probes=len(cell.probes))
        if outcome == "FAILURE":
            # Also a late one: a service that hangs makes every probe late.
            cell.breaker = replace(
                cell.breaker,
                total_calls=old.total_calls + 1,
                total_failures=old.total_failures + 1,
                last_failure_s=now_ms / 1000,
            )
            self._open(cell, rules, by=owner, why="a probe failed")
        elif outcome == "SUCCESS" and is_held:
            successes = old.successes + 1
            cell.breaker = replace(cell.breaker, total_calls=old.total_calls + 1, successes=successes)
            if successes >= rules.successes:
                self._move(cell, "CLOSED", by=owner, why=f"{successes} probes succeeded")
        return cell.breaker

    @asked
    def command(self, name: str, order: Order, *, by: str, why: str, for_s: float = 0.0) -> Breaker:
        """As `SharedState` says."""
        cell = self._cell(name, self._clock())
        if order in _FORCED:
            cell.breaker = replace(cell.breaker, opened_times=0)
            self._move(cell, _FORCED[order], for_s=for_s, by=by, why=why)
        elif order == "reset":
            cell.breaker = replace(cell.breaker, total_calls=0, total_failures=0, last_failure_s=0.0)
            self._move(cell, "CLOSED", by=by, why=why)
        elif cell.breaker.state not in _NOT_FORCED:
            self._move(cell, "CLOSED", by=by, why=why)
        return cell.breaker

    @asked
    def snapshot(self, names: Sequence[str]) -> Mapping[str, Breaker]:
        """As `SharedState` says."""
        now_ms = self._clock()
        return {name: self._cell(name, now_ms).breaker for name in names}

    @asked
    def history(self, name: str, count: int) -> Sequence[Transition]:
        """As `SharedState` says."""
        cell = self._cells.get(name)
        return tuple(cell.history)[:count] if cell else ()

    def subscribe(self, on_breaker: Callable[[Breaker], None], on_gap: Callable[[], None]) -> None:
        """As `SharedState` says; each transition is told in the step that makes it."""
        self._breaker_listeners.append(on_breaker)
        on_gap()

    def take_over(self, breaker: Breaker) -> None:
        """Begin with a breaker as another store had it at its `now_s`; its times become ours."""
        ahead_s = self._clock() / 1000 - breaker.now_s
        moved = replace(
            breaker,
            since_s=breaker.since_s + ahead_s,
            until_s=breaker.until_s + ahead_s if breaker.until_s else 0.0,
            probes=0,
        )
        self._cells[breaker.name] = _Cell(moved)

    def _cell(self, name: str, now_ms: int) -> _Cell:
        """The breaker as it is now: whatever ends by time has ended."""
        cell = self._cells.setdefault(name, _Cell(Breaker(name)))
        cell.probes = {owner: ends for owner, ends in cell.probes.items() if ends > now_ms}
        cell.breaker = replace(cell.breaker, now_s=now_ms / 1000, probes=len(cell.probes))
        breaker = cell.breaker
        if 0 < breaker.until_s <= breaker.now_s:
            state: State = "HALF_OPEN" if breaker.state == "OPEN" else "CLOSED"
            self._move(cell, state, by="time", why=f"{breaker.state} has ended")
        return cell

    def _open(self, cell: _Cell, rules: BreakerRules, *, by: str, why: str) -> None:
        opened_times = cell.breaker.opened_times
        cell.breaker = replace(cell.breaker, opened_times=opened_times + 1)
        open_s = min(rules.open_s * 2 ** min(opened_times, 30), rules.max_open_s)
        self._move(cell, "OPEN", for_s=open_s, by=by, why=why)

    def _move(self, cell: _Cell, state: State, *, by: str, why: str, for_s: float = 0.0) -> None:
        """One transition: counted, written down and told in one step."""
        old = cell.breaker
        generation = max(old.generation + 1, int(old.now_s))
        cell.history.appendleft(
            Transition(old.now_s, old.state, state, generation, by, why, old.calls, old.failures, old.slow)
        )
        cell.window, cell.probes = {}, {}
        new = replace(
            old,
            state=state,
            before=old.state,
            generation=generation,
            since_s=old.now_s,
            until_s=round(old.now_s + for_s, 3) if for_s > 0 else 0.0,
            by=by,
            why=why,
            probes=0,
            successes=0,
        )
        if state == "CLOSED":
            new = replace(new, opened_times=0, calls=0, failures=0, slow=0)
        cell.breaker = new
        for listener in self._breaker_listeners:
            listener(new)


def _counted(
    cell: _Cell, rules: BreakerRules, *, host: str, counts: Counts, now_ms: int
) -> dict[str, Counts]:
    """What is in the window by host, after these counts were added. The oldest bucket counts in full."""
    width = -(-whole_ms(rules.window_s) // BREAKER_BUCKETS)
    start = now_ms - now_ms % width
    first = start - BREAKER_BUCKETS * width
    cell.window = {at: told for at, told in cell.window.items() if first <= at[0] <= start}
    cell.window[start, host] = _sum((cell.window.get((start, host), Counts()), counts))
    return {
        name: _sum(told for (_, of), told in cell.window.items() if of == name)
        for name in {name for _, name in cell.window}
    }


def _sum(counts: Iterable[Counts]) -> Counts:
    return Counts(*map(sum, zip(Counts(), *counts, strict=True)))


def _reason(rules: BreakerRules, sums: Counts) -> str:
    """Why these counts open the breaker, or nothing."""
    if 0 < rules.max_failures <= sums.failures:
        return f"{sums.failures} failures in {rules.window_s:g} s"
    if sums.calls < rules.min_calls or sums.calls == 0:
        return ""
    if 0 < rules.failure_ratio <= sums.failures / sums.calls:
        return f"{sums.failures} of {sums.calls} calls failed in {rules.window_s:g} s"
    if 0 < rules.slow_ratio <= sums.slow / sums.calls:
        return f"{sums.slow} of {sums.calls} calls were slow in {rules.window_s:g} s"
    return ""
