"""What all hosts have served together: totals, the last minutes, and who was refused most."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple, Protocol

from falcongate.config.policies import DECISIONS

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

SLOT_S: Final = 5
"""Traffic is kept in slots of so many seconds, which begin at multiples of it."""

KEPT_S: Final = 900
"""For so long."""

PERIOD_S: Final = 300
"""Callers who were refused are counted in periods of so many seconds; the last two are told."""

MAX_CALLERS: Final = 100
"""So many callers are kept for each policy and period, those who were refused most."""


class Slot(NamedTuple):
    """What was served in the `SLOT_S` seconds from `start_s`: by service, in the order of who counts."""

    start_s: int
    services: Mapping[str, Sequence[int]]


class Lately(NamedTuple):
    """What was served lately. Slots in which nothing was are left out, the oldest is the first."""

    now_s: float
    slots: Sequence[Slot]


class TotalsStore(Protocol):
    """The part of the shared state that adds up what all hosts do; see `SharedState`."""

    def add_traffic(
        self,
        services: Mapping[str, Sequence[int]],
        *,
        limits: Mapping[str, Sequence[int]],
        callers: Mapping[str, Mapping[str, int]],
    ) -> None:
        """Add what one worker has seen since it told last. Does not wait.

        Of a service: requests, errors, then how many took how long; of a limit: its `DECISIONS`; of
        callers: how often each was refused, by limit. What is told while the store is away is lost.
        """
        ...

    def totals(self) -> Mapping[str, int]:
        """Everything since the beginning: `requests:SERVICE`, `errors:SERVICE`, `limit:NAME:DECISION`.

        What never happened is left out.
        """
        ...

    def traffic(self, seconds: int) -> Lately:
        """The slots of the last so many seconds, that of now included; at most `KEPT_S` seconds."""
        ...

    def top_callers(self, limits: Sequence[str], count: int) -> Mapping[str, Sequence[tuple[str, int]]]:
        """By limit, who was refused most in the last five to ten minutes and how often; most first."""
        ...


def totals_of(
    services: Mapping[str, Sequence[int]], limits: Mapping[str, Sequence[int]]
) -> Iterator[tuple[str, int]]:
    """What is added to which total."""
    for service, (requests, errors, *_) in services.items():
        yield f"requests:{service}", requests
        yield f"errors:{service}", errors
    for limit, decisions in limits.items():
        for decision, number in zip(DECISIONS, decisions, strict=True):
            yield f"limit:{limit}:{decision}", number


def whole_slots(seconds: int) -> int:
    """So many seconds or a little more, as whole slots, and no more than are kept."""
    return min(-(-seconds // SLOT_S) * SLOT_S, KEPT_S)
