"""Bodies pass through without being held, both ways."""

from __future__ import annotations

import resource
import socket
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.support.callers import chunks, drain, request_bytes
from tests.support.honest import BLOCK, blocks_crc
from tests.support.processes import until
from tests.support.upstreams import Conversation, answering_then_closing, ok
from tests.support.world import Visit

MIB = 1 << 20
SIZE = {"falcongate": 1024 * MIB, "gevent": 128 * MIB}
"""Stock workers move bodies through Python; the bound is the same, the body smaller to save time."""
GROWTH = 20 * MIB
IN_TRANSIT = 100 * MIB
"""More than the kernel's buffers on both sides of the gateway, and one pipe, can ever hold."""


class _Growth:
    """How far the only worker's memory rises above where it stood."""

    def __init__(self, world: Visit) -> None:
        self._gateway = world.gateway
        (self._pid,) = world.gateway.workers
        self._start = self._gateway.memory_bytes(self._pid)
        self._gateway.forget_peak(self._pid)

    def peak(self) -> int:
        return self._gateway.memory_bytes(self._pid, "VmHWM") - self._start


def test_a_large_download_is_not_held(world: Visit, worker_kind: str) -> None:
    size = SIZE[worker_kind]
    world.get("/api/honest/fixed?bytes=1000000")
    growth = _Growth(world)
    caller = world.caller(keeps=False)
    caller.send(request_bytes("GET", f"/api/honest/fixed?bytes={size}"))
    head, _ = caller.head()
    assert head.get("Content-Length") == str(size)
    assert drain(caller, size) == size
    assert growth.peak() < GROWTH


def test_a_large_download_arrives_unchanged(world: Visit) -> None:
    answer = world.get(f"/api/honest/fixed?bytes={8 * MIB + 17}")
    assert answer.content == (BLOCK * 9)[: 8 * MIB + 17]


@pytest.mark.parametrize("path", ["chunked", "until-close"])
def test_a_download_of_unknown_length_arrives_unchanged(world: Visit, path: str) -> None:
    answer = world.get(f"/api/honest/{path}?bytes={3 * MIB + 17}&size=70001")
    assert answer.content == (BLOCK * 4)[: 3 * MIB + 17]


