"""Hosts with addresses of their own: network namespaces on one bridge, and what can go wrong between them.

All of it lies in namespaces that a `Network` makes and removes; the machine's own network is never touched.
No command is needed to run something there: what a thread opens or starts within `Host.inside` is inside.
"""

from __future__ import annotations

import contextlib
import ctypes
import itertools
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Self

from tests.support.processes import ROOT, GatewayFailed, is_running

_PATH = "/usr/sbin:/sbin:/usr/bin:/bin"
IP, NFT = (shutil.which(program, path=_PATH) for program in ("ip", "nft"))
_PREFIX = "fg-test"
_NAMESPACES = Path("/run/netns")
_CLONE_NEWNET = 0x4000_0000
_numbers = itertools.count()
_libc = ctypes.CDLL(None, use_errno=True)


def _run(*words: str) -> None:
    done = subprocess.run(words, capture_output=True, text=True, check=False, timeout=30)  # noqa: S603  # our own
    if done.returncode:
        raise GatewayFailed(f"{' '.join(words)}: {done.stderr}")


def _ip(*words: str) -> None:
    _run(IP or "ip", *words)


def _is_possible() -> bool:
    """Root in a container may lack the rights of root."""
    if os.geteuid() or IP is None or NFT is None:
        return False
    name = f"{_PREFIX}-{os.getpid()}-try"
    try:
        _ip("netns", "add", name)
        _ip("netns", "exec", name, NFT, "list", "ruleset")
    except GatewayFailed:
        return False
    finally:
        _remove(name)
    return True


def _remove(prefix: str) -> None:
    for path in _NAMESPACES.glob(f"{prefix}*"):
        with contextlib.suppress(GatewayFailed):
            _ip("netns", "delete", path.name)


IS_POSSIBLE = _is_possible()
"""Whether this machine lets us make networks."""


@contextlib.contextmanager
def _in_namespace(name: str) -> Iterator[None]:
    """This thread is in that network, and so is what it opens or starts."""
    with (_NAMESPACES / name).open("rb") as there, Path("/proc/thread-self/ns/net").open("rb") as here:
        _enter(there.fileno())
        try:
            yield
        finally:
            _enter(here.fileno())


def _enter(namespace: int) -> None:
    if _libc.setns(namespace, _CLONE_NEWNET):
        raise OSError(ctypes.get_errno(), "cannot enter a network namespace")


class Host:
    """One host. Faults are between it and some others, or all; `heal` ends them."""

    def __init__(self, name: str, address: str, *, prefix: str) -> None:
        self.name = name
        self.address = address
        self._namespace = f"{prefix}-{name}"
        self._switch = f"{prefix}-switch"
        self._slow_link: subprocess.Popen[bytes] | None = None
        _ip("netns", "add", self._namespace)
        _ip("-n", self._switch, "link", "add", name, "type", "veth", "peer", "eth0", "netns", self._namespace)
        _ip("-n", self._switch, "link", "set", name, "master", "bridge", "up")
        _ip("-n", self._namespace, "address", "add", f"{address}/24", "dev", "eth0")
        for link in ("lo", "eth0"):
            _ip("-n", self._namespace, "link", "set", link, "up")

    @contextlib.contextmanager
    def inside(self) -> Iterator[None]:
        """This thread is on this host, and so is what it opens or starts."""
        with _in_namespace(self._namespace):
            yield

    def cut(self, *others: Host) -> None:
        """Drop every packet from and to these others, or any; nobody is told."""
        self._drop("", others)

    def lose(self, percent: int, *others: Host) -> None:
        """Drop so many of a hundred packets from and to these others, by chance."""
        self._drop(f"numgen random mod 100 < {percent}", others)

    def _drop(self, which: str, others: tuple[Host, ...]) -> None:
        at = f"{{ {', '.join(other.address for other in others)} }}" if others else "0.0.0.0/0"
        chains = [
            f"chain {hook} {{ type filter hook {hook} priority 0; {way} lo accept; "
            f"ip {side} {at} {which} drop; }}"
            for hook, way, side in (("input", "iifname", "saddr"), ("output", "oifname", "daddr"))
        ]
        self._nft("table inet faults {", *chains, "}")

    def delay(self, seconds: float, *others: Host) -> None:
        """Hold every packet from and to these others for so long."""
        _ip("-n", self._switch, "link", "add", "slow-near", "type", "veth", "peer", "slow-far")
        for link in ("slow-near", "slow-far"):
            _ip("-n", self._switch, "link", "set", link, "up")
        _ip("-n", self._switch, "link", "set", "slow-far", "master", "bridge")
        _ip("-n", self._switch, "link", "set", self.name, "nomaster")
        with _in_namespace(self._switch):
            self._slow_link = subprocess.Popen(  # noqa: S603  # our own command
                [
                    *(sys.executable, "-m", "tests.support.slow_link"),
                    *(self.name, "slow-near", str(seconds)),
                    *(other.address for other in others),
                ],
                cwd=ROOT,
                stdout=subprocess.PIPE,
            )
        assert self._slow_link.stdout is not None
        assert self._slow_link.stdout.readline() == b"ready\n"

    def heal(self) -> None:
        """End all faults that were begun here; harmless if there are none."""
        self._nft("table inet faults", "delete table inet faults")
        if self._slow_link is not None:
            self.end()
            _ip("-n", self._switch, "link", "delete", "slow-near")
            _ip("-n", self._switch, "link", "set", self.name, "master", "bridge")

    def _nft(self, *lines: str) -> None:
        with self.inside():
            _run(NFT or "nft", "\n".join(lines))

    def end(self) -> None:
        """End what was started to slow it down."""
        if self._slow_link is not None:
            self._slow_link.kill()
            self._slow_link.communicate(timeout=10)
            self._slow_link = None


class Network:
    """Hosts by name on one bridge. Removed at the end, whatever happens; after a killed test, by the next."""

    def __init__(self) -> None:
        _remove_forsaken()
        self._prefix = f"{_PREFIX}-{os.getpid()}-{next(_numbers)}"
        self.hosts: dict[str, Host] = {}
        _ip("netns", "add", f"{self._prefix}-switch")
        _ip("-n", f"{self._prefix}-switch", "link", "add", "bridge", "type", "bridge")
        _ip("-n", f"{self._prefix}-switch", "link", "set", "bridge", "up")

    def host(self, name: str) -> Host:
        """A new host, which reaches all others."""
        address = f"10.98.0.{len(self.hosts) + 1}"
        host = self.hosts[name] = Host(name, address, prefix=self._prefix)
        return host

    def heal(self) -> None:
        """End all faults."""
        for host in self.hosts.values():
            host.heal()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for host in self.hosts.values():
            host.end()
        _remove(f"{self._prefix}-")


def _remove_forsaken() -> None:
    """What tests have left that were killed."""
    for path in _NAMESPACES.glob(f"{_PREFIX}-*"):
        pid = path.name.removeprefix(f"{_PREFIX}-").split("-")[0]
        if not is_running(int(pid)):
            _remove(f"{_PREFIX}-{pid}-")
