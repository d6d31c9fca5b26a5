"""Chats as people run them: Socket.IO servers and clients of npm and of PyPI, behind a load balancer."""

from __future__ import annotations

import contextlib
import json
import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from tests.support.npm import is_installed
from tests.support.processes import GatewayFailed, until
from tests.support.programs import Program, program
from tests.support.upstreams import listen

HAPROXY = shutil.which("haproxy", path="/usr/sbin:/usr/local/sbin:/usr/bin:/usr/local/bin:/opt/homebrew/bin")
PYTHON, NODE = "python", "node"
_SCRIPTS = Path(__file__).parent / "socket_io"
_BALANCER = """\
defaults
    mode http
    timeout connect 5s
    timeout client 1m
    timeout server 1m
    timeout tunnel 1h
frontend all
    bind fd@{listener}
    default_backend gateways
backend gateways
    balance roundrobin
{servers}
"""


def has_node() -> bool:
    """Whether Node.js is here with what the chats need."""
    return is_installed(_SCRIPTS)


def _command(role: str, language: str) -> list[str]:
    if language == PYTHON:
        return [sys.executable, str(_SCRIPTS / f"{role}.py")]
    return [shutil.which("node") or "node", str(_SCRIPTS / f"{role}.mjs")]


class ChatServer:
    """A Socket.IO server: answers every message, and sends numbered ticks."""

    def __init__(self, started: Program) -> None:
        self._program = started
        self.url = f"http://127.0.0.1:{until(self._port, 'the chat server listens')}"

    def _port(self) -> str:
        if self._program.process.poll() is not None:
            raise GatewayFailed(f"the chat server ended at once:\n{self._program.err}")
        return self._program.out.partition("\n")[0]

    @property
    def visitors(self) -> int:
        """How often somebody has come so far."""
        return self._program.out.count("came\n")

    def heard(self, name: str) -> list[int]:
        """Which messages of this chatter it has got so far."""
        lines = (line.split(" ") for line in self._program.out.splitlines() if line.startswith("heard "))
        return [int(number) for _, who, number in lines if who == name]

    def kill(self) -> None:
        """End it without a word."""
        self._program.process.kill()
        self._program.process.wait()


class Chatter:
    """A Socket.IO client that says numbered things until it is told to leave."""

    def __init__(self, started: Program) -> None:
        self._program = started

    @property
    def connected_times(self) -> int:
        """How often it has been connected so far."""
        return self._program.out.count("connected\n")

    def leave(self) -> dict[str, Any]:
        """Let it say its last, and answer all that it has seen."""
        stdin = self._program.process.stdin
        if stdin is None:
            raise GatewayFailed("it was started without standard input")
        stdin.close()
        self._program.process.wait(20)
        try:
            seen: dict[str, Any] = json.loads(self._program.out.splitlines()[-1])
        except ValueError as error:
            raise GatewayFailed(f"the chat went wrong:\n{self._program.err}") from error
        return seen


@contextlib.contextmanager
def chat_server(directory: Path, language: str, name: str) -> Iterator[ChatServer]:
    """A server that calls itself by this name."""
    directory.mkdir()
    with program(directory, [*_command("server", language), name]) as started:
        yield ChatServer(started)


@contextlib.contextmanager
def chatter(
    directory: Path, language: str, address: tuple[str, int], transports: str, *, comes_again: bool = False
) -> Iterator[Chatter]:
    """A client of the chat at this address, by these transports (with commas between).

    It is called like its directory.
    """
    directory.mkdir()
    url = "http://{}:{}".format(*address)
    again = ["again"] if comes_again else []
    command = [*_command("client", language), url, transports, directory.name, *again]
    with program(directory, command, stdin=subprocess.PIPE) as started:
        yield Chatter(started)


@contextlib.contextmanager
def balancer(directory: Path, addresses: Sequence[tuple[str, int]]) -> Iterator[tuple[str, int]]:
    """HAProxy before these gateways: each request goes to the next of them, whoever sends it."""
    servers = "\n".join(
        f"    server gateway{number} {host}:{port}" for number, (host, port) in enumerate(addresses)
    )
    config = directory / "haproxy.cfg"
    with listen() as listener, (directory / "haproxy.log").open("wb") as log:
        config.write_text(_BALANCER.format(listener=listener.fileno(), servers=servers), encoding="ascii")
        command = [HAPROXY or "haproxy", "-db", "-q", "-f", str(config)]
        process = subprocess.Popen(  # noqa: S603  # our own command
            command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, pass_fds=(listener.fileno(),)
        )
        address: tuple[str, int] = listener.getsockname()
    try:
        yield address
    finally:
        process.kill()
        process.wait(10)
