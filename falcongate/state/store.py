"""What is asked of the shared state and what it answers; nothing here knows how it is kept.

`redis_store.py` keeps it for all workers of all hosts, `memory_store.py` in one process. Times are the
store's own: hosts may disagree about what time it is, and nothing here depends on them.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, Literal, NamedTuple, Protocol, get_args

from falcongate.state.api_keys import KeyStore
from falcongate.state.audit import AuditLog
from falcongate.state.decisions import DecisionLog
from falcongate.state.sessions import SessionStore
from falcongate.state.tokens import TokenStore
from falcongate.state.totals import TotalsStore

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from falcongate.state.heartbeat import Host

State = Literal["CLOSED", "OPEN", "HALF_OPEN", "FORCED_OPEN", "FORCED_CLOSED", "DISABLED"]
"""Of a breaker. The last three are an operator's word and hold until they end or are taken back."""

STATES: Final[tuple[State, ...]] = get_args(State)

BREAKER_BUCKETS: Final = 10
"""Parts that the window of a breaker is counted in."""

Outcome = Literal["SUCCESS", "FAILURE", "IGNORED"]
"""How a probe ended. IGNORED gives its place back and says nothing about the service."""

Order = Literal["open", "close", "disable", "enable", "reset"]
"""What an operator can tell a breaker; see `SharedState.command`."""


@dataclass(frozen=True, slots=True)
class Window:
    """At most `limit` in any interval of `length_s` seconds, counted in `buckets` parts.

    The part that is only half within the interval counts in full: never more than `limit` pass, and who
    keeps to the limit steadily gets at least buckets / (buckets + 1) of it. `burst` is the most that passes
    within one part; None: all of the limit may. One that `counts_only` refuses nothing and tells what
    it would have refused. Compiled once; `name` is the policy's with the shape of the window, like
    `api:60s/10`; `life_s` is how long a charge counts at most. Raises ValueError.
    """

    policy: str
    limit: int
    length_s: float
    buckets: int = 10
    burst: int | None = None
    counts_only: bool = False
    width_ms: int = field(init=False, compare=False)
    name: str = field(init=False, compare=False)
    life_s: float = field(init=False, compare=False)

    def __post_init__(self) -> None:
        is_possible = self.limit >= 0 and self.buckets >= 1 and (self.burst or 0) >= 0
        if not is_possible or not 0.001 <= self.length_s < math.inf:
            raise ValueError(f"no such window: {self.policy} {self.limit}/{self.length_s}s")
        # Rounded up: parts that together are shorter than the window would let too much pass.
        width_ms = math.ceil(self.length_s * 1000 / self.buckets)
        object.__setattr__(self, "width_ms", width_ms)
        object.__setattr__(self, "life_s", (self.buckets + 1) * width_ms / 1000)
        length = int(self.length_s) if self.length_s == int(self.length_s) else self.length_s
        object.__setattr__(self, "name", f"{self.policy}:{length}s/{self.buckets}")


# PERF: tuples, because several are made for each request: a frozen dataclass takes three times as long.
class Charge(NamedTuple):
    """A request's cost to one caller's window; 0 only asks. A request names no window of a caller twice."""

    window: Window
    caller: str
    cost: int = 1


class Charges(tuple[Charge, ...]):  # noqa: SLOT001  # a tuple with slots has no room for more
    """PERF: the same charges again and again. Any sequence will do; of this one the store keeps `sent`.

    Whoever charges keeps its `refusal`, said without asking, and what is `told`: each limit with its caller.
    """

    sent: Any = None
    refusal: Any = None
    told: tuple[tuple[str, str], ...] = ()


class Verdict(NamedTuple):
    """What one window says to its charge.

    `fits` is False for one that refuses, or would if it did not only count. `remaining` can still pass at
    once. `reset_s` are the seconds until the cost fits if it does not (infinite if it never can), else
    until more than `remaining` can pass (0 if all of it can).
    """

    fits: bool
    remaining: int
    reset_s: float


class Receipt(NamedTuple):
    """What was charged, to give it back: the charge and the bucket that holds it."""

    entries: tuple[tuple[Charge, int], ...]


class Charged(NamedTuple):
    """Whether a request may pass its limits, and what each said.

    A refused request was charged nothing. A verdict is None for a window that was not asked because another
    had refused; only in a cluster, where they lie on different servers.
    """

    admitted: bool
    verdicts: tuple[Verdict | None, ...]
    receipt: Receipt


class Leased(NamedTuple):
    """Whether there was room, and how many places are taken now, this one included."""

    granted: bool
    in_use: int


@dataclass(frozen=True, slots=True)
class BreakerRules:
    """When a breaker opens, for how long, and what closes it. A number of 0 switches its rule off.

    It opens at `max_failures` in the last `window_s` seconds, or when of at least `min_calls` calls the
    share `failure_ratio` failed or `slow_ratio` was slow; with a `quorum` above 1, when so many hosts see
    that by themselves. It stays open for `open_s`, doubled each time a probe fails up to `max_open_s`.
    Then at most `probes` at a time try the service, each for at most `probe_lease_s`; the first failure
    opens it again, `successes` close it.
    """

    max_failures: int = 5
    failure_ratio: float = 0.0
    slow_ratio: float = 0.0
    min_calls: int = 20
    window_s: float = 60.0
    quorum: int = 1
    open_s: float = 30.0
    max_open_s: float = 600.0
    probes: int = 3
    successes: int = 3
    probe_lease_s: float = 60.0


