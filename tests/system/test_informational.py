"""1xx answers: passed on or swallowed, never taken for the answer."""

from __future__ import annotations

import pytest

from tests.support.callers import request_bytes
from tests.support.upstreams import Conversation, answering, ok
from tests.support.world import Visit

HINTS = b"HTTP/1.1 103 Early Hints\r\nLink: </a.css>; rel=preload\r\n\r\n"


def test_early_hints_are_forwarded_before_the_answer(world: Visit) -> None:
    with world.caller() as caller:
        answer = caller.get("/api/honest/early-hints")
        assert [head.start for head in answer.interim] == ["HTTP/1.1 103 Early Hints"]
        assert answer.interim[0].get("Link") == "</style.css>; rel=preload"
        assert (answer.status, answer.content) == (200, b"after the hints")
        assert caller.get("/api/honest/x").status == 200


def test_early_hints_are_not_held_back(world: Visit) -> None:
    def handler(conversation: Conversation) -> None:
        conversation.read_request()
        conversation.send(HINTS)
        conversation.stall()
        conversation.send(ok())

    service = world.service(handler)
    with world.caller() as caller:
        caller.send(request_bytes("GET", service.path()))
        assert caller.reader.head().start == "HTTP/1.1 103 Early Hints"
        service.upstream.conversation().release()
        assert caller.answer().status == 200


@pytest.mark.parametrize(
    "interim",
    [
        b"HTTP/1.1 100 Continue\r\n\r\n",
        b"HTTP/1.1 102 Processing\r\n\r\n",
        b"HTTP/1.1 150 Whatever\r\nX-A: 1\r\n\r\n",
        b"HTTP/1.1 102 Processing\r\n\r\n" * 5 + HINTS * 3,
    ],
)
def test_an_interim_answer_is_never_the_answer(world: Visit, interim: bytes) -> None:
    """The same connection serves several callers: each must get its own final answer."""
    service = world.service(answering(*(interim + ok(b"answer %d" % number) for number in range(4))))
    for number in range(4):
        answer = world.get(service.path())
        assert (answer.status, answer.content) == (200, b"answer %d" % number)
    assert len(service.upstream.conversations) == 1


def test_an_http10_caller_gets_no_interim_answer(world: Visit) -> None:
    with world.caller() as caller:
        answer = caller.exchange("GET", "/api/honest/early-hints", version="HTTP/1.0")
        assert (answer.status, answer.interim) == (200, [])


def test_endless_interim_answers_end(world: Visit) -> None:
    def handler(conversation: Conversation) -> None:
        conversation.read_request()
        conversation.push(HINTS * 100)

    service = world.service(handler)
    answer = world.get(service.path())
    assert answer.status == 502
    assert len(answer.interim) < 1000


def test_hints_carry_no_hop_by_hop_headers(world: Visit) -> None:
    fields = b"Link: </a>\r\nConnection: X-Secret\r\nX-Secret: 1\r\nKeep-Alive: 1\r\n"
    hints = b"HTTP/1.1 103 Early Hints\r\n" + fields + b"\r\n"
    answer = world.get(world.service(answering(hints + ok())).path())
    assert not {"connection", "x-secret", "keep-alive"} & {name.lower() for name in answer.interim[0].names()}


def test_of_hints_only_the_links_are_passed_on(world: Visit) -> None:
    fields = b"Link: </a>\r\nContent-Length: 5\r\nSet-Cookie: a=1\r\nAccess-Control-Allow-Origin: *\r\n"
    hints = b"HTTP/1.1 103 Early Hints\r\n" + fields + b"Link: </b>\r\nX-Request-ID: other\r\n\r\n"
    answer = world.get(world.service(answering(hints + ok())).path())
    assert [head.fields for head in answer.interim] == [[("Link", "</a>"), ("Link", "</b>")]]
    assert answer.content == b"ok"


def test_a_caller_who_leaves_instead_of_going_on_is_no_defect(world: Visit) -> None:
    """It asks with `Expect: 100-continue` and resets its connection, again and again."""
    service = world.service(answering(ok()))
    fields = [("Expect", "100-continue"), ("Content-Length", "100")]
    for _ in range(20):
        caller = world.caller()
        caller.send(request_bytes("POST", service.path(), fields))
        caller.reset()
    assert world.get("/health/live").status == 200
