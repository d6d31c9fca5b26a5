"""Why a request is not forwarded: every refusal but denials and outages, with what its caller is told.

By status. What each field means stands at GatewayError.
"""

from __future__ import annotations

from falcongate.errors import GatewayError


class Refusal(GatewayError):
    """We decided not to forward.

    In words of RFC 9209: by a rule (`http_request_denied`), because the request is not as it must be
    (`http_request_error`), because of what it is for, or because we cannot (`proxy_internal_error`).
    """

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


class SessionUnknown(Refusal):
    """The target that keeps the caller's session is gone, so nobody knows it any more.

    `code` and `message` are what an Engine.IO server says that does not know a session; clients begin
    a new one then.
    """

    status = 400
    problem = "session-unknown"
    title = "Session ID unknown"
    suggestion = "Begin a new session."
    detail = "The server that kept this session is gone."
    proxy_status = "destination_unavailable"

    def __init__(self) -> None:
        super().__init__()
        self.members = {"code": 1, "message": "Session ID unknown"}


class NoSuchBreaker(Refusal):
    """No service or target has a breaker of this name."""

    status = 404
    problem = "no-such-breaker"
    title = "No such breaker"
    suggestion = "Take a name from /circuit-breaker/status/."
    detail = "No service or target has this name."
    proxy_status = "http_request_error"


class NoSuchDecision(Refusal):
    """Nothing is known of why a request was answered as it was."""

    status = 404
    problem = "no-such-decision"
    title = "Nothing is known of this request"
    suggestion = (
        "Of requests that were answered in order only some are kept (decisions.ratio), of all others the last"
        " (decisions.keep) of a day; look for its id in the access log."
    )
    detail = "No decision on a request of this id is kept."
    proxy_status = "http_request_error"


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
    proxy_status = "http_request_error"


class CallerTimedOut(Refusal):
    """The caller did not send its head or body in time."""

    status = 408
    problem = "request-timeout"
    title = "The request arrived too slowly"
    suggestion = "Send the whole request without long pauses."
    detail = "The request was not received in time."
    proxy_status = "http_request_error"
    closes = True


class BodyTooLarge(Refusal):
    """The body is over `max_body_bytes` of its service."""

    status = 413
    problem = "body-too-large"
    title = "Request body too large"
    suggestion = "Send a smaller body, or ask the operator to raise the limit."
    detail = "The request body is larger than this route accepts."
    proxy_status = "http_request_error"
    closes = True


class TargetTooLong(Refusal):
    """The request line is over `max_request_line_bytes`."""

    status = 414
    problem = "uri-too-long"
    title = "Request line too long"
    suggestion = "Send long parameters in the body."
    detail = "The request line is longer than the gateway accepts."
    proxy_status = "http_request_error"
    closes = True


class LimitReached(Refusal):
    """One limit or more of this caller is used up. `policies` are their names.

    `violated-policies` is a member of draft-ietf-httpapi-ratelimit-headers-10, section 6.
    """

    status = 429
    problem = "limit-reached"
    title = "Too many requests"
    suggestion = "Wait for the time in Retry-After, then go on more slowly."

    def __init__(self, policies: tuple[str, ...], *, retry_after_s: int) -> None:
        super().__init__(f"Reached: {', '.join(policies)}.", retry_after_s=retry_after_s)
        self.policies = policies
        self.members = {"violated-policies": policies}


class TooManyAtOnce(Refusal):
    """As many requests of this caller are in flight as a concurrency limit lets be."""

    status = 429
    problem = "too-many-at-once"
    title = "Too many requests at the same time"
    suggestion = "Wait for answers before sending more."

    def __init__(self, policy: str, *, retry_after_s: int) -> None:
        super().__init__(f"Reached: {policy}.", retry_after_s=retry_after_s)
        self.members = {"violated-policies": (policy,)}


class UpgradeRequired(Refusal):
    """Another version of WebSocket than the one that there is (RFC 6455, 4.4)."""

    status = 426
    problem = "upgrade-required"
    title = "Another version of WebSocket"
    suggestion = "Use version 13."
    detail = "Only version 13 of WebSocket is spoken here."
    proxy_status = "http_request_error"

    def __init__(self) -> None:
        super().__init__(headers=(("Sec-WebSocket-Version", "13"), ("Upgrade", "websocket")))


class HeadTooLarge(Refusal):
    """The head is over `max_head_bytes` or has more than `max_headers` fields."""

    status = 431
    problem = "header-fields-too-large"
    title = "Request header fields too large"
    suggestion = "Send fewer or shorter headers; very often it is cookies."
    detail = "The request headers are larger than the gateway accepts."
    proxy_status = "http_request_error"
    closes = True


class UnsupportedCoding(Refusal):
    """A transfer coding other than chunked, or a method that nobody knows (RFC 9110, 15.6.2)."""

    status = 501
    problem = "not-implemented"
    title = "Not implemented"
    suggestion = "Use a registered method and no transfer coding but chunked."
    detail = "The gateway does not implement what this request needs."
    proxy_status = "http_request_error"
    closes = True


class Saturated(Refusal):
    """Every connection to the service is in use and none came free in time."""

    status = 503
    problem = "saturated"
    title = "The service is saturated"
    suggestion = "Try again after the time in Retry-After."
    detail = "Too many requests are waiting for this service."
    proxy_status = "connection_limit_reached"


class CircuitOpen(Refusal):
    """The service fails, and is spared until it has shown that it works again."""

    status = 503
    problem = "circuit-open"
    title = "The service is spared after failures"
    suggestion = "Try again after the time in Retry-After."
    detail = "The service has failed too often; requests are held off until it works again."
    proxy_status = "destination_unavailable"


class ServiceDisabled(Refusal):
    """An operator has taken the service out of traffic."""

    status = 503
    problem = "service-disabled"
    title = "The service is taken out of service"
    suggestion = "Try again after the time in Retry-After."
    detail = "An operator has taken the service out of traffic."
    proxy_status = "destination_unavailable"


class ServiceFull(TooManyAtOnce):
    """The same where it is not this caller's requests that are counted, but all."""

    status = 503
    problem = "service-full"
    title = "The service has enough to do"
    suggestion = "Try again after the time in Retry-After."