def test_a_large_upload_is_not_held_and_arrives_unchanged(world: Visit, worker_kind: str) -> None:
    size = SIZE[worker_kind]
    world.exchange("POST", "/api/honest/sink", body=BLOCK)
    growth = _Growth(world)
    caller = world.caller()
    caller.send(request_bytes("POST", "/api/honest/sink", [("Content-Length", str(size))]))
    for _ in range(size // MIB):
        caller.send(BLOCK, within_s=60)
    assert caller.answer(within_s=60).json() == {"bytes": size, "crc32": blocks_crc(size)}
    assert growth.peak() < GROWTH


def test_a_chunked_upload_arrives_unchanged(world: Visit) -> None:
    caller = world.caller()
    caller.send(request_bytes("POST", "/api/honest/sink", [("Transfer-Encoding", "chunked")]))
    parts = [BLOCK[at : at + 33_331] for at in range(0, MIB, 33_331)] * 5
    caller.send(chunks(*parts))
    assert caller.answer().json() == {"bytes": 5 * MIB, "crc32": blocks_crc(5 * MIB)}


def test_events_arrive_one_by_one(world: Visit) -> None:
    caller = world.caller()
    caller.send(request_bytes("GET", "/api/honest/events", [("Accept", "text/event-stream")]))
    head, _ = caller.head()
    assert head.get("Content-Type") == "text/event-stream"
    for number in range(5):
        event = b"data: %d\n\n" % number
        world.honest.events.put(event)
        assert caller.reader.until(b"\n\n\r\n").endswith(event + b"\r\n")
    world.honest.events.put(None)
    assert caller.reader.until(b"0\r\n\r\n") == b"0\r\n\r\n"


@pytest.mark.parametrize(
    "framing", [b"Transfer-Encoding: chunked\r\n", b"Content-Length: 12\r\n", b"Connection: close\r\n"]
)
def test_a_byte_of_the_answer_waits_for_no_other(world: Visit, framing: bytes) -> None:
    def handler(conversation: Conversation) -> None:
        conversation.read_request()
        conversation.send(b"HTTP/1.1 200 OK\r\n" + framing + b"\r\n")
        first, second = (
            (b"6\r\nfirst!\r\n", b"6\r\nsecond\r\n0\r\n\r\n")
            if b"chunked" in framing
            else (b"first!", b"second")
        )
        conversation.send(first)
        conversation.stall()
        conversation.send(second)

    service = world.service(handler)
    caller = world.caller()
    caller.send(request_bytes("GET", service.path()))
    assert b"first!" in caller.reader.until(b"first!")
    service.upstream.conversation().release()
    assert b"second" in caller.reader.until(b"second")


@pytest.mark.own_worker("a read of WSGI's input waits for all that it asked for")
def test_a_byte_of_the_upload_waits_for_no_other(world: Visit) -> None:
    service = world.service(
        lambda conversation: (conversation.reader.until(b"second"), conversation.send(ok()))[-1]
    )
    caller = world.caller()
    caller.send(request_bytes("POST", service.path(), [("Content-Length", "12")]) + b"first!")
    upstream = service.upstream.conversation()
    until(lambda: b"first!" in upstream.raw, "the first half has arrived")
    caller.send(b"second")
    assert caller.answer().status == 200


def test_a_slow_reader_slows_the_service(world: Visit) -> None:
    """The caller stops reading: soon the service can write no more, and the worker has not grown."""
    pushed: list[int] = []

    def handler(conversation: Conversation) -> None:
        conversation.read_request()
        conversation.send(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % (1 << 30))
        pushed.append(conversation.push(BLOCK, limit=400 * MIB))

    service = world.service(handler)
    growth = _Growth(world)
    caller = world.caller(receive_buffer_bytes=65_536)
    caller.send(request_bytes("GET", service.path()))
    caller.head()
    until(lambda: pushed, "the service can write no more", within_s=30)
    assert pushed[0] < IN_TRANSIT
    assert growth.peak() < GROWTH
    assert world.get("/api/honest/x").status == 200


def test_a_slow_service_slows_the_caller(world: Visit) -> None:
    """The service stops reading: soon the caller can send no more, and the worker has not grown."""

    def handler(conversation: Conversation) -> None:
        conversation.read_head()
        conversation.stall()

    service = world.service(handler)
    growth = _Growth(world)
    caller = world.caller()
    caller.send(request_bytes("POST", service.path(), [("Content-Length", str(1 << 30))]))
    assert caller.push(BLOCK, limit=400 * MIB) < IN_TRANSIT
    assert growth.peak() < GROWTH
    assert world.get("/api/honest/x").status == 200


def test_a_held_request_holds_nobody_else(world: Visit) -> None:
    def handler(conversation: Conversation) -> None:
        conversation.read_request()
        conversation.stall()
        conversation.send(ok(b"at last"))

    service = world.service(handler)
    held = [world.caller() for _ in range(30)]
    for caller in held:
        caller.send(request_bytes("GET", service.path("/slow-endpoint")))
    service.upstream.conversation(29)
    started = time.monotonic()
    for _ in range(10):
        assert world.get("/api/honest/x").status == 200
    assert time.monotonic() - started < 5
    for conversation in service.upstream.conversations:
        conversation.release()
    assert [caller.answer().content for caller in held] == [b"at last"] * 30


@pytest.mark.parametrize("length", [b"Content-Length: 3000000\r\n", b""], ids=["known", "until-close"])
def test_an_answer_is_whole_though_its_service_has_gone(world: Visit, length: bytes) -> None:
    """The service sends all of it and closes; the caller pauses before it reads on."""
    head = b"HTTP/1.1 200 OK\r\nConnection: close\r\n" + length + b"\r\n"
    service = world.service(answering_then_closing(head + b"x" * 3_000_000))
    caller = world.caller(receive_buffer_bytes=4_096)
    caller.send(request_bytes("GET", service.path()))
    time.sleep(2.5)  # the pause that is tested
    assert len(caller.answer().content) == 3_000_000


def test_a_caller_who_sends_all_and_closes_its_side_is_not_gone(world: Visit) -> None:
    """The service takes nothing for a while, and finds all of the body then."""

    def handler(conversation: Conversation) -> None:
        head = conversation.read_head()
        conversation.stall()
        conversation.read_body(head)
        conversation.send(ok())

    service = world.service(handler)
    caller = world.caller()
    body = b"x" * 8_000_000
    with ThreadPoolExecutor(1) as threads:
        sent = threads.submit(caller.send, request_bytes("POST", service.path(), body=body))
        time.sleep(2.5)  # the pause that is tested
        service.upstream.conversation().release()
        sent.result()
    assert caller.answer().status == 200


class _Flood:
    """A caller who sends as fast as it can until it is told to stop, and reads nothing."""

    def __init__(self, world: Visit, opening: bytes, repeated: bytes) -> None:
        self._caller = world.caller()
        self._stop = threading.Event()
        self._caller.send(opening)
        self._thread = threading.Thread(target=self._run, args=(repeated,))
        self._thread.start()

    def _run(self, repeated: bytes) -> None:
        while not self._stop.is_set() and self._caller.send_unless_closed(repeated):
            pass

    def stop(self) -> None:
        self._stop.set()
        self._caller.socket.shutdown(socket.SHUT_RDWR)
        self._thread.join()


@pytest.mark.own_worker("gunicorn reads chunks through Python")
def test_a_body_that_is_always_ready_keeps_nobody_out(world: Visit) -> None:
    """One upload of chunks of one byte, as fast as they can be sent; others ask meanwhile."""

    def handler(conversation: Conversation) -> None:
        conversation.read_head()
        while conversation.reader.some():
            pass

    service = world.service(handler)
    opening = request_bytes("POST", service.path(), [("Transfer-Encoding", "chunked")])
    flood = _Flood(world, opening, b"1\r\nx\r\n" * 10_000)
    try:
        answers = [world.get("/health/live").status for _ in range(20)]
    finally:
        flood.stop()
    assert answers == [200] * 20


@pytest.mark.own_worker("only our worker splices")
def test_a_download_is_whole_though_no_file_can_be_opened(world: Visit) -> None:
    """The process has descriptors for the caller and the service, and none for a pipe between them."""
    (pid,) = world.gateway.workers
    limits = resource.prlimit(pid, resource.RLIMIT_NOFILE)
    caller = world.caller()
    assert caller.get("/api/honest/x").status == 200
    # The limit is on the highest number, so it is set where all below are in use.
    used = sorted(int(path.name) for path in Path(f"/proc/{pid}/fd").iterdir())
    free = next(number for number in range(len(used) + 1) if number not in used)
    resource.prlimit(pid, resource.RLIMIT_NOFILE, (free, limits[1]))
    try:
        answer = caller.get(f"/api/honest/fixed?bytes={8 * MIB}")
    finally:
        resource.prlimit(pid, resource.RLIMIT_NOFILE, limits)
    assert len(answer.content) == 8 * MIB
