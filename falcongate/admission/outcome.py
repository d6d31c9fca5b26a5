"""What an exchange that has ended says about its service; pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Collection

    from falcongate.exchange import Exchange
    from falcongate.state.store import Outcome


def outcome_of(
    exchange: Exchange, failure_statuses: Collection[int], *, is_of_target: bool = False
) -> Outcome:
    """FAILURE if the service could not be reached, broke off, or answered with one of these statuses.

    IGNORED where nothing is known of it: a request that we refused, or a caller who left before there was
    an answer. A request that had no choice but the target of its session says what it failed of that
    target alone, not of a service that may have others. Whatever was answered else is a SUCCESS: what
    callers do wrong says nothing against the service.
    """
    if exchange.failed_at is not None:
        return "IGNORED" if exchange.pinned_target and not is_of_target else "FAILURE"
    head = exchange.service_head
    if head is None:
        return "IGNORED"
    return "FAILURE" if head.status in failure_statuses else "SUCCESS"
