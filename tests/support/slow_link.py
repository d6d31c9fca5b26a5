"""A wire between two network interfaces that takes its time, for kernels without netem: run as a process.

`python -m tests.support.slow_link NEAR FAR SECONDS [ADDRESS ...]` passes on whole Ethernet frames both ways.
Those from or to one of the addresses, or all if none is named, are held for so long, in their order.
"""

from __future__ import annotations

import contextlib
import select
import socket
import sys
import time
from collections import deque

_ALL_PROTOCOLS = 3
_SOL_PACKET, _PACKET_OUTGOING, _PACKET_VNET_HDR = 263, 4, 15
# What the kernel says of checksums and segments that the card would fill in or cut; handed on as it came.
_HEADER_BYTES = 10
_ETHERNET_BYTES = 14
_SOURCE, _DESTINATION = slice(12, 16), slice(16, 20)
_MOST_BYTES = 70_000


class _End:
    """One interface: what comes in there, and what is to go out at the other one, by its time."""

    def __init__(self, interface: str) -> None:
        self.socket = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(_ALL_PROTOCOLS))
        self.socket.setsockopt(_SOL_PACKET, _PACKET_VNET_HDR, 1)
        self.socket.setblocking(False)  # noqa: FBT003  # the standard library's signature
        self.socket.bind((interface, _ALL_PROTOCOLS))
        self.held: deque[tuple[float, bytes]] = deque()

    def take(self, far: _End, delay_s: float, addresses: frozenset[bytes]) -> None:
        """Take what has come; send it on at the other end, or hold it."""
        with contextlib.suppress(BlockingIOError):
            while True:
                frame, (_, _, kind, *_) = self.socket.recvfrom(_MOST_BYTES)
                if kind == _PACKET_OUTGOING:
                    continue
                packet = frame[_HEADER_BYTES + _ETHERNET_BYTES :]
                if not addresses or addresses & {packet[_SOURCE], packet[_DESTINATION]}:
                    self.held.append((time.monotonic() + delay_s, frame))
                else:
                    far.send(frame)

    def let_go(self, far: _End) -> float:
        """Send on what has been held for long enough; seconds until there will be more."""
        while self.held:
            left_s = self.held[0][0] - time.monotonic()
            if left_s > 0:
                return left_s
            far.send(self.held.popleft()[1])
        return 60.0

    def send(self, frame: bytes) -> None:
        # A full queue loses packets, as networks do.
        with contextlib.suppress(OSError):
            self.socket.send(frame)


def main(near_name: str, far_name: str, delay: str, *addresses: str) -> None:
    """Pass on, until killed."""
    near, far = _End(near_name), _End(far_name)
    delay_s, held = float(delay), frozenset(map(socket.inet_aton, addresses))
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    while True:
        wait_s = min(near.let_go(far), far.let_go(near))
        select.select([near.socket, far.socket], [], [], wait_s)
        near.take(far, delay_s, held)
        far.take(near, delay_s, held)


if __name__ == "__main__":
    main(*sys.argv[1:])
