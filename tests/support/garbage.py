"""A gateway and a service in one process, asked whether requests leave anything for the garbage collector.

To be run under `python -m gevent.monkey --module`. Prints one line for each kind of request: its
name and the kinds of what was left, if anything was.
"""

from __future__ import annotations

import gc
import logging
import socket
import sys
from typing import Any, Final

import gevent
from gevent.event import Event
from gevent.server import StreamServer

from falcongate.app import Gateway
from falcongate.config.environment import parse_process
from falcongate.config.settings import GatewaySettings
from falcongate.server.connection import Connection
from falcongate.telemetry.metrics import REQUESTS
from falcongate.wire.tls_channel import channel_for
from tests.support.turns import until

_BASE_ENVIRON: Final = {
    "wsgi.url_scheme": "http",
    "wsgi.errors": sys.stderr,
    "SERVER_NAME": "x",
    "SERVER_PORT": "1",
    "REMOTE_ADDR": "127.0.0.1",
}
_POST: Final = b"Content-Length: 3\r\n\r\nabc"
_REQUESTS: Final = {
    "answered": b"GET /api/service/x HTTP/1.1\r\nHost: a\r\n\r\n",
    "answered in chunks": b"GET /api/service/chunks HTTP/1.1\r\nHost: a\r\n\r\n",
    "with a body": b"POST /api/service/x HTTP/1.1\r\nHost: a\r\n" + _POST,
    "dropped by the service": b"GET /api/service/drop HTTP/1.1\r\nHost: a\r\n\r\n",
    "to an unreachable service": b"GET /api/dead/x HTTP/1.1\r\nHost: a\r\n\r\n",
    "abandoned": b"GET /api/service/hold HTTP/1.1\r\nHost: a\r\n\r\n",
    "without a route": b"GET /x HTTP/1.1\r\nHost: a\r\n\r\n",
    "of a method that is never forwarded": b"TRACE /x HTTP/1.1\r\nHost: a\r\n\r\n",
    "for our own health": b"GET /health/ HTTP/1.1\r\nHost: a\r\n\r\n",
    "with too large a head": b"GET /x HTTP/1.1\r\nHost: a\r\nX-Huge: " + b"a" * 200_000,
    "malformed": b"GET\r\n\r\n",
}

_held: Final = Event()  # a request that gets no answer has arrived


def _serve(sock: socket.socket, address: object) -> None:
    del address
    while asked := sock.recv(65_536):
        if b"/drop" in asked:
            return
        if b"/hold" in asked:
            _held.set()
            sock.recv(1)  # until the gateway has given it up
            return
        if b"/chunks" in asked:
            sock.sendall(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n")
        else:
            sock.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")


def _ask(app: Gateway, request: bytes) -> None:
    ours, theirs = socket.socketpair()
    connection = Connection(
        channel_for(theirs),
        app,
        base_environ=dict(_BASE_ENVIRON),
        settings=app.server_settings,
        may_stay=lambda: True,
    )
    serving = gevent.spawn(connection.serve)
    sending = gevent.spawn(ours.send, request)
    if b"/hold" not in request:
        ours.recv(65_536)
    else:
        _held.wait()
        _held.clear()
    sending.join()
    ours.close()
    serving.join()


def _ask_and_tell(app: Gateway, request: bytes) -> None:
    """Ask, and wait until what is told of it, a moment later, has been told to all."""
    told = _told()
    _ask(app, request)
    until(lambda: _told() > told)


def _told() -> float:
    """How many requests have been counted."""
    return sum(sample.value for metric in REQUESTS.collect() for sample in metric.samples)


def _left_by(app: Gateway, request: bytes) -> list[Any]:
    _ask_and_tell(app, request)  # fills what is kept for reuse
    gc.collect()
    gc.set_debug(gc.DEBUG_SAVEALL)
    _ask_and_tell(app, request)
    gc.collect()
    gc.set_debug(0)
    left = [type(thing).__name__ for thing in gc.garbage]
    gc.garbage.clear()
    return left


def main() -> None:
    """Try every kind of request."""
    logging.disable()
    service = StreamServer(("127.0.0.1", 0), _serve)
    service.start()
    nobody = socket.create_server(("127.0.0.1", 0))
    services = {
        "service": {"url": f"http://127.0.0.1:{service.server_port}"},
        "dead": {"url": f"http://127.0.0.1:{nobody.getsockname()[1]}"},
    }
    nobody.close()
    app = Gateway(
        GatewaySettings.model_validate({"services": services, "log": {"access": False}}), parse_process({})[0]
    )
    gc.disable()
    for name, request in _REQUESTS.items():
        sys.stdout.write(f"{name}: {' '.join(_left_by(app, request))}\n")
    service.stop()


if __name__ == "__main__":
    main()
