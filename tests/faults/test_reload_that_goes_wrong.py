"""A configuration that cannot be used changes nothing, whoever finds out: the master, or its new workers."""

from __future__ import annotations

import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.support.callers import Answer, Caller
from tests.support.processes import ROOT, GatewayProcess, environment, until

SERVICE = '[services.{name}]\nurl = "http://127.0.0.1:9"\n'
# What keeps later workers from starting: how many may be born before one fails stands in a file.
GUNICORN = """
from pathlib import Path
from falcongate.server.gunicorn_conf import *

def post_worker_init(worker):
    left = Path({file!r})
    if left.exists():
        may = int(left.read_text())
        left.write_text(str(may - 1))
        if may <= 0:
            raise RuntimeError("this worker must not start")
    left.with_name(f"born-{{worker.pid}}").touch()
"""


@pytest.fixture
def gateway(tmp_path: Path) -> Iterator[GatewayProcess]:
    with running(tmp_path, workers=2) as gateway:
        gateway.allow_deaths()
        yield gateway


@contextmanager
def running(directory: Path, *, workers: int) -> Iterator[GatewayProcess]:
    """A gateway whose workers can be kept from starting."""
    directory.mkdir(exist_ok=True)
    conf = directory / "conf.py"
    conf.write_text(GUNICORN.format(file=str(directory / "left")), "utf-8")
    gateway = GatewayProcess(
        directory,
        SERVICE.format(name="before"),
        workers=workers,
        arguments=("-c", str(conf)),
        environ={"TMPDIR": str(directory)},
    )
    until(lambda: len(list(directory.glob("born-*"))) == workers, "all have started")
    try:
        yield gateway
    finally:
        gateway.stop()


def get(gateway: GatewayProcess, target: str) -> Answer:
    """Ask once, on a connection of its own."""
    with Caller(gateway.address) as caller:
        return caller.get(target)


def configuration(gateway: GatewayProcess) -> str:
    """The version that a worker says it runs."""
    version: str = get(gateway, "/health/").json()["configuration"]
    return version


def reloads(gateway: GatewayProcess) -> dict[str, int]:
    """How many there were, by result."""
    text = get(gateway, "/metrics/").content.decode()
    found = re.findall(r'^falcongate_config_reloads_total\{result="(\w+)"\} (\d+)', text, re.MULTILINE)
    return {result: int(count) for result, count in found}


