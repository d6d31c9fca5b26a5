"""What the operator's commands start, and how they end."""

from __future__ import annotations

import json
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from falcongate.config.own_paths import OWN_PATHS, SIGN_IN_PATHS
from tests.support.callers import Caller
from tests.support.honest import HonestUpstream
from tests.support.processes import ROOT, until
from tests.support.programs import answers, get, program
from tests.support.upstreams import listen

E3OS = str(ROOT / "conf/e3os.toml")
GUNICORN = [sys.executable, "-m", "gunicorn", "-c", "conf/gunicorn.py", "falcongate.wsgi:app"]
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
for route in falcon.inspect.inspect_routes(app._context._app._app):
    print(route.path)
"""


@pytest.fixture
def honest() -> Iterator[HonestUpstream]:
    """A service."""
    upstream = HonestUpstream()
    yield upstream
    upstream.stop()


def cli(*arguments: str) -> list[str]:
    """The command line of `falcongate`."""
    return [sys.executable, "-m", "falcongate", *arguments]


def printed(*arguments: str, status: int = 0) -> str:
    """What a command writes to standard output; it ends with `status` and has nothing to complain of."""
    done = subprocess.run(  # noqa: S603  # our own command
        cli(*arguments),
        cwd=ROOT,
        env={"PYTHONPATH": str(ROOT), "PYTHONIOENCODING": "ascii:strict"},
        capture_output=True,
        text=True,
        check=False,
        timeout=30,
    )
    assert (done.stderr, done.returncode) == ("", status)
    return done.stdout


def free_port() -> int:
    """A port on which nobody listens."""
    with listen() as listener:
        port: int = listener.getsockname()[1]
        return port


def test_serve_runs_the_gateway_of_a_file_until_told_to_stop(tmp_path: Path, honest: HonestUpstream) -> None:
    config = tmp_path / "gateway.toml"
    config.write_text(f'[services.honest]\nurl = "{honest.url}"\n', "utf-8")
    command = cli("serve", "--config", str(config), "--bind", "127.0.0.1:0", "--workers", "1")
    with program(tmp_path, command) as gateway:
        assert get(gateway.address(), "/api/honest/x").json()["target"] == "/api/honest/x"
        assert gateway.end() == 0
        assert "Traceback" not in gateway.err


def test_serve_listens_on_the_loopback_address_and_port_unless_told_otherwise(
    tmp_path: Path, honest: HonestUpstream
) -> None:
    environ = {"PORT": str(free_port()), "MICROSERVICE_URLS": f"honest={honest.url}", "WEB_CONCURRENCY": "1"}
    with program(tmp_path, cli("serve"), **environ) as gateway:
        assert gateway.address() == ("127.0.0.1", int(environ["PORT"]))
        assert get(gateway.address(), "/api/honest/x").status == 200


@pytest.mark.parametrize("command", [cli("serve"), GUNICORN], ids=["serve", "gunicorn"])
def test_mistakes_start_nothing_and_end_with_status_2(tmp_path: Path, command: list[str]) -> None:
    config = tmp_path / "gateway.toml"
    config.write_text("[services.hr]\n[server]\ntrusted_hop = 1\n", "utf-8")
    port = free_port()
    with program(tmp_path, command, FALCONGATE_CONFIG=str(config), PORT=str(port)) as gateway:
        assert gateway.process.wait(15) == 2
        assert "services.hr.url" in gateway.err
        assert "did you mean trusted_hops?" in gateway.err
        assert "Listening" not in gateway.err
        assert "Traceback" not in gateway.err
        assert gateway.members() == []
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection(("127.0.0.1", port), 5)


def test_a_nonsensical_port_is_a_mistake_too(tmp_path: Path) -> None:
    with program(tmp_path, GUNICORN, PORT="http") as it:
        assert it.process.wait(15) == 2
        assert "PORT" in it.err


DEMO = cli("demo", "--serve", "--bind", "127.0.0.1:0", "--workers", "1")


def test_the_demonstration_services_answer_through_the_gateway(tmp_path: Path) -> None:
    with program(tmp_path, DEMO) as demo:
        address = demo.address()
        assert get(address, "/api/hello/a%20path?q").json()["target"] == "/api/hello/a%20path?q"
        with Caller(address) as caller:
            body = b"some text" * 100_000
            assert caller.exchange("POST", "/api/echo/", body=body).content == body
        assert get(address, "/api/slow/?seconds=0.1").json() == {"waited_s": 0.1}
        assert {get(address, "/api/hello/").json()["answered_by"] for _ in range(40)} == {"a", "b"}
        assert get(address, "/api/nowhere/").status == 404
        with Caller(address) as caller:
            caller.send(b"GET /api/events/ HTTP/1.1\r\nHost: a\r\n\r\n")
            head, _ = caller.head()
            assert head.get("Content-Type") == "text/event-stream"
            # The first is here while the others are still to come.
            caller.reader.until(b'{"event": 1, "of": 10}')
        assert demo.end(signal.SIGINT) == 0
        until(lambda: not demo.members(), "all of its processes are gone")


def test_what_can_be_tried_is_printed_once_the_gateway_answers(tmp_path: Path) -> None:
    with program(tmp_path, DEMO) as demo:
        until(lambda: "Ctrl-C" in demo.out, "it says what to try", within_s=30)
        base = re.search(r"ready on (http://127\.0\.0\.1:(\d+)),", demo.out)
        assert base is not None
        assert answers(("127.0.0.1", int(base[2])))
        tries = re.findall(rf"^  curl .*{base[1]}(/[^' ]*)[' ].* # \S", demo.out, re.MULTILINE)
        statuses = {path: get(("127.0.0.1", int(base[2])), path).status for path in tries if "ev" not in path}
        assert statuses.pop("/api/nowhere/") == 404
        assert len(statuses) >= 5
        assert set(statuses.values()) == {200}


def test_nothing_outlives_a_killed_demonstration(tmp_path: Path) -> None:
    """The gateway's master is killed; workers and services have nobody to tell them."""
    with program(tmp_path, DEMO) as demo:
        demo.address()
        assert len(demo.members()) == 3
        demo.process.kill()
        demo.process.wait(10)
        until(lambda: not demo.members(), "all of its processes are gone")


