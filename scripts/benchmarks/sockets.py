"""WebSockets for the measurement: a service that sends back every byte, and callers. Run as a program.

`sockets.py service PORT`, or `sockets.py CASE PORT SECONDS`, which prints one JSON object.
"""

from __future__ import annotations

import json
import re
import signal
import sys
from time import perf_counter

import gevent
from gevent import socket
from gevent.server import StreamServer

from falcongate.wire.websocket import accept_of

IDLE = 4_000
_ECHOING, _LARGE_ONES = 32, 4
_SMALL_BYTES, _LARGE_BYTES = 1_024, 1 << 20
_MASK = b"\1\2\3\4"
_PATIENCE_S = 120
_KEY = re.compile(rb"\r\nsec-websocket-key: *(\S+)", re.IGNORECASE)
_HANDSHAKE = (
    b"GET /ws/sockets/x HTTP/1.1\r\nHost: gateway.test\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
)
_FRAMES = {
    "sockets": b"\x82\xfe" + _SMALL_BYTES.to_bytes(2) + _MASK + bytes(_SMALL_BYTES),
    "sockets-large": b"\x82\xff" + _LARGE_BYTES.to_bytes(8) + _MASK + bytes(_LARGE_BYTES),
}


def serve(port: int) -> None:
    """Agree to every handshake, then send back what comes."""

    def handle(sock: socket.socket, _: object) -> None:
        with sock:
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            head = b""
            while b"\r\n\r\n" not in head:
                piece = sock.recv(65_536)
                if not piece:
                    return
                head += piece
            key = _KEY.search(head)
            accept = accept_of(key[1].decode()) if key else b""
            sock.sendall(
                b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                b"Sec-WebSocket-Accept: %b\r\n\r\n" % accept
            )
            while data := sock.recv(262_144):
                sock.sendall(data)

    StreamServer(("127.0.0.1", port), handle, backlog=4096).serve_forever()


def _open(port: int) -> socket.socket:
    sock = socket.create_connection(("127.0.0.1", port), timeout=30)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    sock.sendall(_HANDSHAKE)
    head = b""
    while not head.endswith(b"\r\n\r\n"):
        piece = sock.recv(1)
        if not piece:
            raise SystemExit(f"no WebSocket: {head!r}")
        head += piece
    if not head.startswith(b"HTTP/1.1 101"):
        raise SystemExit(f"no WebSocket: {head!r}")
    return sock


def _echo(sock: socket.socket, frame: bytes, end: float) -> int:
    """Send frames one after the other, each when the last has come back; how many."""
    count = 0
    buffer = bytearray(262_144)
    while perf_counter() < end:
        sender = gevent.spawn(sock.sendall, frame) if len(frame) > 65_536 else sock.sendall(frame)
        missing = len(frame)
        while missing:
            received = sock.recv_into(buffer)
            if not received:
                raise SystemExit("a WebSocket was ended")
            missing -= received
        if sender is not None:
            sender.join()
        count += 1
    return count


def main() -> None:
    """Serve, or be the callers of one case."""
    case, port = sys.argv[1], int(sys.argv[2])
    if case == "service":
        serve(port)
        return
    seconds = float(sys.argv[3])
    signal.alarm(int(seconds) + _PATIENCE_S)
    if case == "sockets-idle":
        opened = [_open(port) for _ in range(IDLE)]
        sys.stdout.write("opened\n")
        sys.stdout.flush()
        sys.stdin.readline()
        result = {"requests": len(opened)}
    else:
        opened = [_open(port) for _ in range(_ECHOING if case == "sockets" else _LARGE_ONES)]
        start = perf_counter()
        frame = _FRAMES[case]
        jobs = [gevent.spawn(_echo, sock, frame, start + seconds) for sock in opened]
        gevent.joinall(jobs, raise_error=True)
        count = sum(job.value for job in jobs)
        result = {"requests": count, "per_s": count / (perf_counter() - start)}
    sys.stdout.write(json.dumps(result) + "\n")


if __name__ == "__main__":
    main()
