"""What the suites of the breaker share."""

from dataclasses import replace

from falcongate.state.store import Breaker, BreakerRules, Counts, Outcome, Probe, Reported
from tests.contract.stores import Opened

RULES = BreakerRules(
    max_failures=3,
    min_calls=10,
    window_s=60,
    open_s=120,
    max_open_s=300,
    probes=3,
    successes=3,
    probe_lease_s=30,
)
RATIO = replace(RULES, max_failures=0, failure_ratio=0.5, slow_ratio=0.8)


def report(
    opened: Opened,
    calls: int,
    failures: int = 0,
    *,
    slow: int = 0,
    rules: BreakerRules = RULES,
    host: str = "gw-1",
    generation: int | None = None,
) -> Reported:
    """What became of some calls, by default of the present generation."""
    if generation is None:
        generation = see(opened).generation
    return opened.state.report(
        "hr", rules, host=host, generation=generation, counts=Counts(calls, failures, slow)
    )


def see(opened: Opened) -> Breaker:
    """The breaker as it is."""
    return opened.state.snapshot(["hr"])["hr"]


def ask(opened: Opened, owner: str) -> Probe:
    """Ask for a probe."""
    return opened.state.ask_probe("hr", RULES, owner=owner)


def finish(opened: Opened, owner: str, outcome: Outcome, generation: int | None = None) -> Breaker:
    """The result of a probe, by default of the present generation."""
    if generation is None:
        generation = see(opened).generation
    return opened.state.finish_probe("hr", RULES, owner=owner, generation=generation, outcome=outcome)


def half_open(opened: Opened) -> None:
    """Let it open and let its time end."""
    report(opened, 3, 3)
    opened.clock.move(120)
