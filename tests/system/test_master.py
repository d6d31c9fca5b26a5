"""What gunicorn's master does beside its own work: reading the configuration anew, sharing metrics."""

from __future__ import annotations

import re
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.support.callers import Answer, Caller
from tests.support.processes import GatewayProcess, until

SERVICE = '[services.{name}]\nurl = "http://127.0.0.1:9"\n'


@contextmanager
def running(directory: Path, *, workers: int = 1, **environ: str) -> Iterator[GatewayProcess]:
    """A gateway with one service."""
    environ = {"TMPDIR": str(directory), **environ}
    gateway = GatewayProcess(directory, SERVICE.format(name="before"), workers=workers, environ=environ)
    try:
        yield gateway
    finally:
        gateway.stop()


def get(gateway: GatewayProcess, target: str) -> Answer:
    """Ask once, on a connection of its own."""
    with Caller(gateway.address) as caller:
        return caller.get(target)


def counted(gateway: GatewayProcess) -> int:
    """How many requests for no service there were, over all workers."""
    text = get(gateway, "/metrics/").content.decode()
    found = re.search(
        r'^falcongate_problems_total\{problem="no-route",service=""\} (\d+)', text, re.MULTILINE
    )
    return int(found[1]) if found else 0


def test_a_worker_that_still_starts_can_be_stopped(tmp_path: Path) -> None:
    """All workers are killed, and the gateway is told to end while the next are being born."""
    with running(tmp_path, workers=3) as gateway:
        gateway.allow_deaths()
        gateway.allow("was sent SIGKILL")
        for worker in gateway.workers:
            gateway.signal(signal.SIGKILL, worker)
        until(lambda: set(gateway.children()) - set(gateway.workers), "the first of the next is there")
        gateway.stop(within_s=5)


def rewrite(directory: Path, text: str) -> None:
    """Change the configuration of a gateway that runs."""
    (directory / "gateway.toml").write_text(text, "utf-8")


def test_sighup_with_a_mistake_changes_nothing(tmp_path: Path) -> None:
    with running(tmp_path) as gateway:
        rewrite(tmp_path, "[services.after]\n")
        gateway.signal(signal.SIGHUP)
        until(lambda: "Not reloaded" in gateway.stderr(), "the mistake is reported")
        until(lambda: "services.after.url" in gateway.stderr(), "with its key")
        assert get(gateway, "/api/before/x").status == 502
        gateway.check()


def test_sighup_takes_a_new_configuration_and_what_gunicorn_is_told_of_it(tmp_path: Path) -> None:
    with running(tmp_path) as gateway:
        rewrite(tmp_path, SERVICE.format(name="after") + '[log]\nlevel = "debug"\n')
        gateway.allow_deaths()
        gateway.signal(signal.SIGHUP)
        until(lambda: get(gateway, "/api/after/x").status == 502, "the new service is there")
        until(lambda: get(gateway, "/api/before/x").status == 404, "the old one is not")
        assert "[DEBUG] Current configuration" in gateway.stderr()


def test_metrics_are_shared_by_all_workers_and_outlive_each(tmp_path: Path) -> None:
    """Workers are killed; the later ones were forked by a master that had seen one die."""
    with running(tmp_path, workers=2) as gateway:
        gateway.allow_deaths()
        gateway.allow("was sent SIGKILL")
        for round_number in range(1, 4):
            for _ in range(10):
                assert get(gateway, "/nowhere").status == 404
            until(lambda expected=10 * round_number: counted(gateway) == expected, "all are counted")
            workers = gateway.children()
            gateway.signal(signal.SIGKILL, workers[0])
            until(
                lambda dead=workers[0]: len(gateway.children()) == 2 and dead not in gateway.children(),
                "another worker runs",
            )


def test_the_directory_of_the_metrics_ends_with_the_gateway(tmp_path: Path) -> None:
    with running(tmp_path):
        (directory,) = tmp_path.glob("falcongate-metrics-*")
        assert directory.stat().st_mode & 0o077 == 0
    assert not directory.exists()


def test_an_operator_s_directory_is_emptied_of_old_metrics_and_kept(tmp_path: Path) -> None:
    """A file that an earlier gateway left half written would break every scrape."""
    directory = tmp_path / "metrics/here"
    directory.mkdir(parents=True)
    (directory / "counter_1.db").write_bytes(b"garbage")
    (directory / "mine.txt").write_text("mine", "utf-8")
    with running(tmp_path, PROMETHEUS_MULTIPROC_DIR=str(directory)) as gateway:
        assert get(gateway, "/nowhere").status == 404
        until(lambda: counted(gateway) == 1, "it is counted")
        assert list(directory.glob("counter_*.db"))
        assert not list(tmp_path.glob("falcongate-metrics-*"))
    assert (directory / "mine.txt").exists()
