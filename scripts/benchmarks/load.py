"""The callers. Run as a program in its own process: prints one JSON object.

`load.py CASE PORT SECONDS [RATE]`; with a rate the requests are sent at that pace,
whatever the answers do, otherwise each connection sends its next request as soon as it is answered.
"""

from __future__ import annotations

import json
import re
import select
import signal
import socket
import sys
from collections import deque
from concurrent.futures import ThreadPoolExecutor
from time import perf_counter

CONNECTIONS = 32
BODY_CONNECTIONS = 4
HELD_CALLERS = 2_000
LARGE = 10 * 1024 * 1024
_PATIENCE_S = 60
_LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)
_EXPECTED = (b"HTTP/1.1 200", b"HTTP/1.1 429") if sys.argv[1:2] == ["refused"] else b"HTTP/1.1 200"
_HOST = b"Host: gateway.test\r\nUser-Agent: bench\r\nAccept: */*\r\n"
_SMALL_POST = b"POST /api/sink/x HTTP/1.1\r\n%bContent-Length: 4096\r\n\r\n%b" % (_HOST, b"x" * 4096)
REQUESTS = {
    "get": b"GET /api/files/small HTTP/1.1\r\n" + _HOST + b"\r\n",
    "limited": b"GET /api/files/small HTTP/1.1\r\n" + _HOST + b"\r\n",
    "refused": b"GET /api/files/over HTTP/1.1\r\n" + _HOST + b"\r\n",
    "told": b"GET /api/files/small HTTP/1.1\r\n" + _HOST + b"\r\n",
    "alone": b"GET /api/files/small HTTP/1.1\r\n" + _HOST + b"\r\n",
    "post": _SMALL_POST,
    "download": b"GET /api/files/large HTTP/1.1\r\n" + _HOST + b"\r\n",
    "upload": b"POST /api/sink/x HTTP/1.1\r\n%bContent-Length: %d\r\n\r\n" % (_HOST, LARGE),
    "held": b"GET /api/sink/held HTTP/1.1\r\n" + _HOST + b"\r\n",
}


class WrongAnswerError(Exception):
    """What came is not what a peer that only forwards would answer."""


def _connect(port: int) -> socket.socket:
    sock = socket.create_connection(("127.0.0.1", port), timeout=30)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return sock


def _receive(sock: socket.socket) -> bytes:
    piece = sock.recv(65_536)
    if not piece:
        raise WrongAnswerError("the connection was closed before the answer was whole")
    return piece


def _missing(data: bytes) -> int | None:
    """Bytes of the answer still to come; None while its head is not whole."""
    end = data.find(b"\r\n\r\n")
    if end < 0:
        return None
    length = _LENGTH.search(data, 0, end)
    if not data.startswith(_EXPECTED) or length is None:
        raise WrongAnswerError(data[:300].decode("latin-1"))
    return end + 4 + int(length[1]) - len(data)


