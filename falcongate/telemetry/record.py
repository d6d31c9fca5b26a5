"""What is told of one finished request, as plain values."""

from __future__ import annotations

from time import monotonic
from typing import Final, NamedTuple

from falcongate.errors import AttemptFailure, GatewayError
from falcongate.telemetry.trace import Trace  # noqa: TC001  # a compiled Record is made with it

CUT_OFF: Final = "cut-off"
"""How an attempt fails that was given up: its caller left, or the worker ended."""


class Tried:
    """One attempt at one target, noted while it goes on.

    Times are monotonic seconds, 0 where it did not come so far: `began` when it was decided on, `connected`
    when it had a connection, which `is_reused` if it was there before, `sent` when the head and what was
    there of the body was out, or all of the body if that was before the answer, `answered` with the head of
    the answer, `ended` when its connection was free again. `status` is the service's answer, 0 without one.
    `failure` is the problem type of what it failed of, or CUT_OFF; `reason` that in words for operators, who
    may see addresses. `span_id` is what its service knows it by in a trace, "" without.
    """

    __slots__ = (
        "answered",
        "began",
        "connected",
        "ended",
        "failure",
        "is_reused",
        "reason",
        "sent",
        "span_id",
        "status",
        "target",
    )

    def __init__(self, target: str) -> None:
        self.target = target
        self.began = monotonic()
        self.connected = self.sent = self.answered = self.ended = 0.0
        self.status = 0
        self.is_reused = False
        self.failure = self.reason = self.span_id = ""

    def end(self, failure: str = "", reason: str = "") -> None:
        """It is over; how it failed counts once."""
        self.ended = self.ended or monotonic()
        self.failure = self.failure or failure
        self.reason = self.reason or reason

    def fail(self, error: BaseException) -> None:
        """It is over, before there was an answer to pass on."""
        if isinstance(error, AttemptFailure):
            self.end(error.problem, f"{error.stage}: {error.reason or error.kind.title}")
        elif isinstance(error, GatewayError):
            self.end(error.problem, error.detail)
        else:
            self.end(CUT_OFF, str(error) or type(error).__name__)


class Record(NamedTuple):
    """One request that has ended. `ended` is wall time in seconds, `path` is without its query.

    A query may hold secrets, so nobody here ever sees it. `route` is the prefix of the route that was taken.
    `answered_by` is `service`, `gateway`, or `nobody` if the caller had left. `first_byte_s` is the time to
    the head of the answer, 0 if there was none. `identity` is who the caller has proven to be, like
    `token:jane`. `admitted_by` are the limits that had room for it; of those on rates, the ones in shadow
    mode are included whatever they found. `refused_by` are the rules and limits that refused it,
    `would_refuse` those in shadow mode that would have. `charged` are the limits that were asked, each with
    whom it counts. `trace_id` is "" where nothing is traced, `trace` None where nobody will be told of it.
    """

    ended: float
    request_id: str
    method: str
    path: str
    service: str
    route: str
    status: int
    answered_by: str
    problem: str
    reason: str
    duration_s: float
    first_byte_s: float
    service_s: float
    received_bytes: int
    sent_bytes: int
    caller: str
    identity: str
    tried: tuple[Tried, ...]
    admitted_by: tuple[str, ...]
    refused_by: tuple[str, ...]
    would_refuse: tuple[str, ...]
    charged: tuple[tuple[str, str], ...] = ()
    trace_id: str = ""
    trace: Trace | None = None


def is_error(record: Record) -> bool:
    """Whether a request failed behind its caller: a 5xx, or an answer that was cut short on its way.

    What a caller has done wrong is none, nor that it left. What was made good has a later attempt.
    """
    if record.status >= 500:
        return True
    return record.status < 400 and bool(record.tried) and bool(record.tried[-1].failure)


def has_failed_of_service(tried: Tried, record: Record) -> bool:
    """Whether this attempt of a request failed, and not because of the request or its caller."""
    # A request that is refused while it is sent, as it is too large, gives its problem to the attempt.
    return bool(tried.failure) and tried.failure not in (CUT_OFF, record.problem)
