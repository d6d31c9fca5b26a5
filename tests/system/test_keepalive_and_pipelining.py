"""Several requests on one connection."""

from __future__ import annotations

import contextlib
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.support.callers import Caller, chunks, request_bytes
from tests.support.upstreams import answering, ok
from tests.support.wire import Ended, WireError
from tests.support.world import Visit


def test_a_connection_serves_many_requests(world: Visit) -> None:
    with world.caller() as caller:
        targets = [f"/api/honest/{number}" for number in range(50)]
        assert [caller.get(target).body.json()["target"] for target in targets] == targets


def test_connections_to_the_service_are_reused_between_callers(world: Visit) -> None:
    service = world.service(answering(ok()))
    for _ in range(10):
        assert world.get(service.path()).status == 200
    assert len(service.upstream.conversations) == 1


@pytest.mark.parametrize("value", ["close", "Close"])
def test_close_is_obeyed(world: Visit, value: str) -> None:
    with world.caller() as caller:
        answer = caller.get("/api/honest/x", [("Connection", value)])
        assert "close" in (answer.get("Connection") or "").lower()
        caller.expect_closed()


@pytest.mark.own_worker("gunicorn reads Connection as one word, not as a list")
@pytest.mark.parametrize("value", ["x-foo, close", "close,x-foo", "keep-alive, CLOSE"])
def test_close_within_a_list_is_obeyed(world: Visit, value: str) -> None:
    with world.caller() as caller:
        assert (
            "close" in (caller.get("/api/honest/x", [("Connection", value)]).get("Connection") or "").lower()
        )
        caller.expect_closed()


def test_close_of_the_service_is_its_own_affair(world: Visit) -> None:
    raw = b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok"
    service = world.service(answering(raw))
    with world.caller() as caller:
        for _ in range(3):
            answer = caller.get(service.path())
            assert (answer.content, "close" in (answer.get("Connection") or "")) == (b"ok", False)
    assert len(service.upstream.conversations) == 3


def test_an_http10_service_is_not_asked_twice_on_one_connection(world: Visit) -> None:
    service = world.service(answering(b"HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nok"))
    for _ in range(2):
        assert world.get(service.path()).content == b"ok"
    assert len(service.upstream.conversations) == 2


def test_pipelined_requests_are_answered_in_order(world: Visit) -> None:
    with world.caller() as caller:
        targets = [f"/api/honest/{number}" for number in range(20)]
        caller.send(b"".join(request_bytes("GET", target) for target in targets))
        assert [caller.answer().body.json()["target"] for _ in targets] == targets
        caller.expect_silence()


def test_pipelined_bodies_end_where_they_end(world: Visit) -> None:
    chunked = [("Transfer-Encoding", "chunked")]
    with world.caller() as caller:
        caller.send(
            request_bytes("POST", "/api/honest/1", body=b"GET /api/honest/in-a-body HTTP/1.1\r\n\r\n")
            + request_bytes("POST", "/api/honest/2", chunked) + chunks(b"abc", b"defg")
            + request_bytes("GET", "/api/honest/3")
            + request_bytes("HEAD", "/api/honest/fixed?bytes=5")
            + request_bytes("GET", "/api/nobody")
            + request_bytes("PUT", "/api/honest/4", body=b"")
        )  # fmt: skip
        assert caller.answer().body.json()["body_bytes"] == 38
        assert caller.answer().body.json()["body_bytes"] == 7
        assert caller.answer().body.json()["target"] == "/api/honest/3"
        assert caller.answer(to="HEAD").status == 200
        assert caller.answer().status == 404
        assert caller.answer().body.json()["method"] == "PUT"
    assert "/api/honest/in-a-body" not in world.honest.begun


def test_a_body_that_the_gateway_refused_to_read_is_not_the_next_request(world: Visit) -> None:
    smuggled = request_bytes("GET", "/api/honest/unread-body")
    after = request_bytes("GET", "/api/honest/after", [("Connection", "close")])
    with world.caller() as caller:
        caller.send(request_bytes("POST", "/api/nobody", body=smuggled) + after)
        assert caller.answer().status == 404
        with contextlib.suppress(Ended):  # ended at once, or served and then ended: both are right
            caller.reader.rest()
    assert "/api/honest/unread-body" not in world.honest.begun


