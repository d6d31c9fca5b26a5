"""Settings of what may pass: limits on requests in a time, and at the same time.

A policy says whom it counts and how much is let through; how it is counted is the business of
`admission` and `state`.
"""

from __future__ import annotations

import re
from typing import Annotated, Final, Literal, NamedTuple

from pydantic import Field, model_validator
from pydantic.functional_validators import AfterValidator

from falcongate.config.model import Settings
from falcongate.config.values import (
    SECONDS_IN,
    AtLeastOne,
    EmptyIsUnset,
    Method,
    NotBoolean,
    OneOrMany,
    PathPattern,
    ServiceName,
)

OWN_POLICY: Final = "key"
"""How limits are called that a caller's API key brings along."""

DECISIONS: Final = ("admitted", "refused", "would_refuse")
"""What a limit can say to a request."""

_RATE: Final = re.compile(r"([1-9][0-9]{0,8})/([1-9][0-9]{0,4})?(s|m|h|d)")
_KEY: Final = re.compile(
    r"caller_address|service|route|global|api_key|claim:[A-Za-z0-9_.-]{1,64}|header:[!#$%&'*+.^`|~0-9A-Za-z-]{1,64}"
)
_MAX_WINDOW_S: Final = 2_678_400


class Rate(NamedTuple):
    """At most `limit` in any interval of `window_s` seconds."""

    limit: int
    window_s: int


def parse_rate(text: str) -> Rate:
    """`200/m`, `10/s`, `1000/2h`: how many in how long. Raises ValueError."""
    found = _RATE.fullmatch(text)
    if found is None:
        raise ValueError("must be a number and a time like 200/m, 10/s, 1000/h or 50/30s")
    window_s = int(found[2] or 1) * SECONDS_IN[found[3]]
    if window_s > _MAX_WINDOW_S:
        raise ValueError("must not look back further than 31 days")
    return Rate(int(found[1]), window_s)


def _rate(text: str) -> str:
    parse_rate(text)
    return text


def _key(text: str) -> str:
    if not _KEY.fullmatch(text):
        raise ValueError("must be caller_address, claim:NAME, api_key, header:NAME, service, route or global")
    return text


RateText = Annotated[str, AfterValidator(_rate)]
KeyPart = Annotated[str, AfterValidator(_key)]
CallerKey = Annotated[tuple[KeyPart, ...], AtLeastOne, OneOrMany]
OnStoreFailure = Literal["share", "open", "closed"]
Mode = Literal["enforce", "shadow"]


class ScopeSettings(Settings):
    """Which requests a rule is for, and whether it only watches."""

    services: tuple[ServiceName, ...] = ()
    """Services it is for. Empty: all."""

    methods: tuple[Method, ...] = ()
    """Methods it is for. Empty: all."""

    paths: tuple[PathPattern, ...] = ()
    """Paths it is for, `*` for one segment and a final `**` for any rest. Empty: all."""

    mode: Mode = "enforce"
    """`shadow` reports what it would have refused, and refuses nothing."""


class PolicySettings(ScopeSettings):
    """Whom a policy counts, and what it does without Redis."""

    key: CallerKey = ("caller_address",)
    """Who shares one count: `caller_address` (IPv6 by /64), `claim:NAME` of a token that was checked,
    `api_key` (a key of `falcongate keys` that was checked, else the header X-API-Key), `header:NAME`,
    `service`, `route`, `global`, or a list of these for their combinations. A request that lacks one of
    them is counted by its address in its place."""

    on_store_failure: OnStoreFailure = "share"
    """Without Redis: `share` gives each host its part of the limit, `open` lets all pass, `closed` none."""


class LimitSettings(PolicySettings):
    """At most so many requests in any interval of a length."""

    rate: Annotated[tuple[RateText, ...], AtLeastOne, OneOrMany]
    """How many in how long, like `200/m`; several, like `["10/s", "1000/h"]`, all hold at once."""

    burst: Annotated[Annotated[int, Field(ge=1, le=1_000_000_000), NotBoolean] | None, EmptyIsUnset] = None
    """Most requests within one bucket of each window. Unset: all of the rate may come at once."""

    cost: Annotated[int, Field(ge=1, le=1_000_000), NotBoolean] = 1
    """How much of the rate one request uses."""

    buckets: Annotated[int, Field(ge=1, le=60), NotBoolean] = 10
    """Parts that a window is counted in. The oldest counts in full, so that never more than the rate
    passes; a caller who keeps to it steadily gets at least n/(n+1) of it."""

    @model_validator(mode="after")
    def _can_ever_pass(self) -> LimitSettings:
        smallest = min(parse_rate(rate).limit for rate in self.rate)
        if self.cost > smallest or (self.burst is not None and self.cost > self.burst):
            raise ValueError("cost is above the rate or the burst, so that no request could ever pass")
        return self


class ConcurrencySettings(PolicySettings):
    """At most so many requests at the same time, on all hosts together."""

    key: CallerKey = ("service",)
    """Who shares one count, as for limits; `service` unless it is said."""

    limit: Annotated[int, Field(ge=1, le=1_000_000), NotBoolean]
    """Most requests in flight."""

    lease_s: Annotated[float, Field(ge=1, le=3_600), NotBoolean] = 30
    """Seconds after which the places of a worker that died are free; a live one asks for more in time."""