def test_an_interrupt_from_the_terminal_ends_all_quietly(tmp_path: Path) -> None:
    with program(tmp_path, DEMO) as demo:
        demo.address()
        assert demo.interrupt() == 0
        until(lambda: not demo.members(), "all of its processes are gone")
        assert "Traceback" not in demo.err


def test_a_port_that_is_taken_is_said_in_one_line(tmp_path: Path) -> None:
    with listen() as taken:
        port = taken.getsockname()[1]
        for options in (["--serve", "--bind", f"127.0.0.1:{port}"], ["--port", str(port)]):
            with program(tmp_path, cli("demo", *options)) as demo:
                assert demo.process.wait(15) == 1
                (line,) = demo.err.splitlines()
                assert f"cannot listen on 127.0.0.1:{port}: Address already in use; give another" in line
                assert demo.members() == []


@pytest.mark.parametrize("ending", [signal.SIGINT, signal.SIGTERM])
def test_demonstration_services_alone_say_how_to_reach_them(tmp_path: Path, ending: signal.Signals) -> None:
    with program(tmp_path, cli("demo")) as demo:
        until(lambda: demo.out.endswith("\n"), "it says where it listens")
        variable, _, value = demo.out.strip().partition("=")
        services = json.loads(value.strip("'"))
        assert variable == "MICROSERVICE_URLS"
        assert len(services["hello"]) == 2
        for urls in services.values():
            host, port = URL.fullmatch(urls[0]).groups()  # type: ignore[union-attr]
            assert get((host, int(port)), "/api/hello/").json()["method"] == "GET"
        assert demo.end(ending) == 0
        assert demo.err == ""


def test_check_says_what_the_shipped_deployment_would_run() -> None:
    out = printed("check", "--config", E3OS)
    assert out.startswith("The configuration is valid: 9 services, port 8000")
    assert '  services.auth_service.url = ["http://auth-service:8001"]\n' in out
    assert "warning" not in out


def test_routes_shows_every_path_of_the_shipped_deployment() -> None:
    table = printed("routes", "--config", E3OS).partition("\n\n")[0].splitlines()
    by_path = {columns[0]: columns[1:] for columns in (re.split(r"  +", line) for line in table)}
    assert len(by_path) == len(table) == 1 + 19 + 2 + 7
    assert by_path["/api/token"] == ["auth_service", "http://auth-service:8001", "60 s", "1", "append /"]
    assert by_path["/api/notifications"][-1] == "strip /api/notifications"


def test_explain_judges_requests_to_the_shipped_deployment() -> None:
    out = printed("explain", "POST", "/api/notifications/a?b", "--config", E3OS)
    assert re.search(r"^sends +POST /a\?b HTTP/1\.1$", out, re.MULTILINE)
    assert re.search(r"^to +http://app:3001 \(Host: app:3001\)$", out, re.MULTILINE)
    refused = printed("explain", "GET", "/api/hr/%2e%2e/x", "--config", E3OS, status=1)
    assert "400 ambiguous-path: The path has a dot segment." in refused


def test_explain_can_show_what_no_terminal_could() -> None:
    out = printed("explain", "GET", "/api/hr/é\udcff\x1b", "--config", E3OS, status=1)
    assert r"/api/hr/\xe9\udcff\x1b" in out


def test_every_own_path_is_a_door_of_the_application() -> None:
    """`check` and `explain` read the list of paths: one that nobody answers would be no service's either."""
    listing = subprocess.run(  # noqa: S603  # our own command
        [sys.executable, "-c", DOORS], cwd=ROOT, capture_output=True, text=True, check=True, timeout=30
    )
    assert set(listing.stdout.split()) == OWN_PATHS.keys() - SIGN_IN_PATHS


def test_a_reader_who_has_seen_enough_is_no_error() -> None:
    """The other end of the pipe is closed before anything is written, as `head` does sooner or later."""
    with subprocess.Popen(  # noqa: S603  # our own command
        cli("check", "--json-schema"),
        cwd=ROOT,
        env={"PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as running:
        assert running.stdout is not None
        assert running.stderr is not None
        running.stdout.close()
        assert running.stderr.read() == ""
        assert running.wait(20) == 1
