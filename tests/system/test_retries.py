"""A request is sent again only where that cannot repeat anything."""

from __future__ import annotations

import threading
from collections.abc import Callable

import pytest

from tests.support.callers import request_bytes
from tests.support.upstreams import (
    Conversation,
    Handler,
    answering,
    answering_then_closing,
    by_connection,
    ok,
)
from tests.support.wire import Ended
from tests.support.world import Plan, ScriptedService, Site, Visit

FRESH = answering(ok(b"fresh"))


def stale(*, with_reset: bool = False, before_reading: bool = False) -> Handler:
    """The first connection answers once and breaks off on its second request; others are sound."""

    def first(conversation: Conversation) -> None:
        conversation.read_request()
        conversation.send(ok(b"first"))
        if not before_reading:
            conversation.read_head()
        if with_reset:
            conversation.reset()

    return by_connection(first, FRESH)


def _warmed(world: Visit, handler: Handler) -> ScriptedService:
    service = world.service(handler)
    assert world.get(service.path()).content == b"first"
    return service


@pytest.mark.parametrize("with_reset", [False, True])
@pytest.mark.parametrize("method", ["GET", "HEAD", "OPTIONS", "DELETE", "PUT"])
def test_an_idempotent_request_on_a_stale_connection_is_sent_on_a_fresh_one(
    world: Visit,
    method: str,
    with_reset: bool,  # noqa: FBT001
) -> None:
    service = _warmed(world, stale(with_reset=with_reset))
    assert world.exchange(method, service.path("/again")).status == 200
    assert len(service.upstream.conversations) == 2


@pytest.mark.parametrize("with_reset", [False, True])
@pytest.mark.parametrize("method", ["POST", "PATCH"])
@pytest.mark.parametrize("body", [None, b"", b"a body"])
def test_a_post_that_was_sent_is_not_sent_again(
    world: Visit,
    method: str,
    body: bytes | None,
    with_reset: bool,  # noqa: FBT001
) -> None:
    service = _warmed(world, stale(with_reset=with_reset))
    answer = world.exchange(method, service.path("/once"), body=body)
    assert (answer.status, answer.json()["type"]) == (502, "/problems/service-broke-off")
    assert [head.start.split()[0] for head in service.upstream.heads] == ["GET", method]


def test_a_connection_that_the_service_closed_while_idle_is_not_used(world: Visit) -> None:
    service = _warmed(world, stale(before_reading=True))
    assert service.upstream.conversation().ended.wait(5)
    assert world.exchange("POST", service.path(), body=b"a body").content == b"fresh"


def test_a_connection_on_which_the_service_spoke_unasked_is_not_used(world: Visit) -> None:
    has_spoken = threading.Event()

    def first(conversation: Conversation) -> None:
        conversation.read_request()
        conversation.send(ok(b"first"))
        conversation.send(ok(b"unasked"))
        has_spoken.set()
        conversation.left(within_s=30)

    service = _warmed(world, by_connection(first, FRESH))
    assert has_spoken.wait(5)
    assert world.exchange("POST", service.path(), body=b"a body").content == b"fresh"


def test_a_service_that_always_breaks_off_is_not_asked_for_ever(world: Visit) -> None:
    service = world.service(answering_then_closing(b""))
    assert world.get(service.path()).status == 502
    assert len(service.upstream.heads) <= 2


@pytest.mark.parametrize("status", [429, 500, 502, 503, 504])
def test_an_answer_is_an_answer(world: Visit, status: int) -> None:
    raw = b"HTTP/1.1 %d No\r\nRetry-After: 7\r\nContent-Length: 2\r\n\r\nno" % status
    service = world.service(answering(raw))
    answer = world.get(service.path())
    assert (answer.status, answer.content, answer.get("Retry-After")) == (status, b"no", "7")
    assert len(service.upstream.heads) == 1


def test_what_began_to_arrive_is_not_asked_for_again(world: Visit) -> None:
    service = world.service(answering_then_closing(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf"))
    with world.caller() as caller, pytest.raises(Ended):
        caller.get(service.path())
    assert len(service.upstream.heads) == 1


@pytest.mark.own_worker("a read of WSGI's input cannot be interrupted: there an answer waits for the upload")
def test_an_upload_that_cannot_be_sent_again_is_not(world: Visit) -> None:
    """A PUT is idempotent, but its streamed body is gone once a part of it was sent."""

    def first(conversation: Conversation) -> None:
        conversation.read_request()
        conversation.send(ok(b"first"))
        conversation.read_head()
        conversation.reader.exactly(100_000)
        conversation.reset()

    service = _warmed(world, by_connection(first, FRESH))
    with world.caller() as caller:
        caller.send(request_bytes("PUT", service.path(), [("Content-Length", "10000000")]))
        caller.send_unless_closed(b"x" * 200_000)
        assert caller.answer().status == 502
    assert len(service.upstream.heads) == 2


class TestSwitchedOff:
    """A gateway whose services have no retries."""

    @pytest.fixture
    def site(self, site_for: Callable[[Plan, str], Site], worker_kind: str) -> Site:
        return site_for(Plan("no-retries", {}, 4, {"retries": 0}), worker_kind)

    def test_not_even_a_get_is_sent_again(self, world: Visit) -> None:
        service = _warmed(world, stale())
        assert world.get(service.path()).status == 502
        assert len(service.upstream.heads) == 2
