"""One circuit breaker in one worker: lets requests pass or refuses them, and counts how they end.

While it is CLOSED nothing is asked. What is shared is told by `falcongate.state`; without that, the
guard goes on from the last state by itself, by the same rules.
"""

from __future__ import annotations

import math
from dataclasses import fields, replace
from functools import partial
from time import monotonic
from typing import TYPE_CHECKING, Final

from falcongate.admission.known_breaker import KnownBreaker
from falcongate.admission.outcome import outcome_of
from falcongate.admission.probe import ProbeInFlight
from falcongate.errors import StoreAway
from falcongate.state.memory_store import MemoryState
from falcongate.state.store import BreakerRules, Counts

if TYPE_CHECKING:
    from collections.abc import Callable

    from falcongate.config.breaker import BreakerSettings
    from falcongate.exchange import Exchange
    from falcongate.state.store import Breaker, Outcome, SharedState

_ASK_AGAIN_AFTER_S: Final = 0.1
PROBE_LEASE_S: Final = 15.0
"""How long a worker that died holds the place of a probe; one that lives asks for more in time."""


class Guard(KnownBreaker):
    """The breaker `name`, of a service or `is_of_target`. `wake` is called when there is news to tell soon.

    `outcome_of` tells what an exchange says of the service or target. `host` is how this host is called in
    what is shared.
    """

    __slots__ = (
        "_ask_from",
        "_asking",
        "_calls",
        "_failures",
        "_is_outvoted",
        "_own",
        "_rules",
        "_shared",
        "_slow",
        "_slow_call_s",
        "_wake",
        "host",
        "outcome_of",
    )

    def __init__(
        self,
        name: str,
        settings: BreakerSettings,
        state: SharedState,
        *,
        host: str,
        wake: Callable[[], None],
        tell: Callable[[Breaker, bool], None] = lambda *_: None,
        is_of_target: bool = False,
    ) -> None:
        super().__init__(name, ramp_s=settings.ramp_s, tell=tell)
        self._shared = state
        self._own = MemoryState()
        self.host = host
        self._wake = wake
        self._rules = _rules_of(settings)
        self._slow_call_s = settings.slow_call_s or math.inf
        failures = frozenset(settings.failure_statuses)
        self.outcome_of = partial(outcome_of, failure_statuses=failures, is_of_target=is_of_target)
        self._calls = self._failures = self._slow = 0
        self._asking = 0
        self._ask_from = 0.0
        self._is_outvoted = False

    def admit(self, exchange: Exchange) -> None:
        """Let the request pass, perhaps as a probe. Raises CircuitOpen or ServiceDisabled.

        Waits for the shared state only to ask for the place of a probe.
        """
        now = monotonic()
        state = self.breaker.state
        if state == "HALF_OPEN" or now >= self._until:
            self._try(exchange, now)
        elif state == "CLOSED":
            self._ramp_up(now)
        elif state != "FORCED_CLOSED":
            raise self._refusal(now)

    def end(self, exchange: Exchange) -> None:
        """Count how the exchange went."""
        if exchange.probe is not None:
            exchange.probe.end(exchange)
        elif exchange.guard_mark == self.mark:
            self.note(self.outcome_of(exchange), exchange.service_s)

    def note(self, outcome: Outcome, first_byte_s: float) -> None:
        """Count one call. It is reported later."""
        if outcome == "IGNORED":
            return
        is_failure = outcome == "FAILURE"
        is_slow = first_byte_s >= self._slow_call_s
        self._calls += 1
        self._failures += is_failure
        self._slow += is_slow
        if is_failure or is_slow:
            self._wake()

    @property
    def has_news(self) -> bool:
        """Whether something was counted since the last report."""
        return self._calls > 0

    def report(self) -> None:
        """Tell what was counted. Waits for the shared state."""
        counts = Counts(self._calls, self._failures, self._slow)
        self._calls = self._failures = self._slow = 0

        def tell(store: SharedState) -> Breaker:
            generation = self.breaker.generation
            told = store.report(self.name, self._rules, host=self.host, generation=generation, counts=counts)
            if told.is_alone:
                self._open_here()
                return self.breaker
            return told.breaker

        self._ask(tell)

    def finish(self, probe: ProbeInFlight, outcome: Outcome) -> None:
        """Take the result of a probe. Waits for the shared state."""
        self._ask(
            lambda store: store.finish_probe(
                self.name, self._rules, owner=probe.owner, generation=probe.generation, outcome=outcome
            )
        )

    def hold(self, probe: ProbeInFlight) -> None:
        """Keep the place of a probe for longer. Waits for the shared state."""
        self._ask(lambda store: store.ask_probe(self.name, self._rules, owner=probe.owner).breaker)

    def hear(self, news: Breaker) -> None:
        """Take what the shared state tells unasked, and go on with it if it could not be asked before.

        Who is outvoted stays alone until its own breaker has closed, or that of all opens.
        """
        if not self.is_alone:
            self.learn(news)
        elif not self._is_outvoted or self.is_clear or news.state != "CLOSED":
            self.is_alone = self._is_outvoted = False
            self._begin(news)

    def _ask(self, question: Callable[[SharedState], Breaker]) -> None:
        """Ask the shared state and learn from it, or go on without it."""
        if not self.is_alone:
            try:
                self.learn(question(self._shared))
            except StoreAway:
                self._go_alone(self._aged())
            else:
                return
        self.learn(question(self._own))

    def _go_alone(self, breaker: Breaker) -> None:
        self._own.take_over(breaker)
        self.is_alone = True
        self._begin(self._own.snapshot([self.name])[self.name])

    def _open_here(self) -> None:
        """Only this host sees failures, so it opens for this worker and not for all."""
        now = self._aged()
        self._is_outvoted = True
        self._go_alone(
            replace(
                now,
                state="OPEN",
                before="CLOSED",
                generation=now.generation + 1,
                since_s=now.now_s,
                until_s=now.now_s + self._rules.open_s,
                opened_times=1,
                by=self.host,
                why=f"only {self.host} sees failures",
            )
        )

    def _begin(self, news: Breaker) -> None:
        super()._begin(news)
        # What was counted before says nothing of the state that has begun.
        self._calls = self._failures = self._slow = 0
        self._ask_from = 0.0

    def _try(self, exchange: Exchange, now: float) -> None:
        """Ask for the place of a probe, unless there will be none."""
        was_alone = self.is_alone
        needs_no_more = now < self._ask_from or self._asking >= self._rules.probes
        if needs_no_more or (exchange.waited_in_vain and not was_alone):
            raise self._refusal(now)
        probe = ProbeInFlight(self)
        granted = False

        def ask(store: SharedState) -> Breaker:
            nonlocal granted
            answer = store.ask_probe(self.name, self._rules, owner=probe.owner)
            granted = answer.granted
            return answer.breaker

        self._asking += 1
        try:
            self._ask(ask)
        finally:
            self._asking -= 1
        exchange.waited_in_vain |= self.is_alone and not was_alone
        if granted:
            probe.begin(exchange, self.breaker.generation)
            exchange.probe = probe
        elif self.breaker.state == "HALF_OPEN":
            self._ask_from = now + _ASK_AGAIN_AFTER_S
            raise self._refusal(now)
        elif self.breaker.state == "CLOSED":
            if not self.is_clear:
                self._ramp_up(now)
        elif self.breaker.state != "FORCED_CLOSED":
            raise self._refusal(now)


def _rules_of(settings: BreakerSettings) -> BreakerRules:
    rules = {field.name for field in fields(BreakerRules)}
    return BreakerRules(**settings.model_dump(include=rules), probe_lease_s=PROBE_LEASE_S)
