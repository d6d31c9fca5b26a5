"""WebSockets inside TLS on both sides: `wss` to the gateway, and from it to the service."""

from __future__ import annotations

import contextlib
import os
import socket
import ssl
import threading
from collections.abc import Iterator

import pytest
from websockets.sync.client import connect
from websockets.sync.server import ServerConnection, serve

from tests.support.certificates import Authority, trusting_all
from tests.support.processes import until
from tests.support.world import Plan, Site, Visit, running

pytestmark = pytest.mark.own_worker("only our own worker gives a connection away")


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority("websockets", tmp_path_factory.mktemp("websocket-tls"))


@contextlib.contextmanager
def echoing(certificate: str) -> Iterator[int]:
    """The port of an echo inside TLS that closes when somebody says `goodbye`."""

    def talk(connection: ServerConnection) -> None:
        for message in connection:
            connection.send(message)
            if message == "goodbye":
                connection.close(4001, "as you wish")

    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
        # It takes the socket into its own.
        server = serve(talk, sock=listener, ssl=context, max_size=None)
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield port
        finally:
            server.shutdown()
            thread.join()


@pytest.fixture(scope="module")
def site(authority: Authority, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    certificate = str(authority.issue("gateway.test"))
    tls = {"ca_file": str(authority.file), "server_name": "talk.test"}
    with echoing(str(authority.issue("talk.test"))) as port:
        services = {"talk": {"url": f"https://127.0.0.1:{port}", "tls": tls}}
        arguments = ("--certfile", certificate, "--keyfile", certificate)
        plan = Plan("websocket-tls", {"services": services}, 0, arguments=arguments, tls=trusting_all())
        with running(plan, tmp_path_factory.mktemp("websocket-tls")) as site:
            yield site


def test_messages_of_every_length_come_as_they_were_and_the_end_too(
    world: Visit, authority: Authority
) -> None:
    """Those that are longer than a record of TLS, and than what its library holds, as well."""
    context = ssl.create_default_context(cafile=str(authority.file))
    with (
        socket.create_connection(world.gateway.address) as sock,
        connect(
            "wss://gateway.test/ws/talk/x", sock=sock, ssl=context, max_size=None, compression=None
        ) as client,
    ):
        for size in (0, 1, 125, 16_384, 70_000, 5 << 20, 32 << 20):
            message = os.urandom(size)
            client.send(message)
            assert client.recv(timeout=60) == message
        for number in range(1_000):
            client.send(f"{number}")
        assert [client.recv(timeout=10) for _ in range(1_000)] == [f"{number}" for number in range(1_000)]
        client.send("goodbye")
        assert client.recv(timeout=10) == "goodbye"
        until(lambda: client.close_code, "it is closed")
        assert (client.close_code, client.close_reason) == (4001, "as you wish")
        line = world.gateway.logged(client.response.headers["X-Request-ID"])
    assert line["reason"] == "WebSocket closed with 4001 by the service"
