"""How an error becomes an answer: one document for all, and nothing of the inside in it."""

from __future__ import annotations

import json
import logging
from typing import Any

import falcon
import falcon.testing
import pytest

from falcongate import denials, errors, outages
from falcongate.errors import ANSWER_TIMEOUT, UNREACHABLE, AttemptFailure, CallerLeft, GatewayError, Stage
from falcongate.exchange import EXCHANGE, Exchange
from falcongate.middleware.problem import CALLER_LEFT_STATUS, add_error_handlers, render_problem
from falcongate.refusals import (
    BodyTooLarge,
    LimitReached,
    MethodNotAllowed,
    NoRoute,
    Refusal,
    Saturated,
    ServiceFull,
    TooManyAtOnce,
)
from falcongate.upstream.answer import parse_answer
from tests.unit.making import REQUEST_ID, make_exchange, make_match, make_route

INSIDE = "10.0.0.1:6379 refused"

# RFC 9209, 2.3: all that is registered and may be said of an answer that a proxy made itself.
PROXY_ERRORS = {
    "dns_timeout", "dns_error", "destination_not_found", "destination_unavailable",
    "destination_ip_prohibited", "destination_ip_unroutable", "connection_refused", "connection_terminated",
    "connection_timeout", "connection_read_timeout", "connection_write_timeout", "connection_limit_reached",
    "tls_protocol_error", "tls_certificate_error", "tls_alert_received", "http_request_error",
    "http_request_denied", "http_response_incomplete", "http_response_header_section_size",
    "http_response_header_size", "http_response_body_size", "http_response_trailer_section_size",
    "http_response_trailer_size", "http_response_transfer_coding", "http_response_content_coding",
    "http_response_timeout", "http_upgrade_failed", "http_protocol_error", "proxy_internal_response",
    "proxy_internal_error", "proxy_configuration_error", "proxy_loop_detected",
}  # fmt: skip
# RFC 9209, 2.3.16: the proxy makes an answer to what the caller did wrong, beside what it forbids.
OF_THE_REQUEST = {400, 404, 405, 408, 413, 414, 426, 431, 501}


class FakeChannel:
    """Remembers that it was given up."""

    def __init__(self) -> None:
        self.is_abandoned = False

    def abandon(self) -> None:
        """What a caller that left is told."""
        self.is_abandoned = True


class Failing:
    """A door behind which this happens."""

    def __init__(self, error: Exception, stream: list[bytes]) -> None:
        self._error = error
        self._stream = stream

    def on_get(self, req: falcon.Request, resp: falcon.Response) -> None:
        """Fail after the answer was begun."""
        del req
        resp.stream = self._stream
        resp.set_header("X-Begun", "yes")
        raise self._error


def all_errors() -> list[GatewayError]:
    """One of each that can be answered."""
    kinds = [value for value in vars(errors).values() if isinstance(value, errors.FailureKind)]
    classes: list[type[GatewayError]] = [GatewayError]
    for each in classes:
        classes.extend(each.__subclasses__())
    assert {denials.Unauthorized, outages.StateUnavailable} <= set(classes)
    special = (AttemptFailure, LimitReached, TooManyAtOnce, ServiceFull)
    made: list[GatewayError] = [each() for each in classes if each not in special]
    made.append(LimitReached(("api", "daily"), retry_after_s=7))
    made += [kind("uploads", retry_after_s=1) for kind in (TooManyAtOnce, ServiceFull)]
    return made + [
        AttemptFailure(kind, stage=Stage.TLS, may_have_acted=True, reason=INSIDE) for kind in kinds
    ]


def answer_to(
    error: Exception, exchange: Exchange | None = None, *, method: str = "GET", path: str = "/fails"
) -> falcon.testing.Result:
    """What a caller is answered when `error` is raised."""
    app: falcon.App[Any, Any] = falcon.App()
    add_error_handlers(app)
    app.add_route("/fails", Failing(error, [b"begun"]))
    client = falcon.testing.TestClient(app)
    return client.simulate_request(method, path, extras={EXCHANGE: exchange or make_exchange()})


@pytest.mark.parametrize("error", all_errors(), ids=lambda error: f"{type(error).__name__}-{error.problem}")
def test_every_error_is_a_problem_document_that_says_what_to_do(error: GatewayError) -> None:
    exchange = make_exchange()
    exchange.route_match = make_match(make_route("hr"))
    result = answer_to(error, exchange)
    assert result.status_code == error.status
    assert result.headers["content-type"] == "application/problem+json"
    assert result.headers["cache-control"] == "no-store"
    assert result.headers["proxy-status"] == f"falcongate; error={error.proxy_status}"
    assert result.json == {
        "type": f"/problems/{error.problem}",
        "title": error.title,
        "status": error.status,
        "detail": error.detail,
        "instance": f"/requests/{REQUEST_ID}",
        "error": error.title,
        "details": error.detail,
        "service": "hr",
        "request_id": REQUEST_ID,
        "suggestion": error.suggestion,
        **json.loads(json.dumps(error.members)),
    }
    assert all(result.json.values())
    assert (exchange.problem, exchange.detail) == (error.problem, error.detail)
    assert INSIDE not in result.text


