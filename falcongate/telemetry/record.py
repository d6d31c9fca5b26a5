"""What is told of one finished request, as plain values."""

from __future__ import annotations

from typing import NamedTuple


class Record(NamedTuple):
    """One request that has ended. `ended` is wall time in seconds, `path` is without its query.

    A query may hold secrets, so nobody here ever sees it. `refused_by` are the limits that refused it,
    `would_refuse` those in shadow mode that would have.
    """

    ended: float
    request_id: str
    method: str
    path: str
    service: str
    status: int
    problem: str
    reason: str
    duration_s: float
    service_s: float
    received_bytes: int
    sent_bytes: int
    caller: str
    target: str
    attempts: int
    refused_by: tuple[str, ...]
    would_refuse: tuple[str, ...]
