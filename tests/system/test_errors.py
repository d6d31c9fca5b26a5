"""What a caller is told when the gateway answers in a service's place."""

from __future__ import annotations

import pytest

from tests.support.callers import Answer, chunks, request_bytes
from tests.support.upstreams import answering, answering_then_closing
from tests.support.world import Visit

MEMBERS = {
    "type": str, "title": str, "status": int, "detail": str, "instance": str,
    "error": str, "details": object, "service": object, "request_id": str, "suggestion": str,
}  # fmt: skip


def assert_problem(answer: Answer, status: int, problem: str, *, service: str | None = None) -> None:
    assert (answer.status, answer.get("Content-Type")) == (status, "application/problem+json"), str(answer)
    document = answer.json()
    for member, kind in MEMBERS.items():
        assert isinstance(document[member], kind), member
    assert document["status"] == status
    assert document["type"] == f"/problems/{problem}"
    assert document["request_id"] == answer.get("X-Request-ID") == answer.get("X-Gateway-Request-ID")
    assert document["service"] == service
    assert answer.get("X-Gateway-Service") == service
    assert answer.get("X-Content-Type-Options") == "nosniff"
    assert "error=" in (answer.get("Proxy-Status") or "")
    for secret in (b"127.0.0.1", b"localhost", b"Traceback", b"Errno", b"0x", b".py"):
        assert secret not in answer.content


def test_no_route(world: Visit) -> None:
    answer = world.get("/api/nobody/x?secret=1")
    assert_problem(answer, 404, "no-route")
    assert "secret" not in str(answer.json()["instance"])


def test_a_service_that_speaks_nonsense(world: Visit) -> None:
    service = world.service(answering_then_closing(b"220 smtp.internal ESMTP\r\n"))
    assert_problem(world.get(service.path()), 502, "service-spoke-nonsense", service=service.name)


def test_a_service_that_closes_without_an_answer(world: Visit) -> None:
    service = world.service(answering_then_closing(b""))
    assert_problem(world.exchange("POST", service.path()), 502, "service-broke-off", service=service.name)


def test_a_service_that_resets_without_an_answer(world: Visit) -> None:
    service = world.service(answering_then_closing(b"", with_reset=True))
    assert_problem(world.exchange("POST", service.path()), 502, "service-broke-off", service=service.name)


@pytest.mark.parametrize("path", ["/api/honest/../x", "/api/honest/%2e%2e/x", "/api/honest/a%2fb"])
def test_an_ambiguous_path(world: Visit, path: str) -> None:
    assert_problem(world.get(path), 400, "ambiguous-path")


def test_a_body_over_the_service_s_limit_is_refused_by_its_length(world: Visit) -> None:
    before = len(world.honest.begun)
    with world.caller() as caller:
        caller.send(request_bytes("POST", "/api/small/sink", [("Content-Length", "1001")]))
        answer = caller.answer()
        assert_problem(answer, 413, "body-too-large", service="small")
    assert len(world.honest.begun) == before


def test_a_body_at_the_limit_passes(world: Visit) -> None:
    assert world.exchange("POST", "/api/small/sink", body=b"x" * 1000).json()["bytes"] == 1000


def test_a_chunked_body_over_the_limit_never_arrives_as_whole(world: Visit) -> None:
    before = list(world.honest.finished)
    with world.caller() as caller:
        caller.send(request_bytes("POST", "/api/small/sink", [("Transfer-Encoding", "chunked")]))
        caller.send_unless_closed(chunks(*[b"x" * 100] * 11))
        assert_problem(caller.answer(), 413, "body-too-large", service="small")
    assert world.honest.finished == before


@pytest.mark.own_worker("gunicorn refuses these itself, in its own words")
def test_what_the_parser_refuses_is_a_problem_too_and_ends_the_connection(world: Visit) -> None:
    for raw, status, problem in [
        (b"GET / HTTP/1.1\r\nHost: a\r\nContent-Length: x\r\n\r\n", 400, "malformed-request"),
        (b"GET /api/honest/x\r\n\r\n", 400, "malformed-request"),
        (request_bytes("GET", "/api/honest/" + "a" * 9000), 414, "uri-too-long"),
        (request_bytes("GET", "/", [("X-Long", "a" * 40_000)]), 431, "header-fields-too-large"),
        (request_bytes("GET", "/", [(f"X-{n}", "1") for n in range(101)]), 431, "header-fields-too-large"),
        (b"GET / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip, chunked\r\n\r\n", 501, "not-implemented"),
    ]:
        with world.caller() as caller:
            caller.send_unless_closed(raw)
            answer = caller.answer()
            assert_problem(answer, status, problem)
            assert answer.get("Connection") == "close"
            caller.expect_closed()


def test_trace_is_refused_and_the_allowed_methods_are_told(world: Visit) -> None:
    answer = world.exchange("TRACE", "/api/honest/x")
    assert_problem(answer, 405, "method-not-allowed")
    assert "GET" in (answer.get("Allow") or "")


def test_an_error_to_head_has_no_body(world: Visit) -> None:
    with world.caller() as caller:
        answer = caller.exchange("HEAD", "/api/nobody/")
        assert answer.status == 404
        assert caller.get("/api/honest/x").status == 200


def test_after_an_error_of_the_service_the_caller_s_connection_goes_on(world: Visit) -> None:
    service = world.service(answering(b"HTTP/1.1 200 OK\r\nContent-Length: -5\r\n\r\n"))
    with world.caller() as caller:
        assert caller.get(service.path()).status == 502
        assert caller.get("/api/honest/x").status == 200


def test_after_an_ambiguous_path_the_caller_s_connection_goes_on(world: Visit) -> None:
    with world.caller() as caller:
        assert caller.get("/api/honest/%2e%2e/x").status == 400
        assert caller.get("/api/honest/x").status == 200


@pytest.mark.own_worker("gunicorn answers these by itself")
@pytest.mark.parametrize(
    "too_much", [[("X-Long", "a" * 40_000)], [(f"X-{n}", "1") for n in range(101)], [("Bad\x01", "1")]]
)
def test_a_page_can_read_why_its_request_was_refused_unread(
    world: Visit, too_much: list[tuple[str, str]]
) -> None:
    request_id = "a-page-s-own-id-0123456789"
    known = [("Origin", "https://app.example.com"), ("X-Request-ID", request_id)]
    with world.caller() as caller:
        caller.send_unless_closed(request_bytes("HEAD", "/", [*known, *too_much]))
        answer = caller.answer(to="HEAD")
    assert answer.status in (400, 431)
    assert answer.get("X-Request-ID") == request_id
    assert answer.get("Access-Control-Allow-Origin") == "https://app.example.com"
    assert answer.content == b""
    assert world.gateway.logged(request_id)["method"] == "HEAD"
