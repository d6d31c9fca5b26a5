"""Services that do exactly what a test says: bytes in order, then go on, stall, close or reset."""

from __future__ import annotations

import contextlib
import socket
import threading
import time
from collections.abc import Callable, Iterator

from tests.support import wire
from tests.support.wire import PATIENCE_S, Body, Ended, Head, Reader, Stalled, WireError

Handler = Callable[["Conversation"], None]


def listen(address: str = "127.0.0.1", *, backlog: int = 128, port: int = 0) -> socket.socket:
    """A listening socket, on a free port unless it is said. Raises OSError if somebody has that."""
    sock = socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET, socket.SOCK_STREAM)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        sock.bind((address, port))
        sock.listen(backlog)
    except OSError:
        sock.close()
        raise
    return sock


def url_of(sock: socket.socket) -> str:
    """The http URL of a bound socket."""
    host, port = sock.getsockname()[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


@contextlib.contextmanager
def refusing_port() -> Iterator[int]:
    """A port where connections are refused: bound, so that nobody else gets it, but not listening."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as sock:
        sock.bind(("127.0.0.1", 0))
        yield sock.getsockname()[1]


@contextlib.contextmanager
def full_port() -> Iterator[int]:
    """A port whose queue of connections is full: the next one gets no answer to its SYN."""
    with contextlib.ExitStack() as stack:
        sock = stack.enter_context(listen(backlog=0))
        for _ in range(8):
            extra = stack.enter_context(socket.socket())
            extra.setblocking(False)  # noqa: FBT003 - the standard library's signature
            with contextlib.suppress(BlockingIOError):
                extra.connect(sock.getsockname())
        yield sock.getsockname()[1]


class Conversation:
    """One accepted connection, in the hands of a handler."""

    def __init__(self, sock: socket.socket, number: int) -> None:
        self.socket = sock
        self.number = number
        self.heads: list[Head] = []
        self.reader = Reader(sock)
        self.ended = threading.Event()
        self.released = threading.Event()

    @property
    def raw(self) -> bytes:
        """Every byte that came on this connection and was read."""
        return bytes(self.reader.seen)

    def read_head(self, *, within_s: float = 600) -> Head:
        """The next request head; an idle connection may wait long for it, until `stop` ends the wait."""
        head = self.reader.head(within_s=within_s)
        self.heads.append(head)
        return head

    def read_body(self, head: Head, *, within_s: float = PATIENCE_S) -> Body:
        """The body that a request head announces."""
        coding, length = head.get("Transfer-Encoding"), head.get("Content-Length")
        if coding is not None and length is not None:
            raise wire.NotHttp(f"two framings reached the service: {head.raw!r}")
        if coding is not None:
            return self.reader.chunked(within_s=within_s)
        if length is not None:
            return Body(self.reader.exactly(int(length), within_s=within_s), "length")
        return Body()

    def read_request(self) -> tuple[Head, Body]:
        """One whole request."""
        head = self.read_head()
        return head, self.read_body(head)

    def send(self, raw: bytes) -> None:
        """Send bytes as they are."""
        self.socket.settimeout(PATIENCE_S)
        self.socket.sendall(raw)

    def push(self, raw: bytes, *, pause_s: float = 1.0, limit: int = 1 << 30) -> int:
        """Send `raw` again and again until nobody has taken a byte for `pause_s`; how many bytes went."""
        return wire.push(self.socket, raw, pause_s=pause_s, limit=limit)

    def stall(self, *, within_s: float = 30) -> None:
        """Do nothing until the test calls `release`, or its patience is over."""
        self.released.wait(within_s)

    def release(self) -> None:
        """Let a stalled handler go on."""
        self.released.set()

    def left(self, *, within_s: float = PATIENCE_S) -> bool:
        """Whether the gateway ends this connection in time; bytes that still come are kept."""
        deadline = time.monotonic() + within_s
        while True:
            try:
                self.reader.some(within_s=deadline - time.monotonic())
            except Ended:
                return True
            except Stalled:
                return False

    def reset(self) -> None:
        """End with RST."""
        wire.reset(self.socket)

    def close(self) -> None:
        """End with FIN at once; harmless if repeated."""
        with contextlib.suppress(OSError):
            self.socket.shutdown(socket.SHUT_RDWR)
        self.socket.close()


class ScriptedUpstream:
    """A service whose handler plays each connection; everything it got is there to be looked at."""

    def __init__(self, listener: socket.socket | None = None) -> None:
        self._listener = listener or listen()
        self._handler: Handler | None = None
        self._threads: list[threading.Thread] = []
        self._changed = threading.Condition()
        self.url = url_of(self._listener)
        self.conversations: list[Conversation] = []
        self.failures: list[BaseException] = []

    def serve(self, handler: Handler) -> ScriptedUpstream:
        """Play every connection from now on by `handler`, each in its own thread."""
        first = self._handler is None
        self._handler = handler
        if first:
            self._start(self._accept)
        return self

    def _start(self, run: Callable[..., None], *arguments: object) -> None:
        thread = threading.Thread(target=run, args=arguments, daemon=True)
        self._threads.append(thread)
        thread.start()

    def _accept(self) -> None:
        while True:
            try:
                sock, _ = self._listener.accept()
            except OSError:
                return
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            with self._changed:
                conversation = Conversation(sock, len(self.conversations))
                self.conversations.append(conversation)
                self._changed.notify_all()
            self._start(self._play, conversation)

    def _play(self, conversation: Conversation) -> None:
        try:
            if self._handler is not None:
                self._handler(conversation)
        except (WireError, OSError) as error:
            # The gateway may leave at any time; whether it should have is for the test to say.
            if not isinstance(error, OSError | Ended):
                self.failures.append(error)
        except BaseException as error:  # noqa: BLE001 - a thread's failure must reach its test
            self.failures.append(error)
        finally:
            conversation.close()
            with self._changed:
                conversation.ended.set()
                self._changed.notify_all()

    def conversation(self, number: int = 0, *, within_s: float = PATIENCE_S) -> Conversation:
        """The connection with this number, waited for."""
        with self._changed:
            if not self._changed.wait_for(lambda: len(self.conversations) > number, within_s):
                raise WireError(f"connection {number} was never made")
            return self.conversations[number]

    @property
    def heads(self) -> list[Head]:
        """Every request head so far, in the order of the connections."""
        return [head for conversation in self.conversations for head in conversation.heads]

    def stop(self) -> None:
        """Close everything and fail if a handler failed."""
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for conversation in self.conversations:
            conversation.release()
            with contextlib.suppress(OSError):
                conversation.socket.shutdown(socket.SHUT_RDWR)
        for thread in self._threads:
            thread.join(PATIENCE_S)
        if self.failures:
            raise self.failures[0]


def ok(content: bytes = b"ok", *, fields: bytes = b"") -> bytes:
    """A plain answer of fixed length as bytes; `fields` are whole header lines."""
    return b"HTTP/1.1 200 OK\r\n%bContent-Length: %d\r\n\r\n%b" % (fields, len(content), content)


def answering(*raw: bytes) -> Handler:
    """Answer the n-th request of a connection with the n-th bytes, the last one for all further."""

    def handler(conversation: Conversation) -> None:
        turn = 0
        while True:
            conversation.read_request()
            conversation.send(raw[min(turn, len(raw) - 1)])
            turn += 1

    return handler


def answering_then_closing(raw: bytes, *, with_reset: bool = False) -> Handler:
    """Read one request, send these bytes, end the connection."""

    def handler(conversation: Conversation) -> None:
        conversation.read_request()
        conversation.send(raw)
        if with_reset:
            conversation.reset()

    return handler


def by_connection(*handlers: Handler) -> Handler:
    """The n-th connection is played by the n-th handler, the last one for all further."""

    def handler(conversation: Conversation) -> None:
        handlers[min(conversation.number, len(handlers) - 1)](conversation)

    return handler
