"""Runs an image as compose.yaml says, without an engine: takes the image's root and what buildah tells of it.

Each container has mounts and processes of its own, a root that cannot be written, the image's user, no
capability, and no way to get one. All share one network, in which the services' names are known; so this is
to be started in a network of its own. The Redis is this machine's, with the command of compose.yaml.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
import urllib.request
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Self

import yaml

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

_WITHIN_S: Final = 30
_ENTER: Final = r"""
set -e
root=$1 user=$2 group=$3 directory=$4 tmpfs=$5
shift 5
mount --make-rprivate /
mount --bind "$root" "$root"
mount -t proc -o nosuid,nodev,noexec proc "$root/proc"
mount -t tmpfs -o nosuid,noexec,mode=755 dev "$root/dev"
for device in null zero full random urandom; do
    touch "$root/dev/$device"
    mount --bind "/dev/$device" "$root/dev/$device"
done
mount --bind "$HOSTS" "$root/etc/hosts"
# As engines mount it, unless told otherwise.
[ -z "$tmpfs" ] || mount -t tmpfs -o "nosuid,nodev,noexec,$tmpfs" tmpfs "$root/tmp"
mount -o remount,bind,ro "$root"
exec env -u HOSTS chroot "$root" setpriv --reuid "$user" --regid "$group" --clear-groups --no-new-privs \
    --inh-caps=-all --ambient-caps=-all --bounding-set=-all -- sh -c 'cd "$0" && exec "$@"' "$directory" "$@"
