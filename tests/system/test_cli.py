"""What the operator's commands start, and how they end."""

from __future__ import annotations

import json
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from falcongate.cli import is_own_path
from tests.support.callers import Answer, Caller
from tests.support.honest import HonestUpstream
from tests.support.processes import ROOT, until

LISTENING = re.compile(r"Listening at: http://(127\.0\.0\.1):(\d+)")
URL = re.compile(r"http://(127\.0\.0\.1):(\d+)")
DOORS = """
from gevent import monkey
monkey.patch_all()
import falcon.inspect
from falcongate.app import create_app
from falcongate.config.settings import GatewaySettings
from falcongate.resources.doors import Doors
falcon.inspect.register_router(Doors)(falcon.inspect.inspect_compiled_router)
app = create_app(GatewaySettings())
for route in falcon.inspect.inspect_routes(app._app):
    print(route.path)
"""


class Program:
    """A program that was started, with what it has written so far."""

    def __init__(self, directory: Path, *command: str, **environ: str) -> None:
        self._out, self._err = directory / "out", directory / "err"
        with self._out.open("wb") as out, self._err.open("wb") as err:
            self.process = subprocess.Popen(  # noqa: S603  # our own command
                [sys.executable, *command],
                cwd=ROOT,
                env={"PYTHONPATH": str(ROOT), "PYTHONUNBUFFERED": "1", "TMPDIR": str(directory), **environ},
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=err,
                start_new_session=True,
            )

    @property
    def out(self) -> str:
        """Standard output so far."""
        return self._out.read_text("utf-8")

    @property
    def err(self) -> str:
        """Standard error so far."""
        return self._err.read_text("utf-8")

    def address(self) -> tuple[str, int]:
        """Where its gunicorn listens, waited for until it answers."""

        def listening() -> re.Match[str] | None:
            assert self.process.poll() is None, self.err
            return LISTENING.search(self.err)

        found = until(listening, "gunicorn listens", within_s=30)
        address = (found[1], int(found[2]))
        until(lambda: answers(address), "the gateway answers", within_s=30)
        return address

    def end(self, number: signal.Signals = signal.SIGTERM) -> int:
        """Ask it to end, and answer its exit status."""
        self.process.send_signal(number)
        return self.process.wait(15)


@contextmanager
def program(directory: Path, *command: str, **environ: str) -> Iterator[Program]:
    """A program that is gone afterwards, with all that it has started."""
    started = Program(directory, *command, **environ)
    try:
        yield started
    finally:
        started.process.kill()
        started.process.wait(10)


def get(address: tuple[str, int], target: str) -> Answer:
    """Ask once, on a connection of its own."""
    with Caller(address) as caller:
        return caller.get(target)


def answers(address: tuple[str, int]) -> bool:
    """Whether anybody is there."""
    try:
        return get(address, "/health/live").status == 200
    except OSError:
        return False


@pytest.fixture
def honest() -> Iterator[HonestUpstream]:
    """A service."""
    upstream = HonestUpstream()
    yield upstream
    upstream.stop()


def cli(*arguments: str) -> list[str]:
    """The command line of `falcongate`."""
    return ["-m", "falcongate.cli", *arguments]


def test_serve_runs_the_gateway_of_a_file_until_told_to_stop(tmp_path: Path, honest: HonestUpstream) -> None:
    config = tmp_path / "gateway.toml"
    config.write_text(f'[services.honest]\nurl = "{honest.url}"\n', "utf-8")
    command = cli("serve", "--config", str(config), "--bind", "127.0.0.1:0", "--workers", "1")
    with program(tmp_path, *command) as gateway:
        assert get(gateway.address(), "/api/honest/x").json()["target"] == "/api/honest/x"
        assert gateway.end() == 0
        assert "Traceback" not in gateway.err


@pytest.mark.parametrize(
    "command",
    [cli("serve"), ["-m", "gunicorn", "-c", "conf/gunicorn.py", "falcongate.wsgi:app"]],
    ids=["serve", "gunicorn"],
)
def test_mistakes_start_nothing_and_end_with_status_2(tmp_path: Path, command: list[str]) -> None:
    config = tmp_path / "gateway.toml"
    config.write_text("[services.hr]\n[server]\ntrusted_hop = 1\n", "utf-8")
    with program(tmp_path, *command, FALCONGATE_CONFIG=str(config)) as gateway:
        assert gateway.process.wait(15) == 2
        assert "services.hr.url" in gateway.err
        assert "did you mean trusted_hops?" in gateway.err
        assert "Listening" not in gateway.err
        assert "Traceback" not in gateway.err


def test_a_nonsensical_port_is_a_mistake_too(tmp_path: Path) -> None:
    with program(
        tmp_path, "-m", "gunicorn", "-c", "conf/gunicorn.py", "falcongate.wsgi:app", PORT="http"
    ) as it:
        assert it.process.wait(15) == 2
        assert "PORT" in it.err


def test_the_demonstration_services_answer_through_the_gateway(tmp_path: Path) -> None:
    with program(tmp_path, *cli("demo", "--serve", "--bind", "127.0.0.1:0", "--workers", "1")) as demo:
        address = demo.address()
        assert get(address, "/api/hello/a%20path?q").json()["target"] == "/api/hello/a%20path?q"
        with Caller(address) as caller:
            body = b"some text" * 100_000
            assert caller.exchange("POST", "/api/echo/", body=body).content == body
        assert get(address, "/api/slow/?seconds=0.1").json() == {"waited_s": 0.1}
        assert {get(address, "/api/twins/").json()["answered_by"] for _ in range(40)} == {"a", "b"}
        assert get(address, "/api/nowhere/").status == 404
        assert "curl -N http://127.0.0.1:0/api/events/" in demo.out
        assert demo.end(signal.SIGINT) == 0


def test_nothing_outlives_a_killed_demonstration(tmp_path: Path) -> None:
    """The gateway's master is killed; workers and services have nobody to tell them."""
    with program(tmp_path, *cli("demo", "--serve", "--bind", "127.0.0.1:0", "--workers", "1")) as demo:
        demo.address()
        session = demo.process.pid
        assert len(members(session)) == 3
        demo.process.kill()
        demo.process.wait(10)
        until(lambda: not members(session), "all of its processes are gone")


def members(session: int) -> list[int]:
    """The living processes of a session."""
    found = []
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = path.read_text("utf-8", "replace").rpartition(")")[2].split()
        except OSError:
            continue
        if int(fields[3]) == session and fields[0] != "Z":
            found.append(int(path.parent.name))
    return found


def test_demonstration_services_alone_say_how_to_reach_them(tmp_path: Path) -> None:
    with program(tmp_path, *cli("demo")) as demo:
        until(lambda: demo.out.endswith("\n"), "it says where it listens")
        variable, _, value = demo.out.strip().partition("=")
        services = json.loads(value.strip("'"))
        assert variable == "MICROSERVICE_URLS"
        assert len(services["twins"]) == 2
        for urls in services.values():
            host, port = URL.fullmatch(urls[0]).groups()  # type: ignore[union-attr]
            assert get((host, int(port)), "/api/hello/").json()["method"] == "GET"


def test_explain_knows_every_door_of_the_application() -> None:
    """A door that `explain` does not know would be explained as a route to a service."""
    listing = subprocess.run(  # noqa: S603  # our own command
        [sys.executable, "-c", DOORS], cwd=ROOT, capture_output=True, text=True, check=True, timeout=30
    )
    doors = [re.sub(r"\{\w+(:path)?\}", "x", line) for line in listing.stdout.split()]
    assert len(doors) >= 4
    assert [door for door in doors if not is_own_path(door)] == []
