"""The gunicorn worker: accepts callers, serves each in a greenlet, drains when told to stop.

gunicorn keeps the processes, signals and sockets; what is said on a connection is
`server/connection.py`. The same application runs under a plain `gevent` worker, only slower.
"""

from __future__ import annotations

import gc
import os
import resource
import signal
import sys
from contextlib import suppress
from functools import partial
from time import monotonic
from typing import TYPE_CHECKING, Any, Protocol

import gevent
from gevent.event import Event
from gevent.pool import Pool
from gevent.server import StreamServer
from gunicorn.sock import ssl_context
from gunicorn.workers.ggevent import GeventWorker

from falcongate.config.settings import ServerSettings
from falcongate.server.connection import Connection
from falcongate.server.ending import Ending
from falcongate.server.machine import room_for_callers
from falcongate.server.retirement import OF_THE_MASTER, RETIRE
from falcongate.server.tls import CallerTls
from falcongate.wire.tls_channel import channel_for, client_certificate

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import FrameType

_HEARTBEAT_S = 1.0
_DRAIN_LOOK_S = 0.05
# Records are handed on after 0.1 s, and go out within the budget of a round trip to the shared state.
_TELL_S = 0.25
_MAX_WAITING = 2_048
_GC_THRESHOLDS = (20_000, 20, 20)


class Tunnels(Protocol):
    """The WebSockets of an application: they outlast their requests, and must end with the worker."""

    def __len__(self) -> int: ...
    def drain(self, within_s: float) -> None: ...  # noqa: D102
    def cut(self) -> None: ...  # noqa: D102