"""


@dataclass(frozen=True)
class Image:
    """A root, and what the Dockerfile has said of it."""

    root: str
    config: Mapping[str, Any]
    hosts: Path
    log: Path

    def command(self, command: list[str], tmpfs: str) -> list[str]:
        """What runs a command in a container of its own, as process 1."""
        user, group = self.config["User"].split(":")
        inside = [self.root, user, group, self.config["WorkingDir"], tmpfs, *command]
        apart = ["unshare", "--mount", "--pid", "--fork", "--ipc", "--uts", "--"]
        return [*apart, "sh", "-c", _ENTER, "sh", *inside]

    def environ(self, more: Mapping[str, str]) -> dict[str, str]:
        """What a command there has for an environment."""
        own = dict(pair.split("=", 1) for pair in self.config["Env"])
        path = f"{own['PATH']}:/usr/sbin:/sbin"
        return own | {"PATH": path, "HOSTS": str(self.hosts)} | dict(more)


class Container:
    """One service of compose.yaml, running."""

    def __init__(self, image: Image, service: Mapping[str, Any], environ: Mapping[str, str]) -> None:
        (_, _, self._tmpfs) = service["tmpfs"][0].partition(":")
        self._image, self._environ = image, image.environ(environ)
        self._check = service.get("healthcheck", {}).get("test") or image.config["Healthcheck"]["Test"]
        command = image.command(service.get("command") or image.config["Cmd"], self._tmpfs)
        with image.log.open("ab") as log:
            self._process = subprocess.Popen(command, env=self._environ, stdout=log, stderr=log)

    def __enter__(self) -> Self:
        try:
            _until(self.is_healthy, "its health check says that it is well")
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        if self._process.poll() is None:
            os.kill(self.pid, signal.SIGKILL)
        self._process.wait(_WITHIN_S)

    @property
    def pid(self) -> int:
        """Its process 1, as it is called from outside."""
        children = Path(f"/proc/{self._process.pid}/task/{self._process.pid}/children")
        return int(children.read_text("ascii"))

    def is_healthy(self) -> bool:
        """What the health check says, run in a container of the same kind."""
        assert self._process.poll() is None, "it has ended"
        return self.run(*self._check[1:]) == 0

    def run(self, *command: str) -> int:
        """Run a command beside it; its status."""
        line = self._image.command(list(command), self._tmpfs)
        done = subprocess.run(line, env=self._environ, check=False, timeout=_WITHIN_S, capture_output=True)
        return done.returncode

    def status(self) -> dict[str, str]:
        """What the kernel says of process 1."""
        lines = Path(f"/proc/{self.pid}/status").read_text("ascii").splitlines()
        return {name: " ".join(value.split()) for name, _, value in (line.partition(":") for line in lines)}

    def used_bytes(self) -> int:
        """What lies in /tmp."""
        space = os.statvfs(f"/proc/{self.pid}/root/tmp")
        return (space.f_blocks - space.f_bfree) * space.f_frsize

    def stop(self, name: str) -> int:
        """Send process 1 the signal that the image names, and wait for its status."""
        os.kill(self.pid, signal.Signals[name])
        return self._process.wait(_WITHIN_S)


def main(root: str, inspected: Path) -> None:
    """Try the image; an assertion fails, or all is well."""
    config = json.loads(inspected.read_text("utf-8"))["Docker"]["config"]
    services = yaml.safe_load(Path("compose.yaml").read_text("utf-8"))["services"]
    hosts = inspected.with_name("hosts")
    hosts.write_text(f"127.0.0.1 localhost {' '.join(services)}\n", "ascii")
    image = Image(root, config, hosts, log=inspected.with_name("log"))
    _run("ip", "link", "set", "lo", "up")
    _run("mount", "--make-rprivate", "/")
    _run("mount", "--bind", str(hosts), "/etc/hosts")

    with ExitStack() as stack:
        redis = subprocess.Popen(services["redis"]["command"], stdout=subprocess.DEVNULL)
        stack.callback(redis.kill)
        _until(lambda: _run(*services["redis"]["healthcheck"]["test"][1:], check=False) == 0, "Redis answers")
        for name in ("hello", "echo"):
            stack.enter_context(Container(image, services[name], {}))
        for shared, environ in (("redis", {}), ("embedded", {"REDIS_URL": ""})):
            with Container(
                image, services["gateway"], services["gateway"]["environment"] | environ
            ) as gateway:
                _try(gateway, shared)
                assert gateway.stop(config["StopSignal"]) == 0, "it ends with status 0"
            _say(f"ends with status 0 when told by {config['StopSignal']}")


def _try(gateway: Container, shared: str) -> None:
    status = gateway.status()
    assert status["Uid"].split() == ["10001"] * 4, status["Uid"]
    for name in ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"):
        assert int(status[name], 16) == 0, name
    assert status["NoNewPrivs"] == "1"
    _say("runs as process 1 and user 10001, without capabilities; its health check says that it is well")
    for place in ("/", "/srv/falcongate", "/opt/falcongate", "/etc"):
        assert gateway.run("touch", f"{place}/x") != 0, f"{place} can be written"
    assert gateway.run("touch", "/tmp/x") == 0, "/tmp cannot be written"  # noqa: S108  # the container's own
    assert gateway.run("falcongate", "check") == 0
    _say("its root cannot be written, its /tmp can")
    hello, echo = _get("/api/hello/there"), _get("/api/echo/", b"some text")
    assert json.loads(hello)["target"] == "/api/hello/there", hello
    assert echo == b"some text", echo
    health = json.loads(_get("/health/"))
    assert (health["shared_state"], health["dependencies"]["redis"]) == (shared, "connected"), health
    _say(f"relays requests to both services; shared state: {shared}")
    used = gateway.used_bytes()
    assert used < 32 << 20, used
    _say(f"{used >> 10} KiB in /tmp")


def _get(target: str, body: bytes | None = None) -> bytes:
    request = urllib.request.Request(f"http://gateway:8000{target}", body)  # our own address
    with urllib.request.urlopen(request, timeout=_WITHIN_S) as answer:  # noqa: S310
        text: bytes = answer.read()
    return text


def _until(happened: Callable[[], bool], what: str) -> None:
    deadline = time.monotonic() + _WITHIN_S
    while not happened():
        assert time.monotonic() < deadline, f"not within {_WITHIN_S} s: {what}"
        time.sleep(0.1)


def _run(*command: str, check: bool = True) -> int:
    return subprocess.run(command, check=check, capture_output=True, timeout=_WITHIN_S).returncode


def _say(line: str) -> None:
    sys.stdout.write(f"scripts/try-image: {line}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]))
