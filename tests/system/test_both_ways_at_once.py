"""A service that answers while it is still reading: both bodies move at the same time."""

from __future__ import annotations

import pytest

from tests.support.callers import chunks, request_bytes
from tests.support.upstreams import Conversation
from tests.support.world import Visit

HEAD = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
ROUNDS = 5


@pytest.mark.own_worker("a WSGI read waits until it has all that it was asked for")
def test_each_piece_is_answered_before_the_next_is_sent(world: Visit) -> None:
    """The caller sends a piece only when it has the answer to the one before."""

    def echo(conversation: Conversation) -> None:
        conversation.read_head()
        conversation.send(HEAD)
        for _ in range(ROUNDS):
            conversation.send(conversation.reader.exactly(len(chunks(b"hello", last=b""))))
        conversation.send(b"0\r\n\r\n")

    service = world.service(echo)
    with world.caller() as caller:
        caller.send(request_bytes("POST", service.path(), [("Transfer-Encoding", "chunked")]))
        caller.reader.until(b"\r\n\r\n")
        for _ in range(ROUNDS):
            caller.send(chunks(b"hello", last=b""))
            assert caller.reader.exactly(10) == b"5\r\nhello\r\n"


def test_a_large_echo_does_not_lock_up(world: Visit) -> None:
    """What is sent back is more than all buffers on the way hold."""
    size = 8 << 20

    def echo(conversation: Conversation) -> None:
        conversation.read_head()
        conversation.send(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % size)
        left = size
        while left:
            piece = conversation.reader.some()
            conversation.send(piece)
            left -= len(piece)

    service = world.service(echo)
    with world.caller() as caller:
        caller.send(request_bytes("POST", service.path(), [("Content-Length", str(size))]))
        caller.reader.until(b"\r\n\r\n")
        block = b"x" * 65_536
        for _ in range(size // len(block)):
            caller.send(block)
            assert caller.reader.exactly(len(block)) == block
