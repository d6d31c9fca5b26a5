"""Framing: how a body's end is known, on both sides."""

from __future__ import annotations

import hashlib

import pytest

from tests.support.callers import chunks, request_bytes
from tests.support.upstreams import Conversation, answering, ok
from tests.support.wire import Stalled
from tests.support.world import Visit, echoed

EXPECT = ("Expect", "100-continue")


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE", "GET"])
def test_a_body_of_fixed_length_arrives_with_its_length(world: Visit, method: str) -> None:
    body = b"0123456789" * 50
    echo = world.echo(method, "/api/honest/x", body=body)
    assert echo.get("Content-Length") == "500"
    assert echo.all("Transfer-Encoding") == []
    assert (echo.body_bytes, echo.body_sha256) == (500, hashlib.sha256(body).hexdigest())


def test_an_empty_body_arrives_as_an_empty_body(world: Visit) -> None:
    assert world.echo("POST", "/api/honest/x", body=b"").get("Content-Length") == "0"


def test_a_chunked_body_arrives_chunked(world: Visit) -> None:
    with world.caller() as caller:
        caller.send(request_bytes("POST", "/api/honest/x", [("Transfer-Encoding", "chunked")]))
        caller.send(b"5;name=value\r\nhello\r\n6\r\n world\r\n0\r\n\r\n")
        echo = echoed(caller.answer())
        assert (echo.get("Transfer-Encoding"), echo.all("Content-Length")) == ("chunked", [])
        assert echo.body_sha256 == hashlib.sha256(b"hello world").hexdigest()
        assert caller.get("/api/honest/x").status == 200


@pytest.mark.parametrize("name", ["X-Sum", "Host", "Authorization", "Content-Length", "X-Forwarded-For"])
def test_trailers_of_the_caller_are_dropped(world: Visit, name: str) -> None:
    with world.caller() as caller:
        caller.send(
            request_bytes("POST", "/api/honest/x", [("Transfer-Encoding", "chunked"), ("Trailer", name)])
        )
        caller.send(chunks(b"hello", last=f"0\r\n{name}: 66\r\n\r\n".encode()))
        answer = caller.answer()
        if world.gateway.kind == "gevent" and answer.status == 400:
            return  # gunicorn refuses some trailers, where we drop them all
        echo = echoed(answer)
        assert echo.trailers == []
        assert "66" not in echo.all(name)
        assert echo.body_bytes == 5
        assert caller.get("/api/honest/x").status == 200


def test_trailers_of_the_service_are_dropped(world: Visit) -> None:
    with world.caller() as caller:
        answer = caller.get("/api/honest/chunked?bytes=10")
        assert (answer.content, answer.body.trailers) == (answer.content[:10], [])
        assert answer.all("Trailer") == []
        assert caller.get("/api/honest/x").status == 200


@pytest.mark.parametrize("count", [0, 1, 65_535, 65_536, 300_000])
@pytest.mark.parametrize("path", ["fixed", "chunked", "until-close"])
def test_the_caller_s_connection_goes_on_after_a_body_of_any_framing(
    world: Visit, path: str, count: int
) -> None:
    with world.caller() as caller:
        answer = caller.get(f"/api/honest/{path}?bytes={count}&size=10000")
        assert len(answer.content) == count
        assert answer.body.framing == ("length" if path == "fixed" else "chunked")
        assert caller.get("/api/honest/x").status == 200


def test_head_tells_the_length_and_sends_nothing(world: Visit) -> None:
    with world.caller() as caller:
        answer = caller.exchange("HEAD", "/api/honest/fixed?bytes=12345")
        assert answer.get("Content-Length") == "12345"
        caller.expect_silence()
        assert caller.get("/api/honest/x").status == 200


def test_head_of_a_chunked_answer_sends_nothing(world: Visit) -> None:
    with world.caller() as caller:
        assert caller.exchange("HEAD", "/api/honest/chunked?bytes=10").status == 200
        caller.expect_silence()
        assert caller.get("/api/honest/x").status == 200


@pytest.mark.parametrize("status", [204, 304])
def test_an_answer_without_body_has_none(world: Visit, status: int) -> None:
    with world.caller() as caller:
        answer = caller.get(f"/api/honest/status/{status}")
        assert answer.status == status
        assert answer.all("Transfer-Encoding") == []
        assert status == 304 or answer.all("Content-Length") == []
        caller.expect_silence()
        assert caller.get("/api/honest/x").status == 200


def test_304_may_tell_the_length_of_what_it_does_not_send(world: Visit) -> None:
    raw = b'HTTP/1.1 304 Not Modified\r\nETag: "a"\r\nContent-Length: 500\r\n\r\n'
    service = world.service(answering(raw))
    with world.caller() as caller:
        for _ in range(3):
            assert caller.get(service.path()).get("ETag") == '"a"'
        assert caller.get("/api/honest/x").status == 200