class SmallRequests:
    """Many small requests over a few connections; with a rate (per second), at that pace."""

    def __init__(self, request: bytes, port: int, rate: float, *, connections: int = CONNECTIONS) -> None:
        self._request = request
        self._interval = 1 / rate if rate else 0.0
        self._poller = select.epoll()
        self._socks = {sock.fileno(): sock for sock in (_connect(port) for _ in range(connections))}
        for number, sock in self._socks.items():
            sock.settimeout(0)
            self._poller.register(number, select.EPOLLIN)
        self._idle = deque(self._socks)
        self._begun: dict[int, float] = {}
        self._received = dict.fromkeys(self._socks, b"")
        self._latencies: list[float] = []
        self._due = 0.0

    def run(self, seconds: float) -> dict[str, float]:
        """Send for so long, wait for what is on its way, and tell what was seen."""
        start = self._due = perf_counter()
        end = start + seconds
        while (now := perf_counter()) < end or self._begun:
            is_sending = now < end
            if is_sending:
                self._send_due(now)
            self._take_answers(is_sending=is_sending)
        took = perf_counter() - start
        count = len(self._latencies)
        self._latencies.sort()
        return {
            "requests": count,
            "per_s": count / took,
            "p50_ms": 1000 * self._latencies[count // 2],
            "p99_ms": 1000 * self._latencies[int(count * 0.99)],
        }

    def _send_due(self, now: float) -> None:
        while self._idle and (not self._interval or self._due <= now):
            number = self._idle.popleft()
            # At a pace, a request that found no free connection has waited since it was due.
            self._begun[number] = self._due if self._interval else now
            self._due += self._interval
            self._socks[number].send(self._request)

    def _take_answers(self, *, is_sending: bool) -> None:
        if is_sending and self._interval and self._idle:
            # epoll counts whole milliseconds, select microseconds: the requests come evenly.
            select.select([self._poller], [], [], max(self._due - perf_counter(), 0))
            events = self._poller.poll(0)
        else:
            events = self._poller.poll(1)
        for number, _ in events:
            data = self._received[number] + _receive(self._socks[number])
            if _missing(data) == 0:
                data = b""
                self._latencies.append(perf_counter() - self._begun.pop(number))
                self._idle.append(number)
            self._received[number] = data


def bodies(case: str, port: int, seconds: float) -> dict[str, float]:
    """Bodies of 10 MiB, one after the other on each of a few connections."""
    start = perf_counter()
    body = bytes(LARGE) if case == "upload" else b""

    def run(_: int) -> int:
        count = 0
        buffer = bytearray(1 << 18)
        with _connect(port) as sock:
            while perf_counter() < start + seconds:
                sock.sendall(REQUESTS[case])
                sock.sendall(body)
                data = _receive(sock)
                while (missing := _missing(data)) is None:
                    data += _receive(sock)
                while missing:
                    received = sock.recv_into(buffer)
                    if not received:
                        raise WrongAnswerError("a body was cut short")
                    missing -= received
                count += 1
        return count

    with ThreadPoolExecutor(BODY_CONNECTIONS) as pool:
        count = sum(pool.map(run, range(BODY_CONNECTIONS)))
    took = perf_counter() - start
    return {"requests": count, "gb": count * LARGE / 1e9, "gb_per_s": count * LARGE / 1e9 / took}


def held(port: int) -> dict[str, float]:
    """Two thousand callers at once on a service that takes a second."""
    socks = [_connect(port) for _ in range(HELD_CALLERS)]
    start = perf_counter()
    for sock in socks:
        sock.sendall(REQUESTS["held"])
    for sock in socks:
        data = _receive(sock)
        while _missing(data) != 0:
            data += _receive(sock)
    return {"requests": len(socks), "last_answer_s": perf_counter() - start}


def ping(port: int, seconds: float, rate: float) -> dict[str, float]:
    """Round trips to Redis, one now and then."""
    latencies = []
    with _connect(port) as sock:
        end = perf_counter() + seconds
        while (start := perf_counter()) < end:
            sock.sendall(b"PING\r\n")
            sock.recv(100)
            latencies.append(perf_counter() - start)
            select.select([], [], [], max(start + 1 / rate - perf_counter(), 0))
    latencies.sort()
    return {"requests": len(latencies), "p50_ms": 1000 * latencies[len(latencies) // 2]}


def main() -> None:
    """Run one case and print what was seen."""
    case, port, seconds = sys.argv[1], int(sys.argv[2]), float(sys.argv[3])
    rate = float(sys.argv[4]) if len(sys.argv) > 4 else 0.0
    signal.alarm(int(seconds) + _PATIENCE_S)  # a peer that stops answering ends the run, not the day
    if case in ("get", "post", "limited", "refused", "told"):
        result = SmallRequests(REQUESTS[case], port, rate).run(seconds)
    elif case == "alone":
        result = SmallRequests(REQUESTS[case], port, rate, connections=1).run(seconds)
    elif case == "ping":
        result = ping(port, seconds, rate)
    elif case == "held":
        result = held(port)
    else:
        result = bodies(case, port, seconds)
    sys.stdout.write(json.dumps(result) + "\n")


if __name__ == "__main__":
    main()