@pytest.mark.parametrize("error", all_errors(), ids=lambda error: f"{type(error).__name__}-{error.problem}")
def test_every_error_is_called_by_a_name_that_proxies_have_for_it(error: GatewayError) -> None:
    assert error.proxy_status in PROXY_ERRORS
    if error.proxy_status == "http_request_error":
        assert error.status in OF_THE_REQUEST
    if error.proxy_status == "http_request_denied":
        assert error.status in (401, 403, 429) or type(error) in (ServiceFull, Refusal)
    if error.proxy_status == "proxy_internal_error":
        assert error.status in (500, 503)


def test_a_service_is_named_only_where_one_was_found() -> None:
    assert json.loads(render_problem(NoRoute(), make_exchange()))["service"] is None


def test_what_was_begun_of_another_answer_is_not_sent() -> None:
    exchange = make_exchange()
    exchange.service_head = parse_answer(b"HTTP/1.1 200 OK\r\n\r\n")
    result = answer_to(AttemptFailure(ANSWER_TIMEOUT, stage=Stage.RELAY_BODY, may_have_acted=True), exchange)
    assert exchange.service_head is None
    assert b"begun" not in result.content
    assert result.json["status"] == 504


def test_when_to_come_back_is_said_only_where_it_is_known() -> None:
    assert answer_to(Saturated(retry_after_s=0)).headers["retry-after"] == "0"
    assert "retry-after" not in answer_to(Saturated()).headers


def test_an_error_brings_its_own_headers_and_words() -> None:
    result = answer_to(MethodNotAllowed("TRACE is not allowed.", headers=(("Allow", "GET"), ("X-A", "b"))))
    assert result.headers["allow"] == "GET"
    assert result.headers["x-a"] == "b"
    assert result.json["detail"] == result.json["details"] == "TRACE is not allowed."


@pytest.mark.parametrize(
    ("error", "closes"),
    [(BodyTooLarge(), True), (NoRoute(), False), (CallerLeft("x"), True), (RuntimeError("x"), False)],
)
def test_a_connection_is_closed_where_nobody_knows_what_comes_next(error: Exception, *, closes: bool) -> None:
    app: falcon.App[Any, Any] = falcon.App()
    add_error_handlers(app)
    app.add_route("/fails", Failing(error, []))
    environ = falcon.testing.create_environ("/fails")
    environ[EXCHANGE] = make_exchange()
    app(environ, falcon.testing.StartResponseMock())
    assert environ.get("falcongate.close", False) is closes


def test_a_defect_tells_the_log_everything_and_the_caller_nothing(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.ERROR):
        exchange = make_exchange()
        result = answer_to(RuntimeError(INSIDE), exchange)
    assert result.status_code == 500
    assert exchange.failure_reason == "RuntimeError"
    assert result.json["type"] == "/problems/internal-error"
    assert INSIDE not in result.text
    assert INSIDE in caplog.text
    assert REQUEST_ID in caplog.text


def test_a_caller_that_left_is_logged_as_such_and_answered_in_case_it_has_not() -> None:
    exchange = make_exchange()
    channel = FakeChannel()
    exchange.caller_channel = channel  # type: ignore[assignment]
    result = answer_to(CallerLeft("it closed its connection"), exchange)
    assert exchange.status == CALLER_LEFT_STATUS == 499
    assert exchange.problem == ""
    assert exchange.failure_reason == "the caller left: it closed its connection"
    assert channel.is_abandoned
    assert result.status_code == 400


def test_a_caller_that_left_need_not_have_a_channel() -> None:
    exchange = make_exchange()
    answer_to(CallerLeft("gone"), exchange)
    assert exchange.status == CALLER_LEFT_STATUS


@pytest.mark.parametrize(
    ("error", "status", "problem"),
    [
        (falcon.HTTPNotFound(), 404, "no-route"),
        (falcon.HTTPMethodNotAllowed(["GET", "HEAD"]), 405, "method-not-allowed"),
        (falcon.HTTPUnsupportedMediaType(description=INSIDE), 415, "internal-error"),
        (falcon.HTTPServiceUnavailable(description=INSIDE), 503, "internal-error"),
    ],
)
def test_what_falcon_refuses_is_answered_the_same_way(error: Exception, status: int, problem: str) -> None:
    result = answer_to(error)
    assert result.status_code == result.json["status"] == status
    assert result.json["type"] == f"/problems/{problem}"
    assert INSIDE not in result.text


def test_falcon_says_which_methods_there_are() -> None:
    result = answer_to(NoRoute(), method="POST")
    assert result.status_code == 405
    assert set(result.headers["allow"].split(", ")) == {"GET", "OPTIONS"}


def test_a_path_without_a_door_is_no_route() -> None:
    assert answer_to(NoRoute(), path="/nowhere").json["type"] == "/problems/no-route"


def test_an_unreachable_service_is_not_shown_to_the_caller() -> None:
    failure = AttemptFailure(UNREACHABLE, stage=Stage.CONNECT, may_have_acted=False, reason=INSIDE)
    result = answer_to(failure)
    assert result.status_code == 502
    assert INSIDE not in result.text