class FalcongateWorker(GeventWorker):
    """gunicorn's gevent worker with our own HTTP/1.1 in it."""

    can_retire = True

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._connections: set[Connection] = set()
        self._stopping = Event()
        self._settings = ServerSettings()
        self._ending = Ending(float(self.cfg.graceful_timeout))
        self._tls: CallerTls | None = None

    def init_signals(self) -> None:
        """Know the signal to retire as well, and nothing of those that are the master's."""
        super().init_signals()
        signal.signal(RETIRE, self.handle_retire)
        for number in OF_THE_MASTER:
            # A closing terminal sends it to all, and unheard it would be the end.
            signal.signal(number, signal.SIG_IGN)

    def handle_retire(self, sig: int, frame: FrameType | None) -> None:
        """Take no more callers, and go on until those that are here have left: a reload has replaced us."""
        super().handle_exit(sig, frame)
        self._ending.retire()
        self._stopping.set()

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Begin to drain at once, not at the next heartbeat."""
        super().handle_exit(sig, frame)
        self._ending.stop(self._settings.drain_listen_s)
        self._stopping.set()

    def handle_quit(self, sig: int, frame: FrameType | None) -> None:
        """End without waiting for requests in flight: the operator pressed Ctrl-C, or QUIT was sent."""
        del sig, frame
        self._ending.stop_at_once()
        self.alive = False
        self._stopping.set()

    def run(self) -> None:
        """Serve until told to stop, then until the last answer or `graceful_timeout` is over."""
        self._settings = getattr(self.wsgi, "server_settings", self._settings)
        # PERF: requests leave no cycles behind, so the collector would look at the same objects
        # again and again: a twentieth of the CPU, and pauses of 20 ms.
        gc.collect()
        gc.freeze()
        gc.set_threshold(*_GC_THRESHOLDS)
        if self.cfg.is_ssl:
            self._tls = self._await_tls()
        # SECURITY: whoever was told to stop before there was TLS must not answer without it.
        servers = [self._listen(sock) for sock in self.sockets] if self.alive else []
        while self.alive:
            self.notify()
            if self._tls is not None:
                self._tls.renew()
            self._stopping.wait(_HEARTBEAT_S)
        if self._ending.is_listening:
            self._go_on_listening()
        for server in servers:
            if not self._ending.is_retired and not self._ending.is_over:
                self._take_who_waits(server)
            server.close()
        tunnels: Tunnels | None = getattr(self.wsgi, "tunnels", None)
        # These know of callers as well whose greenlet has not begun yet.
        pools = [server.pool for server in servers if server.pool is not None]
        self._outlast(pools, tunnels)
        for connection in tuple(self._connections):
            connection.end_when_idle()
        self._drain(pools, tunnels)

    def handle(self, listen_address: Any, client: Any, addr: Any) -> None:
        """Serve one connection, in its own greenlet: a slow handshake, too, is waited for by nobody else."""
        base_environ = self._base_environ(listen_address, addr)
        if self._tls is not None:
            client = self._tls.shake_hands(client)
            if client is None:
                return
            base_environ["falcongate.client_certificate"] = client_certificate(client)
        connection = Connection(
            channel_for(client),
            self.wsgi,
            base_environ=base_environ,
            settings=self._settings,
            may_stay=self._may_stay,
        )
        self._connections.add(connection)
        if not self._is_open() and not self._ending.is_retired:
            # It was accepted in the same moment in which the worker was told to stop.
            connection.end_when_idle()
        try:
            connection.serve()
        except gevent.GreenletExit:
            raise
        except Exception:
            # The one net under everything: a defect costs its own connection and is seen.
            self.log.exception("A connection ended with an unexpected error")
        finally:
            self._connections.discard(connection)

    def _listen(self, sock: Any) -> StreamServer:
        sock.setblocking(1)
        handle = partial(self.handle, sock.getsockname())
        server: StreamServer = StreamServer(sock, handle=handle, spawn=Pool(self._room_for_callers()))
        if self.cfg.workers > 1:
            # A worker that takes all that is waiting leaves its siblings idle.
            server.max_accept = 1
        server.start()
        return server

    def _await_tls(self) -> CallerTls | None:
        """TLS as soon as its files can be used, which they could when the master looked; None at the end."""
        is_told = False
        while self.alive:
            # Whoever reports itself is taken for one that serves, so it is not done here.
            if self.ppid != os.getppid():
                sys.exit(0)
            try:
                return self._caller_tls()
            except (OSError, ValueError) as error:
                if not is_told:
                    told = "This worker takes no callers until its certificate can be used: %s"
                    self.log.error(told, error)  # noqa: TRY400  # where it stands is of no use
                is_told = True
            self._stopping.wait(_HEARTBEAT_S)
        return None

    def _caller_tls(self) -> CallerTls:
        tls: Any = ssl_context(self.cfg)
        if isinstance(tls, CallerTls):
            return tls
        # An operator's own hook: its context is as it wants it, and renewed all the same.
        files = (self.cfg.certfile, self.cfg.keyfile, self.cfg.ca_certs)
        return CallerTls(partial(ssl_context, self.cfg), files, handshake_s=self._settings.head_timeout_s)

    def _room_for_callers(self) -> int:
        """How many may be connected at once, with as many descriptors as this process may have."""
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        if soft != hard:
            resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
        wanted: int = self.worker_connections
        room = room_for_callers(wanted, None if hard == resource.RLIM_INFINITY else hard)
        if room < wanted // 2:
            self.log.warning(
                "server.max_connections is %s; with at most %s open files it can be %s (see ulimit -n)",
                wanted,
                hard,
                room,
            )
        return room

    def _may_stay(self) -> bool:
        """Whether a connection may be kept after the answer that is about to be sent."""
        self.nr += 1
        if self.nr >= self.max_requests and self.alive:
            self.log.info("Ending this worker after %s requests", self.nr)
            self.alive = False
            self._stopping.set()
        return self._is_open()

    def _is_open(self) -> bool:
        """Whether callers are welcome to come, and to come again."""
        return bool(self.alive) or self._ending.is_listening

    def _go_on_listening(self) -> None:
        """Take callers for a moment more, and tell whoever asks that others should be asked."""
        self.log.info("Told to stop: worker %s says so at /health/ready/, and listens for a moment", self.pid)
        _tell(getattr(self.wsgi, "note_leaving", None))
        while self._ending.is_listening:
            self.notify()
            gevent.sleep(_DRAIN_LOOK_S)

    @staticmethod
    def _take_who_waits(server: StreamServer) -> None:
        """Accept whoever has connected: at the last one's close the kernel would reset them."""
        server.stop_accepting()
        for _ in range(_MAX_WAITING):
            # Another worker may have been quicker, or the caller have left.
            with suppress(OSError):
                if server.full() or not (arrived := server.do_read()):
                    break
                server.do_handle(*arrived)

    def _outlast(self, pools: list[Pool], tunnels: Tunnels | None) -> None:
        """While retired: answer who is here, with the word that the next request goes elsewhere.

        Connections end by themselves then, idle ones in their own time: whoever is just sending on one
        must not find it closed.
        """
        if self._ending.is_retired:
            self.log.info("Replaced by a reload: worker %s retires", self.pid)
            _tell(getattr(self.wsgi, "note_retired", None))
        deadline = monotonic() + self._settings.retirement_s
        while self._ending.is_retired and (any(pools) or tunnels) and monotonic() < deadline:
            self.notify()
            self._stopping.clear()
            self._stopping.wait(_HEARTBEAT_S)

    def _drain(self, pools: list[Pool], tunnels: Tunnels | None) -> None:
        self._ending.begin()
        if tunnels is not None:
            tunnels.drain(self._ending.left_s)
        while (any(pools) or tunnels) and not self._ending.is_over:
            self.notify()
            gevent.sleep(_DRAIN_LOOK_S)
        left = sum(map(len, pools))
        if left:
            self.log.warning("%s connections were cut after the grace period", left)
        if tunnels is not None:
            tunnels.cut()
        for pool in pools:
            # Each request that is cut off gets its line in the log.
            pool.kill(timeout=self._ending.cut_s)
        # What the last ones had taken is given back, and what became of them told, in the background.
        gevent.sleep(_TELL_S)

    def _base_environ(self, listen_address: Any, addr: Any) -> dict[str, Any]:
        is_ip = isinstance(addr, tuple)
        host, port = listen_address[:2] if isinstance(listen_address, tuple) else ("localhost", 80)
        return {
            "wsgi.version": (1, 0),
            "wsgi.url_scheme": "https" if self.cfg.is_ssl else "http",
            "wsgi.errors": sys.stderr,
            "wsgi.multithread": True,
            "wsgi.multiprocess": self.cfg.workers > 1,
            "wsgi.run_once": False,
            "wsgi.input_terminated": True,
            "SERVER_SOFTWARE": "falcongate",
            "SERVER_NAME": host,
            "SERVER_PORT": str(port),
            "SCRIPT_NAME": "",
            # A socket of both families names callers of IPv4 as ::ffff:10.0.0.7.
            "REMOTE_ADDR": addr[0].removeprefix("::ffff:") if is_ip else "",
            "REMOTE_PORT": str(addr[1]) if is_ip else "",
        }


def _tell(application: Callable[[], None] | None) -> None:
    """Call what our application has for it; another one has nothing."""
    if application is not None:
        application()