def test_continue_is_said_before_the_body_is_read(world: Visit) -> None:
    with world.caller() as caller:
        caller.send(request_bytes("POST", "/api/honest/x", [EXPECT, ("Content-Length", "5")]))
        assert caller.reader.head().start.startswith("HTTP/1.1 100")
        caller.send(b"hello")
        assert echoed(caller.answer()).body_bytes == 5


def test_continue_is_not_waited_for(world: Visit) -> None:
    with world.caller() as caller:
        caller.send(request_bytes("POST", "/api/honest/x", [EXPECT], b"hello"))
        assert echoed(caller.answer()).body_bytes == 5
        assert caller.get("/api/honest/x").status == 200


@pytest.mark.own_worker("gunicorn says 100 before the application can refuse")
@pytest.mark.parametrize(
    ("path", "length", "status"),
    [
        ("/api/nobody", 5, 404),
        ("/api/small/x", 1001, 413),
        ("/api/honest/%2e%2e", 5, 400),
        ("/health/", 5, 405),
    ],
)
def test_what_is_refused_is_refused_before_the_body_is_asked_for(
    world: Visit, path: str, length: int, status: int
) -> None:
    with world.caller() as caller:
        caller.send(request_bytes("POST", path, [EXPECT, ("Content-Length", str(length))]))
        answer = caller.answer()
        assert (answer.status, answer.interim) == (status, [])


def test_an_http10_caller_is_never_told_to_continue(world: Visit) -> None:
    with world.caller() as caller:
        answer = caller.exchange("POST", "/api/honest/x", [EXPECT], b"hello", version="HTTP/1.0")
        assert (answer.status, answer.interim) == (200, [])


def _early(conversation: Conversation) -> None:
    conversation.read_head()
    conversation.send(b"HTTP/1.1 401 Unauthorized\r\nConnection: close\r\nContent-Length: 5\r\n\r\nearly")
    conversation.left()


@pytest.mark.own_worker("a read of WSGI's input cannot be interrupted: there an answer waits for the upload")
def test_an_early_answer_reaches_a_caller_who_still_uploads(world: Visit) -> None:
    service = world.service(_early)
    with world.caller() as caller:
        caller.send(request_bytes("POST", service.path(), [("Content-Length", "1000000000")]) + b"x" * 1000)
        answer = caller.answer()
        assert (answer.status, answer.content) == (401, b"early")


@pytest.mark.own_worker("a read of WSGI's input cannot be interrupted: there an answer waits for the upload")
def test_an_early_answer_and_a_hang_up_reach_a_caller_who_still_uploads(world: Visit) -> None:
    def handler(conversation: Conversation) -> None:
        conversation.read_head()
        conversation.send(b"HTTP/1.1 413 Too Large\r\nContent-Length: 5\r\n\r\nearly")

    service = world.service(handler)
    with world.caller() as caller:
        caller.send(request_bytes("POST", service.path(), [("Content-Length", "1000000000")]))
        service.upstream.conversation().ended.wait(5)
        caller.send_unless_closed(b"x" * 100_000)
        answer = caller.answer()
        assert (answer.status, answer.content) == (413, b"early")


@pytest.mark.own_worker("a read of WSGI's input cannot be interrupted: there an answer waits for the upload")
def test_after_an_early_answer_the_rest_of_the_body_is_not_a_request(world: Visit) -> None:
    service = world.service(_early)
    smuggled = request_bytes("GET", "/api/honest/behind-an-early-answer")
    with world.caller() as caller:
        caller.send(
            request_bytes("POST", service.path(), [("Content-Length", str(500 + len(smuggled)))]) + b"x" * 500
        )
        assert caller.answer().status == 401
        caller.send_unless_closed(smuggled)
        try:
            caller.expect_closed(within_s=1)
        except Stalled:
            assert caller.get("/api/honest/x").status == 200
    assert "/api/honest/behind-an-early-answer" not in world.honest.begun


@pytest.mark.own_worker("a read of WSGI's input cannot be interrupted: there an answer waits for the upload")
def test_a_service_connection_with_half_an_upload_is_not_used_again(world: Visit) -> None:
    def handler(conversation: Conversation) -> None:
        if conversation.number == 0:
            conversation.read_head()
            conversation.send(ok(b"early"))
            conversation.left(within_s=5)
        else:
            answering(ok(b"fresh"))(conversation)

    service = world.service(handler)
    with world.caller() as caller:
        caller.send(request_bytes("POST", service.path(), [("Content-Length", "100")]) + b"x")
        assert caller.answer().content == b"early"
    assert world.get(service.path()).content == b"fresh"
