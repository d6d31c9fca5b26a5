"""What can go wrong with a request, as values that carry their own meaning.

Here are attempt failures (a service or a caller broke off) and configuration mistakes; refusals (we
decided not to forward) have `refusals.py`. How they become a response is `middleware/problem.py`; what
they mean for a breaker or a retry is read from their fields, never from their text.
"""

from __future__ import annotations

import errno
from dataclasses import dataclass
from enum import StrEnum
from typing import Final


class Stage(StrEnum):
    """How far an attempt at a target had come when it failed."""

    CONNECT = "connect"
    TLS = "tls"
    SEND_HEAD = "send_head"
    SEND_BODY = "send_body"
    AWAIT_HEAD = "await_head"
    RELAY_BODY = "relay_body"


class GatewayError(Exception):
    """Whatever ends an exchange with an answer of ours.

    `status` is the HTTP status, `problem` the last part of the problem type, `title` its short
    human name, `suggestion` what the caller can do. `detail` is for the caller: it never holds
    an address or a name from inside. `members` stand in the problem document beside the usual ones.
    `closes` says that the caller's connection cannot be used
    again, because we no longer know where the next request on it would begin.
    """

    status = 500
    problem = "internal-error"
    title = "The gateway failed"
    suggestion = "Try again later; if it persists, report the request id."
    detail = "The gateway could not handle this request."
    proxy_status = "proxy_internal_error"
    closes = False

    def __init__(
        self,
        detail: str = "",
        *,
        retry_after_s: int | None = None,
        headers: tuple[tuple[str, str], ...] = (),
    ) -> None:
        super().__init__(detail or self.detail)
        if detail:
            self.detail = detail
        self.retry_after_s = retry_after_s
        self.headers = headers
        self.members: dict[str, object] = {}


@dataclass(frozen=True, slots=True)
class FailureKind:
    """One way in which an attempt fails, and what a caller is told of it."""

    status: int
    problem: str
    title: str
    detail: str
    proxy_status: str


UNREACHABLE = FailureKind(
    502,
    "service-unreachable",
    "The service could not be reached",
    "No connection to the service could be made.",
    "connection_refused",
)
CONNECT_TIMEOUT = FailureKind(
    504,
    "connect-timeout",
    "Connecting to the service timed out",
    "No connection to the service could be made in time.",
    "connection_timeout",
)
# One problem for callers, who can do the same about each; what it was is for the service's operators.
_NOT_SECURE = (
    502,
    "service-tls-failed",
    "No secure connection to the service",
    "A secure connection to the service could not be made.",
)
CERTIFICATE_REFUSED = FailureKind(*_NOT_SECURE, "tls_certificate_error")
TLS_NOT_SPOKEN = FailureKind(*_NOT_SECURE, "tls_protocol_error")
TLS_ALERT = FailureKind(*_NOT_SECURE, "tls_alert_received")
BROKE_OFF = FailureKind(
    502,
    "service-broke-off",
    "The service broke the connection",
    "The service closed the connection before it had answered.",
    "connection_terminated",
)
NOT_HTTP = FailureKind(
    502,
    "service-spoke-nonsense",
    "The service's answer was not valid HTTP",
    "The service's answer could not be understood.",
    "http_protocol_error",
)
ANSWER_TIMEOUT = FailureKind(
    504,
    "service-timeout",
    "The service did not answer in time",
    "The service did not answer in time.",
    "http_response_timeout",
)


class AttemptFailure(GatewayError):
    """An attempt at a target ended badly.

    `stage` says how far it had come; `may_have_acted` is False only when the
    service provably has not seen the request, so that sending it again cannot repeat anything.
    `is_stale` marks a kept connection that ended before any byte of an answer: most likely the
    service had closed it already. `reason` is for the log: it may name
    addresses and is never sent to a caller.
    """

    def __init__(
        self,
        kind: FailureKind,
        *,
        stage: Stage,
        may_have_acted: bool,
        is_stale: bool = False,
        reason: str = "",
    ) -> None:
        super().__init__(kind.detail)
        self.kind = kind
        self.status = kind.status
        self.problem = kind.problem
        self.title = kind.title
        self.proxy_status = kind.proxy_status
        self.stage = stage
        self.may_have_acted = may_have_acted
        self.is_stale = is_stale
        self.reason = reason

    @property
    def is_unreachable(self) -> bool:
        """Whether there was not even a connection."""
        return self.stage in (Stage.CONNECT, Stage.TLS)


CALLER_LEFT_STATUS: Final = 499
"""What is told of a caller that closed its connection before it was answered, in place of a status."""


class CallerLeft(Exception):
    """The caller closed its connection or broke off its own body; nobody is left to answer."""


class ResponseTruncated(ConnectionResetError):
    """The service's body ended early; only closing the caller's connection can say so.

    HTTP/1.1 has no other word for it once the head is out (RFC 9112, 8). It is a reset, because
    that is what every WSGI server takes as the order to close without another word.
    """

    def __init__(self, service: str) -> None:
        super().__init__(errno.ECONNRESET, f"the answer of {service} was cut short")


class StoreAway(Exception):
    """Shared state cannot be asked: a policy makes it share, open or closed; no caller sees it."""


@dataclass(frozen=True, slots=True)
class ConfigProblem:
    """One mistake in what the operator wrote: where, what was found, what to do."""

    source: str
    key: str
    found: str
    remedy: str

    def __str__(self) -> str:
        where = f"{self.source}: {self.key}" if self.key else self.source
        found = f" (found {self.found})" if self.found else ""
        return f"{where}: {self.remedy}{found}"


class ConfigError(Exception):
    """Every mistake of a configuration at once; nothing was started."""

    def __init__(self, problems: tuple[ConfigProblem, ...]) -> None:
        self.problems = problems
        super().__init__("\n".join(str(problem) for problem in problems))
