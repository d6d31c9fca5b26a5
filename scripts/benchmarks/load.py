"""The callers. Run as a program in its own process: prints one JSON object.

`load.py CASE PORT SECONDS [RATE]`; with a rate the requests are sent at that pace, whatever the
answers do, otherwise each connection sends its next request as soon as it is answered.
"""

from __future__ import annotations

import json
import re
import select
import socket
import sys
import threading
from collections import deque
from time import perf_counter

CONNECTIONS = 32
BODY_CONNECTIONS = 4
HELD_CALLERS = 2_000
LARGE = 10 * 1024 * 1024
_LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)
_HOST = b"Host: gateway.test\r\nUser-Agent: bench\r\nAccept: */*\r\n"
_SMALL_POST = b"POST /api/sink/x HTTP/1.1\r\n%bContent-Length: 4096\r\n\r\n%b" % (_HOST, b"x" * 4096)
REQUESTS = {
    "get": b"GET /api/files/small HTTP/1.1\r\n" + _HOST + b"\r\n",
    "post": _SMALL_POST,
    "download": b"GET /api/files/large HTTP/1.1\r\n" + _HOST + b"\r\n",
    "upload": b"POST /api/sink/x HTTP/1.1\r\n%bContent-Length: %d\r\n\r\n" % (_HOST, LARGE),
    "held": b"GET /api/sink/held HTTP/1.1\r\n" + _HOST + b"\r\n",
}


def _connect(port: int) -> socket.socket:
    sock = socket.create_connection(("127.0.0.1", port), timeout=30)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return sock


def is_whole(data: bytes) -> bool:
    """Whether `data` is one whole answer. Raises ValueError for one that is not 200."""
    end = data.find(b"\r\n\r\n")
    if end < 0:
        return False
    if not data.startswith(b"HTTP/1.1 200"):
        raise ValueError(data[:300].decode("latin-1"))
    length = _LENGTH.search(data, 0, end)
    if length is None:
        return data.endswith(b"0\r\n\r\n")
    return len(data) >= end + 4 + int(length[1])


def small(case: str, port: int, seconds: float, rate: float) -> dict[str, float]:
    """Many small requests over a few connections; with a rate, at that pace."""
    request = REQUESTS[case]
    poller = select.epoll()
    socks = {sock.fileno(): sock for sock in (_connect(port) for _ in range(CONNECTIONS))}
    for number, sock in socks.items():
        sock.settimeout(0)
        poller.register(number, select.EPOLLIN)
    idle = deque(socks)
    begun: dict[int, float] = {}
    received: dict[int, bytes] = dict.fromkeys(socks, b"")
    latencies: list[float] = []
    start = due = perf_counter()
    end = start + seconds
    while True:
        now = perf_counter()
        while idle and now < end and (not rate or due <= now):
            number = idle.popleft()
            begun[number] = due if rate else now
            due += 1 / rate if rate else 0
            socks[number].send(request)
        if now >= end and not begun:
            break
        for number, _ in poller.poll(max(due - perf_counter(), 0) if rate and idle and now < end else 1):
            received[number] += socks[number].recv(65_536)
            if is_whole(received[number]):
                received[number] = b""
                latencies.append(perf_counter() - begun.pop(number))
                idle.append(number)
    took = perf_counter() - start
    latencies.sort()
    count = len(latencies)
    return {
        "requests": count,
        "per_s": count / took,
        "p50_ms": 1000 * latencies[count // 2],
        "p99_ms": 1000 * latencies[int(count * 0.99)],
    }


def large(case: str, port: int, seconds: float) -> dict[str, float]:
    """Bodies of 10 MiB, one after the other on each of a few connections."""
    end = perf_counter() + seconds
    counts: list[int] = []

    def run() -> None:
        count = 0
        body = bytes(LARGE)
        buffer = bytearray(1 << 18)
        with _connect(port) as sock:
            while perf_counter() < end:
                sock.sendall(REQUESTS[case])
                if case == "upload":
                    sock.sendall(body)
                    data = b""
                    while not is_whole(data):
                        data += sock.recv(65_536)
                else:
                    head = sock.recv(65_536)
                    left = head.find(b"\r\n\r\n") + 4 + LARGE - len(head)
                    while left > 0:
                        left -= sock.recv_into(buffer) or left
                count += 1
        counts.append(count)

    threads = [threading.Thread(target=run) for _ in range(BODY_CONNECTIONS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return {"requests": sum(counts), "gb": sum(counts) * LARGE / 1e9}


def held(port: int) -> dict[str, float]:
    """Two thousand callers at once on a service that takes a second. Says when they all wait."""
    socks = [_connect(port) for _ in range(HELD_CALLERS)]
    for sock in socks:
        sock.sendall(REQUESTS["held"])
    sys.stdout.write("all are waiting\n")
    sys.stdout.flush()
    answered = 0
    for sock in socks:
        data = b""
        while not is_whole(data):
            piece = sock.recv(65_536)
            if not piece:
                raise ValueError("a held caller was sent away")
            data += piece
        answered += 1
    return {"requests": answered}


def main() -> None:
    """Run one case and print what was seen."""
    case, port, seconds = sys.argv[1], int(sys.argv[2]), float(sys.argv[3])
    rate = float(sys.argv[4]) if len(sys.argv) > 4 else 0.0
    if case in ("get", "post"):
        result = small(case, port, seconds, rate)
    elif case == "held":
        result = held(port)
    else:
        result = large(case, port, seconds)
    sys.stdout.write(json.dumps(result) + "\n")


if __name__ == "__main__":
    main()