def reload(gateway: GatewayProcess, *arguments: str) -> subprocess.CompletedProcess[str]:
    """`falcongate reload`, on the gateway's host."""
    return subprocess.run(  # noqa: S603  # our own command
        [sys.executable, "-m", "falcongate", "reload", *arguments],
        cwd=ROOT,
        env=environment() | {"TMPDIR": str(gateway.directory)},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def rewrite(gateway: GatewayProcess, text: str) -> None:
    (gateway.directory / "gateway.toml").write_text(text, "utf-8")


def test_a_good_one_is_taken_up_and_told(gateway: GatewayProcess) -> None:
    before = configuration(gateway)
    rewrite(gateway, SERVICE.format(name="after"))
    done = reload(gateway)
    assert done.returncode == 0, done.stderr
    after = configuration(gateway)
    assert after != before
    assert done.stdout == f"Reloaded: 2 workers run configuration {after}.\n"
    assert "1 of 2 workers" in done.stderr
    assert get(gateway, "/api/after/x").status == 502
    assert reloads(gateway) == {"done": 1, "refused": 0, "failed": 0, "superseded": 0}


def test_a_bad_one_is_refused_with_its_report_and_counted(gateway: GatewayProcess) -> None:
    before = configuration(gateway), gateway.children()
    rewrite(gateway, "[services.after]\n")
    done = reload(gateway)
    assert done.returncode == 2
    assert "services.after.url: is missing" in done.stderr
    assert "services.after.url: is missing" in gateway.stderr()
    assert (configuration(gateway), gateway.children()) == before
    assert get(gateway, "/api/before/x").status == 502
    assert reloads(gateway) == {"done": 0, "refused": 1, "failed": 0, "superseded": 0}


@pytest.mark.parametrize("edit", ["[services.after]\n", SERVICE.format(name="after")])
def test_a_worker_that_dies_is_replaced_by_one_that_runs_what_the_others_run(
    gateway: GatewayProcess, edit: str
) -> None:
    """The file has been edited meanwhile, and nobody has said that it should be taken up."""
    before = configuration(gateway)
    rewrite(gateway, edit)
    gateway.allow("was sent SIGKILL")
    old = gateway.children()
    for pid in old:
        gateway.signal(signal.SIGKILL, pid)
    until(lambda: len(set(gateway.children()) - set(old)) == 2, "others have taken their place")
    assert configuration(gateway) == before


@pytest.mark.parametrize("born", [0, 1])
def test_when_a_new_worker_cannot_start_all_run_again_what_ran(gateway: GatewayProcess, born: int) -> None:
    """The first of two cannot, or the second, when the first has already taken an old one's place."""
    before = configuration(gateway)
    (gateway.directory / "left").write_text(str(born), "utf-8")
    # Those that come to take back what the first has brought may start again.
    gateway.allow("must not start|Exception in worker process|exited with code 3|Traceback|Not reloaded")
    rewrite(gateway, SERVICE.format(name="after"))
    gateway.signal(signal.SIGHUP)
    until(lambda: "Not reloaded" in gateway.stderr(), "it has failed")
    (gateway.directory / "left").unlink()
    until(lambda: "Reload failed" in gateway.stderr(), "all run what they ran")
    until(lambda: len(gateway.children()) == 2, "the others have left")
    for _ in range(10):
        assert configuration(gateway) == before
        # Its breaker may open by then, but there it is.
        assert get(gateway, "/api/before/x").status != 404
    assert reloads(gateway) == {"done": 0, "refused": 0, "failed": 1, "superseded": 0}
    done = reload(gateway)
    assert done.returncode == 0, done.stderr
    assert get(gateway, "/api/after/x").status == 502


def test_who_is_told_to_reload_while_it_reloads_ends_with_the_last(gateway: GatewayProcess) -> None:
    for number in range(4):
        rewrite(gateway, SERVICE.format(name=f"after{number}"))
        gateway.signal(signal.SIGHUP)
        until(lambda number=number: gateway.stderr().count("Reloading:") == number + 1, "it has begun")
    until(lambda: "Reload done" in gateway.stderr(), "it has come to an end")
    until(lambda: len(gateway.children()) == 2, "the others have left")
    for _ in range(10):
        assert get(gateway, "/api/after3/x").status != 404
        assert get(gateway, "/api/after2/x").status == 404


def test_a_worker_that_cannot_be_replaced_takes_no_other_with_it(gateway: GatewayProcess) -> None:
    """One of two is killed, and who comes in its place cannot start for a while."""
    (gateway.directory / "left").write_text("0", "utf-8")
    gateway.allow("was sent SIGKILL|must not start|Exception in worker process|exited with code 3|Traceback")
    gateway.allow("could not start; others serve")
    gateway.signal(signal.SIGKILL, gateway.children()[0])
    until(lambda: "others serve" in gateway.stderr(), "its successor has failed")
    assert get(gateway, "/api/before/x").status == 502
    (gateway.directory / "left").unlink()
    until(lambda: len(gateway.children()) == 2, "another has started")
    assert get(gateway, "/api/before/x").status == 502


def test_a_mistake_in_gunicorn_s_own_settings_ends_nothing(gateway: GatewayProcess) -> None:
    conf = gateway.directory / "conf.py"
    gateway.allow("NameError|Traceback")
    conf.write_text(conf.read_text("utf-8") + "\nno_such_thing\n", "utf-8")
    done = reload(gateway)
    assert done.returncode == 2, done.stderr
    assert "gunicorn cannot" in done.stderr
    assert get(gateway, "/api/before/x").status == 502
    conf.write_text(conf.read_text("utf-8").replace("no_such_thing", ""), "utf-8")
    assert reload(gateway).returncode == 0


def test_signals_that_are_the_master_s_do_nothing_to_a_worker(gateway: GatewayProcess) -> None:
    """A terminal that is closed sends the first to all processes."""
    before = gateway.children()
    for number in (signal.SIGHUP, signal.SIGTTIN, signal.SIGTTOU):
        for pid in before:
            gateway.signal(number, pid)
    assert get(gateway, "/api/before/x").status == 502
    assert gateway.children() == before


def test_the_command_says_which_gateways_there_are(gateway: GatewayProcess, tmp_path: Path) -> None:
    unknown = reload(gateway, "--pid", "1")
    assert unknown.returncode == 1
    assert "process 1 is no gateway" in unknown.stderr
    notices = next(tmp_path.glob("falcongate-run-*"))
    assert notices.stat().st_mode & 0o077 == 0
    with running(tmp_path / "second", workers=1) as second:
        second.allow_deaths()
        (notices / f"{second.pid}.json").write_text(
            next((tmp_path / "second").glob("falcongate-run-*/*.json")).read_text("utf-8"), "utf-8"
        )
        several = reload(gateway)
        assert several.returncode == 1
        assert f"--pid {gateway.pid}" in several.stderr
        assert f"--pid {second.pid}" in several.stderr
        assert reload(gateway, "--pid", str(gateway.pid)).returncode == 0
    assert reload(gateway).returncode == 0


def test_the_command_says_that_there_is_none(gateway: GatewayProcess, tmp_path: Path) -> None:
    """Its directory is one that others may write to: whoever can write there must not say whom we signal."""
    notices = next(tmp_path.glob("falcongate-run-*"))
    notices.chmod(0o777)
    done = reload(gateway)
    assert done.returncode == 1
    assert "no gateway of yours runs on this host" in done.stderr
    notices.chmod(0o700)
