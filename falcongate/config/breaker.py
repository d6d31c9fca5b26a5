"""Settings of circuit breakers: when a service is spared, for how long, and how it comes back."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from falcongate.config.model import Settings
from falcongate.config.values import NotBoolean, Seconds, Share

Count = Annotated[int, Field(ge=0, le=1_000_000), NotBoolean]
Places = Annotated[int, Field(ge=1, le=1_000), NotBoolean]


class BreakerSettings(Settings):
    """When a service is spared and how it comes back; a service's own table changes what it says."""

    enabled: bool = True
    """Whether there is a breaker at all."""

    max_failures: Count = 5
    """Failures within the window that open it. 0: their number alone never does."""

    failure_ratio: Share = 0
    """Share of failed calls in the window that opens it. 0: the share alone never does."""

    slow_call_s: Annotated[float, Field(ge=0, le=3_600), NotBoolean] = 0
    """Seconds to the head of the answer from which on a call is slow. 0: none is."""

    slow_ratio: Share = 0
    """Share of slow calls in the window that opens it. 0: slowness alone never does."""

    min_calls: Annotated[int, Field(ge=1, le=1_000_000), NotBoolean] = 20
    """Calls in the window before a share means anything."""

    window_s: Annotated[float, Field(ge=1, le=3_600), NotBoolean] = 60
    """Seconds that are looked back."""

    open_s: Seconds = 30
    """Seconds from opening to the first probe."""

    max_open_s: Seconds = 600
    """Longest such time: it doubles each time that a probe fails."""

    probes: Places = 3
    """Most requests that try a half-open service at the same time, on all hosts together."""

    successes: Places = 3
    """Probes that must succeed to close it; the first that fails opens it again."""

    ramp_s: Annotated[float, Field(ge=0, le=3_600), NotBoolean] = 10
    """Seconds over which a service that came back gets its full traffic again. 0: at once."""

    quorum: Places = 1
    """Hosts that must see it fail before it opens for all; one that is alone opens it for itself."""

    per_target: bool = False
    """A breaker for each target; a service is refused only when all of its targets are."""

    failure_statuses: tuple[Annotated[int, Field(ge=500, le=599), NotBoolean], ...] = (502, 503, 504)
    """Answers that count as failures; below 500 none can."""
