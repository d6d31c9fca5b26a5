"""Why a breaker has changed, in one of a few words: what is told people holds numbers and names."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterator

    from falcongate.config.breaker import BreakerSettings
    from falcongate.state.store import Breaker, State

_ORDERED: Final = ("FORCED_OPEN", "FORCED_CLOSED", "DISABLED")
_OPENED_BY: Final = (
    (" calls failed in ", "ratio"),
    (" calls were slow in ", "slow"),
    (" failures in ", "failures"),
    (" sees failures", "alone"),
)


def reason_of(breaker: Breaker) -> str:
    """`failures`, `ratio`, `slow`, `alone`, `probe`, `time`, `operator`, or `other`; of its last transition.

    An operator's own words decide nothing.
    """
    if breaker.by == "time":
        return "time"
    if breaker.state in _ORDERED or breaker.before in _ORDERED:
        return "operator"
    if breaker.state == "OPEN" and breaker.before == "HALF_OPEN":
        return "probe"
    if breaker.state == "OPEN":
        return next((word for part, word in _OPENED_BY if part in breaker.why), "other")
    is_healed = breaker.before == "HALF_OPEN" and breaker.why.endswith("probes succeeded")
    if breaker.state == "CLOSED":
        return "probe" if is_healed else "operator"
    return "other"


def transitions_of(settings: BreakerSettings) -> Iterator[tuple[State, State, str]]:
    """What a breaker with these settings can do by itself: from which state to which, and the reason."""
    opens = {
        "failures": settings.max_failures,
        "ratio": settings.failure_ratio,
        "slow": settings.slow_ratio,
        "alone": settings.quorum > 1,
    }
    for reason, does in opens.items():
        if does:
            yield "CLOSED", "OPEN", reason
    yield "OPEN", "HALF_OPEN", "time"
    yield "HALF_OPEN", "OPEN", "probe"
    yield "HALF_OPEN", "CLOSED", "probe"
