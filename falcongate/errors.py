"""What can go wrong with a request, as values that carry their own meaning.

Here are refusals (we decided not to forward), attempt failures (a service or a caller broke
off) and configuration mistakes. How they become a response is `middleware/problem.py`; what
they mean for a breaker or a retry is read from their fields, never from their text.
"""

from __future__ import annotations

import errno
from dataclasses import dataclass
from enum import StrEnum


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
    an address or a name from inside. `closes` says that the caller's connection cannot be used
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


class Refusal(GatewayError):
    """We decided not to forward."""

    proxy_status = "http_request_denied"


class MalformedRequest(Refusal):
    """The request has no meaning or more than one (RFC 9112)."""

    status = 400
    problem = "malformed-request"
    title = "Malformed request"
    suggestion = "Send a request that follows RFC 9112."
    detail = "The request could not be understood."
    proxy_status = "http_request_error"
    closes = True


class AmbiguousPath(MalformedRequest):
    """A path that different readers would read differently; its framing is sound."""

    problem = "ambiguous-path"
    title = "Ambiguous path"
    suggestion = "Send the path without dot segments, encoded slashes, backslashes or controls."
    detail = "The path can be read in more than one way."
    closes = False


class NoRoute(Refusal):
    """No configured service answers this path."""

    status = 404
    problem = "no-route"
    title = "No such route"
    suggestion = "Check the path: it must begin with the path of a configured service."
    detail = "No service is configured for this path."
    proxy_status = "destination_not_found"


class MethodNotAllowed(Refusal):
    """A method that is not for this resource, or never forwarded (CONNECT, TRACE)."""

    status = 405
    problem = "method-not-allowed"
    title = "Method not allowed"
    suggestion = "Use one of the methods in the Allow header."
    detail = "This method is not allowed here."


class CallerTimedOut(Refusal):
    """The caller did not send its head or body in time."""

    status = 408
    problem = "request-timeout"
    title = "The request arrived too slowly"
    suggestion = "Send the whole request without long pauses."
    detail = "The request was not received in time."
    closes = True


class BodyTooLarge(Refusal):
    """The body is over `max_body_bytes` of its service."""

    status = 413
    problem = "body-too-large"
    title = "Request body too large"
    suggestion = "Send a smaller body, or ask the operator to raise the limit."
    detail = "The request body is larger than this route accepts."
    closes = True


class TargetTooLong(Refusal):
    """The request line is over `max_request_line_bytes`."""

    status = 414
    problem = "uri-too-long"
    title = "Request line too long"
    suggestion = "Send long parameters in the body."
    detail = "The request line is longer than the gateway accepts."
    closes = True


class HeadTooLarge(Refusal):
    """The head is over `max_head_bytes` or has more than `max_headers` fields."""

    status = 431
    problem = "header-fields-too-large"
    title = "Request header fields too large"
    suggestion = "Send fewer or shorter headers; very often it is cookies."
    detail = "The request headers are larger than the gateway accepts."
    closes = True


class UnsupportedCoding(Refusal):
    """A transfer coding other than chunked, or a method that nobody knows (RFC 9110, 15.6.2)."""

    status = 501
    problem = "not-implemented"
    title = "Not implemented"
    suggestion = "Use a registered method and no transfer coding but chunked."
    detail = "The gateway does not implement what this request needs."
    closes = True


class Saturated(Refusal):
    """Every connection to the service is in use and none came free in time."""

    status = 503
    problem = "saturated"
    title = "The service is saturated"
    suggestion = "Try again after the time in Retry-After."
    detail = "Too many requests are waiting for this service."
    proxy_status = "connection_limit_reached"


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
TLS_FAILED = FailureKind(
    502,
    "service-tls-failed",
    "The service's TLS could not be verified",
    "A secure connection to the service could not be made.",
    "tls_certificate_error",
)
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

    suggestion = "Try again later; if it persists, report the request id."

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