def test_a_pipelined_request_after_close_is_not_served(world: Visit) -> None:
    with world.caller() as caller:
        caller.send(
            request_bytes("GET", "/api/honest/x", [("Connection", "close")])
            + request_bytes("GET", "/api/honest/after-close")
        )
        assert caller.answer().status == 200
        caller.expect_closed()
    assert "/api/honest/after-close" not in world.honest.begun


def test_answers_are_never_mixed_up(world: Visit) -> None:
    """Sixteen callers at once, each with forty requests of its own, and a tenth of them broken off."""

    def ask(number: int) -> list[str]:
        wrong = []
        for turn in range(40):
            target = f"/api/honest/caller-{number}/turn-{turn}"
            with Caller(world.gateway.address) as caller:
                if turn % 10 == number % 10:
                    caller.send(request_bytes("GET", f"{target}/broken-off"))
                    continue
                document = caller.exchange("POST", target, body=b"x" * turn).body.json()
                if (document["target"], document["body_bytes"]) != (target, turn):
                    wrong.append(f"{target} got {document}")
        return wrong

    with ThreadPoolExecutor(16) as pool:
        assert [wrong for wrongs in pool.map(ask, range(16)) for wrong in wrongs] == []


def test_a_request_in_single_bytes_is_a_request(world: Visit) -> None:
    with world.caller() as caller:
        for byte in request_bytes("POST", "/api/honest/x", body=b"abc"):
            caller.send(bytes([byte]))
        assert caller.answer().body.json()["body_bytes"] == 3


def test_an_empty_line_before_a_request_is_forgiven(world: Visit) -> None:
    with world.caller() as caller:
        caller.send(b"\r\n" + request_bytes("GET", "/api/honest/1"))
        assert caller.answer().status == 200


@pytest.mark.own_worker("gunicorn forgives it only within one packet")
def test_an_empty_line_on_its_own_is_forgiven(world: Visit) -> None:
    with world.caller() as caller:
        for _ in range(3):
            caller.send(b"\r\n")
            caller.expect_silence(for_s=0.1)
            assert caller.get("/api/honest/x").status == 200


@pytest.mark.own_worker("gunicorn has its own idea of these")
@pytest.mark.parametrize("before", [b"\n", b"\r\r\n", b"\n\r\r\n\n", b"\r\n" * 20])
def test_other_things_before_a_request_are_refused(world: Visit, before: bytes) -> None:
    with world.caller() as caller:
        caller.send(before + request_bytes("GET", "/api/honest/x"))
        assert caller.answer().status == 400


@pytest.mark.own_worker("gunicorn serves one pipelined request after the other as well")
def test_a_caller_who_is_always_ready_keeps_nobody_out(world: Visit) -> None:
    """Thousands of pipelined requests that the gateway answers itself; another asks meanwhile."""
    caller = world.caller(keeps=False)
    flood = request_bytes("GET", "/nowhere") * 20_000
    with ThreadPoolExecutor(2) as threads:
        sending = threads.submit(caller.send_unless_closed, flood)
        reading = threads.submit(_read_all, caller)
        answers = [world.get("/health/live").status for _ in range(20)]
        caller.reset()
        sending.result()
        reading.result()
    assert answers == [200] * 20


def _read_all(caller: Caller) -> None:
    with contextlib.suppress(WireError, OSError):
        while caller.reader.some():
            pass


@pytest.mark.own_worker("gunicorn closes at once")
def test_the_last_answer_is_whole_though_more_was_asked(world: Visit) -> None:
    """The caller asks for the connection to close, and sends another request all the same."""
    caller = world.caller(receive_buffer_bytes=4_096)
    caller.send(request_bytes("GET", "/api/honest/fixed?bytes=2000000", [("Connection", "close")]))
    head, _ = caller.head()
    caller.send(request_bytes("GET", "/api/honest/x"))
    assert len(caller.body(head, 200, to="GET").content) == 2_000_000
    caller.expect_closed()