@dataclass(frozen=True, slots=True)
class Breaker:
    """A breaker as it was at `now_s`. Times are seconds of the store's clock, 0 for never.

    `generation` grows with each transition: news of an older one is void. `until_s` is when the state ends
    by itself. `before` is the state it came from: after HALF_OPEN its traffic is to grow slowly. `calls`,
    `failures`, `slow` were in the window at the last report; the totals count since the last reset.
    `opened_times` in a row without having closed. `probes` are out now, `successes` came back. `by` and
    `why` belong to the last transition.
    """

    name: str
    state: State = "CLOSED"
    generation: int = 0
    before: State = "CLOSED"
    now_s: float = 0.0
    since_s: float = 0.0
    until_s: float = 0.0
    by: str = ""
    why: str = ""
    calls: int = 0
    failures: int = 0
    slow: int = 0
    opened_times: int = 0
    probes: int = 0
    successes: int = 0
    total_calls: int = 0
    total_failures: int = 0
    last_failure_s: float = 0.0


class Counts(NamedTuple):
    """Calls of a service, and how many of them failed and were slow."""

    calls: int = 0
    failures: int = 0
    slow: int = 0


class Reported(NamedTuple):
    """The breaker after a report; `is_alone` if this host sees enough to open it and the quorum does not."""

    breaker: Breaker
    is_alone: bool


class Probe(NamedTuple):
    """Whether a probe may go, and the breaker: it may have closed or opened in the meantime."""

    granted: bool
    breaker: Breaker


@dataclass(frozen=True, slots=True)
class Transition:
    """One line of a breaker's history. `calls`, `failures` and `slow` are the window's at that time."""

    at_s: float
    before: State
    state: State
    generation: int
    by: str
    why: str
    calls: int
    failures: int
    slow: int


class SharedState(SessionStore, KeyStore, TokenStore, AuditLog, DecisionLog, TotalsStore, Protocol):
    """What all workers of all hosts share. Each question is one step that nothing can come between.

    Every method but `subscribe` raises StoreAway when the store is away or too slow; what was asked may
    then have happened or not. Methods whose last sentence does not say otherwise wait for the answer.
    """

    @property
    def is_degraded(self) -> bool:
        """Whether the store, or the part of it where some keys lie, is away as far as is known."""

    def charge(self, charges: Sequence[Charge]) -> Charged:
        """Charge all windows of a request, or none if one refuses."""

    def refund(self, receipt: Receipt) -> None:
        """Give back what a request was charged that came to nothing. Once for each receipt. Does not wait."""

    def lease(self, key: str, *, limit: int, owner: str, ttl_s: float) -> Leased:
        """Take one of `limit` places for `ttl_s` seconds; an owner that has one gets it for longer."""

    def renew(self, key: str, *, owners: Sequence[str], ttl_s: float) -> None:
        """Keep the places of these owners for longer, those that have not ended. Does not wait."""

    def release(self, key: str, *, owner: str) -> None:
        """Give a place back; harmless if it has ended. Does not wait."""

    def report(
        self, name: str, rules: BreakerRules, *, host: str, generation: int, counts: Counts
    ) -> Reported:
        """Tell what became of the calls since the last report; opens the breaker if that is enough.

        Dropped if `generation`, under which they were admitted, is over. Probes are not told here.
        """

    def ask_probe(self, name: str, rules: BreakerRules, *, owner: str) -> Probe:
        """Take the place of a probe; granted in HALF_OPEN only. An owner is one request.

        An owner that asks again holds its place for longer.
        """

    def finish_probe(
        self, name: str, rules: BreakerRules, *, owner: str, generation: int, outcome: Outcome
    ) -> Breaker:
        """Tell how a probe ended and give its place back. Dropped if its generation is over."""

    def command(self, name: str, order: Order, *, by: str, why: str, for_s: float = 0.0) -> Breaker:
        """Do what an operator says.

        `open`, `close` and `disable` hold for `for_s` seconds, 0 for until further notice. `enable` ends
        what such an order began. `reset` closes it whatever its state and forgets all counts.
        """

    def snapshot(self, names: Sequence[str]) -> Mapping[str, Breaker]:
        """The breakers of these names, each of which exists: one that nobody has told anything is CLOSED."""

    def history(self, name: str, count: int) -> Sequence[Transition]:
        """The last transitions, at most `count`, the newest first."""

    def subscribe(self, on_breaker: Callable[[Breaker], None], on_gap: Callable[[], None]) -> None:
        """Be told each transition of any breaker from now on. Does not wait.

        `on_gap` is called at the beginning and whenever some may have been missed: take a `snapshot`
        then. What has the later `now_s` is true.
        """

    def beat(self, host: str, *, says: str, ttl_s: float) -> Sequence[Host]:
        """Be alive for the next `ttl_s` seconds; all hosts that are, this one included, by name."""

    def hosts(self) -> Sequence[Host]:
        """All hosts that are alive, by name."""
