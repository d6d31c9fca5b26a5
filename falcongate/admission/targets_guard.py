"""A breaker for each target of a service, and one over all of them for what operators order."""

from __future__ import annotations

from typing import TYPE_CHECKING

from falcongate.refusals import CircuitOpen, ServiceDisabled

if TYPE_CHECKING:
    from collections.abc import Mapping

    from falcongate.admission.guard import Guard
    from falcongate.exchange import Exchange
    from falcongate.state.store import Breaker, Outcome


class TargetsGuard:
    """Passes over targets whose breaker is open, and refuses when all are. Otherwise like a Guard."""

    __slots__ = ("_own", "_targets")

    def __init__(self, own: Guard, targets: Mapping[str, Guard]) -> None:
        self._own = own
        self._targets = targets

    @property
    def is_clear(self) -> bool:
        """Whether every request may pass without a question, to any target."""
        return self._own.is_clear and all(guard.is_clear for guard in self._targets.values())

    @property
    def breaker(self) -> Breaker:
        """What is known of the one over all."""
        return self._own.breaker

    @property
    def mark(self) -> dict[str, int]:
        """What changes with each transition of a target."""
        return {url: guard.mark for url, guard in self._targets.items()}

    def admit(self, exchange: Exchange) -> None:
        """Let the request pass to some target. Raises CircuitOpen or ServiceDisabled."""
        if not self._own.is_clear:
            self._own.admit(exchange)
        shut: dict[str, int] = {}
        for url, guard in self._targets.items():
            if guard.is_clear:
                continue
            try:
                guard.admit(exchange)
            except (CircuitOpen, ServiceDisabled) as refusal:
                shut[url] = refusal.retry_after_s or 1
            if exchange.probe is not None:
                # A probe is for this target and no other.
                exchange.shut_targets = self._targets.keys() - {url}
                return
        if len(shut) == len(self._targets):
            raise CircuitOpen(retry_after_s=min(shut.values()))
        exchange.shut_targets = shut.keys()

    def end(self, exchange: Exchange) -> None:
        """Count how each attempt went, at its target."""
        if exchange.probe is not None:
            exchange.probe.end(exchange)
            return
        failed = exchange.failed_targets
        if exchange.failed_at is not None:
            failed = failed[:-1]  # the last is how the exchange ended
        for url in failed:
            self._note(url, exchange, "FAILURE")
        last = self._targets.get(exchange.target_used)
        if last is not None:
            self._note(exchange.target_used, exchange, last.outcome_of(exchange))

    def _note(self, url: str, exchange: Exchange, outcome: Outcome) -> None:
        marks = exchange.guard_mark
        guard = self._targets[url]
        if isinstance(marks, dict) and marks[url] == guard.mark:
            guard.note(outcome, exchange.service_s)
