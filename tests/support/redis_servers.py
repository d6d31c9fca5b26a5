"""Real Redis servers for tests: started on free ports or sockets, stopped, broken, ended by pid."""

from __future__ import annotations

import contextlib
import os
import random
import shutil
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from falcongate.state.embedded import bundled_program
from tests.support.processes import GatewayFailed, until
from tests.support.upstreams import listen

SERVER = shutil.which("redis-server") or shutil.which("valkey-server")
_OF_SENTINELS = ("bind", "protected-mode", "unixsocket")
VALKEY = shutil.which("valkey-server") or bundled_program()


def free_port() -> int:
    """A TCP port of 127.0.0.1 that nobody uses at this moment.

    None of those that the kernel gives out: another test that runs meanwhile would get it before we do.
    """
    for port in random.sample(range(10_000, 32_000), 100):
        with contextlib.suppress(OSError), listen(port=port):
            return port
    raise GatewayFailed("no port is free")


class RedisServer:
    """One server, of Redis or of that `program`; `options` are its own, beside those that keep it small."""

    def __init__(
        self, directory: Path, *, port: int | None = None, program: str | None = None, **options: str
    ) -> None:
        directory.mkdir(parents=True, exist_ok=True)
        self._program = program or SERVER or "redis-server"
        self.directory = directory
        self.port = port or free_port()
        self.options = {"save": "", "appendonly": "no", "bind": "127.0.0.1", "dir": str(directory)} | {
            name.replace("_", "-"): value for name, value in options.items()
        }
        self._process: subprocess.Popen[bytes] | None = None
        self.start()

    @property
    def address(self) -> tuple[str, int]:
        """Where others reach it."""
        return "127.0.0.1", self.port

    @property
    def url(self) -> str:
        """The same as a URL."""
        ip, port = self.address
        return f"redis://{ip}:{port}"

    @property
    def pid(self) -> int:
        """Its process id."""
        if self._process is None:
            raise GatewayFailed("the server is not started")
        return self._process.pid

    def _command(self) -> list[str]:
        # Redis 6 takes the words of a value apart; an empty value is one word all the same.
        options = [
            part for name, value in self.options.items() for part in (f"--{name}", *(value.split() or [""]))
        ]
        return [self._program, "--port", str(self.port), *options]

    def start(self) -> None:
        """Start it, empty, and wait until it answers."""
        with (self.directory / "server.log").open("ab") as log:
            self._process = subprocess.Popen(  # noqa: S603 - our own command
                self._command(), stdin=subprocess.DEVNULL, stdout=log, stderr=log
            )
        try:
            until(self._answers, f"Redis answers on port {self.port}")
        except BaseException:
            self.kill()
            raise

    def _answers(self) -> bool:
        if self._process is None or self._process.poll() is not None:
            log = (self.directory / "server.log").read_text("utf-8", "replace")
            raise GatewayFailed(f"{self._program} ended at once: {log[-2000:]}")
        with contextlib.suppress(redis.RedisError), self.client() as client:
            return bool(client.ping())
        return False

    def client(self, **options: Any) -> redis.Redis:  # noqa: ANN401  # redis-py's own options
        """A plain client, for looking and for breaking things."""
        return redis.Redis(
            port=self.port, socket_timeout=5, decode_responses=True, retry=Retry(NoBackoff(), 0), **options
        )

    def stall(self) -> None:
        """Stop it in the middle of what it does (SIGSTOP)."""
        os.kill(self.pid, signal.SIGSTOP)

    def go_on(self) -> None:
        """Let it go on after `stall`."""
        os.kill(self.pid, signal.SIGCONT)

    def kill(self) -> None:
        """End it at once, however it is; harmless if repeated."""
        if self._process is not None and self._process.poll() is None:
            self._process.kill()
            self._process.wait(10)


class SentinelServer(RedisServer):
    """A Sentinel that watches one master under the name `shared`, which is down when silent for `down_ms`.

    So many `votes` are enough.
    """

    def __init__(
        self,
        directory: Path,
        *,
        master: RedisServer,
        votes: int = 1,
        down_ms: int = 500,
        port: int | None = None,
        **options: str,
    ) -> None:
        self._master = master.address
        self._votes = votes
        self._down_ms = down_ms
        super().__init__(directory, port=port, **options)

    def _command(self) -> list[str]:
        file = self.directory / "sentinel.conf"
        if not file.exists():
            ip, port = self._master
            lines = [
                f"port {self.port}",
                *(f"{name} {self.options[name]}" for name in _OF_SENTINELS if name in self.options),
                f"sentinel monitor shared {ip} {port} {self._votes}",
                f"sentinel down-after-milliseconds shared {self._down_ms}",
                "sentinel failover-timeout shared 3000",
            ]
            file.write_text("\n".join(lines) + "\n", "ascii")
        return [self._program, str(file), "--sentinel"]


@contextlib.contextmanager
def ended(server: RedisServer) -> Iterator[None]:
    """Kill the server at the end, whatever happened."""
    try:
        yield
    finally:
        server.kill()


@contextlib.contextmanager
def watched_pair(directory: Path) -> Iterator[tuple[RedisServer, RedisServer, str]]:
    """A master, a replica that follows it, and the URL of a Sentinel that knows both; killed at the end."""
    with contextlib.ExitStack() as stack:
        master = RedisServer(directory / "master")
        stack.enter_context(ended(master))
        replica = RedisServer(directory / "replica", replicaof=f"127.0.0.1 {master.port}")
        stack.enter_context(ended(replica))
        with replica.client() as client:
            until(lambda: client.info("replication")["master_link_status"] == "up", "the replica follows")
        sentinel = SentinelServer(directory / "sentinel", master=master)
        stack.enter_context(ended(sentinel))
        with sentinel.client() as client:
            until(lambda: client.sentinel_slaves("shared"), "Sentinel knows the replica", within_s=30)
        yield master, replica, f"redis+sentinel://127.0.0.1:{sentinel.port}/shared"


@contextlib.contextmanager
def cluster(directory: Path, masters: int = 3) -> Iterator[list[RedisServer]]:
    """Masters of a new cluster with all slots shared out, once all of them agree; killed at the end."""
    with contextlib.ExitStack() as stack:
        servers: list[RedisServer] = []
        for number in range(masters):
            servers.append(_master(directory / str(number)))
            stack.enter_context(ended(servers[-1]))
            _join(
                servers[-1], servers[0], slots=(number * 16_384 // masters, (number + 1) * 16_384 // masters)
            )
        until(lambda: all(_agrees(server, masters) for server in servers), "the cluster is complete")
        yield servers


def _master(directory: Path) -> RedisServer:
    return RedisServer(
        directory,
        cluster_enabled="yes",
        cluster_config_file="nodes.conf",
        cluster_node_timeout="1000",
        cluster_port=str(free_port()),
        cluster_require_full_coverage="no",
    )


def _join(server: RedisServer, first: RedisServer, *, slots: tuple[int, int]) -> None:
    with server.client() as client:
        client.execute_command("CLUSTER", "ADDSLOTSRANGE", slots[0], slots[1] - 1)
        if server is not first:
            client.execute_command("CLUSTER", "MEET", "127.0.0.1", first.port, first.options["cluster-port"])


def _agrees(server: RedisServer, masters: int) -> bool:
    with server.client() as client:
        info: Any = client.execute_command("CLUSTER", "INFO")
        nodes: Any = client.execute_command("CLUSTER", "SLOTS")
    is_ok = "cluster_state:ok" in str(info) or (isinstance(info, dict) and info.get("cluster_state") == "ok")
    return is_ok and len(nodes) == masters
