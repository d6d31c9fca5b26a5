"""Services inside TLS, on threads."""

from __future__ import annotations

import socket
import ssl
import threading
from pathlib import Path

from tests.support.certificates import at_most
from tests.support.upstreams import listen
from tests.support.wire import Reader, WireError

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


class TlsUpstream:
    """Answers `ok` over TLS; keeps what it was asked and whose name it was asked for."""

    def __init__(
        self,
        certificate: Path,
        *,
        client_authority: Path | None = None,
        newest: ssl.TLSVersion | None = None,
        answer: bytes = OK,
    ) -> None:
        self._answer = answer
        self._context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self._context.load_cert_chain(certificate)
        if newest is not None:
            at_most(self._context, newest)
        self._context.sni_callback = self._note_name
        if client_authority is not None:
            self._context.load_verify_locations(client_authority)
            self._context.verify_mode = ssl.CERT_REQUIRED
        self._listener = listen()
        self.port: int = self._listener.getsockname()[1]
        self.received = b""
        self.names: list[str | None] = []
        self.peers: list[object] = []
        self._thread = threading.Thread(target=self._accept, daemon=True)
        self._thread.start()

    def _note_name(self, _: object, name: str | None, __: object) -> None:
        self.names.append(name)

    def _accept(self) -> None:
        while True:
            try:
                plain, _ = self._listener.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(plain,), daemon=True).start()

    def _serve(self, plain: socket.socket) -> None:
        with plain:
            try:
                with self._context.wrap_socket(plain, server_side=True) as secure:
                    self.peers.append(secure.getpeercert())
                    reader = Reader(secure)
                    while True:
                        head = reader.head(within_s=600)
                        self.received += head.raw
                        secure.sendall(self._answer)
                        if b"Content-Length" not in self._answer:
                            if b"/ended" in head.raw:
                                secure.unwrap()
                            return
            except (OSError, WireError):
                return

    def stop(self) -> None:
        """Take no more connections."""
        self._listener.shutdown(2)
        self._listener.close()
        self._thread.join(5)
