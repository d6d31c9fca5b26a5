"""Dockerfile and compose.yaml are sound in themselves and say what the gateway's settings say.

They are built and run by scripts/try-image.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
import yaml

from falcongate.config.load import load
from falcongate.config.settings import GatewaySettings
from tests.architecture.tree import ROOT

DOCKERFILE = (ROOT / "Dockerfile").read_text("utf-8")
COMPOSE = (ROOT / "compose.yaml").read_text("utf-8")
OURS = ("gateway", "hello", "echo")


def stages() -> list[list[tuple[str, str]]]:
    """The stages of the Dockerfile, each as its instructions: names and what follows them."""
    lines = [line for line in DOCKERFILE.splitlines() if line.strip() and not line.lstrip().startswith("#")]
    instructions = [text.partition(" ") for text in re.sub(r"\\\n\s*", "", "\n".join(lines)).splitlines()]
    found: list[list[tuple[str, str]]] = []
    for name, _, rest in instructions:
        if name == "FROM":
            found.append([])
        found[-1].append((name, rest.strip()))
    return found


def said(name: str) -> list[str]:
    """What the image's own stage says under this name."""
    return [rest for instruction, rest in stages()[-1] if instruction == name]


def environment() -> dict[str, str]:
    """The variables that the image sets."""
    return dict(pair.split("=", 1) for pair in said("ENV")[0].split())


def copied() -> list[str]:
    """What is copied out of the repository."""
    copies = [rest for stage in stages() for name, rest in stage if name == "COPY" and "--from" not in rest]
    return [source for rest in copies for source in rest.split()[:-1]]


def services() -> dict[str, Any]:
    """The services of compose.yaml."""
    found: dict[str, Any] = yaml.safe_load(COMPOSE)["services"]
    return found


@contextmanager
def answering(status: int) -> Iterator[int]:
    """A server that answers each request with this status; its port."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(status if self.path == "/health/live/" else 404)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield server.server_port
        finally:
            server.shutdown()
            thread.join()


def health_check(port: int) -> int:
    """Run the image's health check against a port of this machine; its status."""
    _, _, text = said("HEALTHCHECK")[0].partition("CMD ")
    program, *arguments = json.loads(text)
    assert program == "python"
    command = [sys.executable, *arguments]
    environ = {"PORT": str(port), "http_proxy": "http://127.0.0.1:9"}
    return subprocess.run(command, env=environ, check=False, capture_output=True, timeout=30).returncode  # noqa: S603


def test_what_is_copied_is_there_and_nothing_else_is_sent_to_be_built() -> None:
    ignore = (ROOT / ".dockerignore").read_text("utf-8").splitlines()
    let_through = {line.removeprefix("!") for line in ignore if line.startswith("!")}

    assert not [source for source in copied() if not (ROOT / source).exists()]
    assert let_through == set(copied())
    assert "*" in ignore


def test_what_is_installed_is_pinned() -> None:
    files = set(re.findall(r"-r (\S+\.txt)", DOCKERFILE))

    assert files == {source for source in copied() if source.startswith("requirements/")}
    for file in files:
        pins = [line for line in (ROOT / file).read_text("utf-8").splitlines() if line and line[0] != "#"]
        assert all("==" in pin for pin in pins), file
    assert "--no-build-isolation" in DOCKERFILE


def test_both_stages_have_the_same_base() -> None:
    bases = {stage[0][1].split(" AS ")[0] for stage in stages()}

    assert len(bases) == 1
    assert re.fullmatch(r"python:3\.\d+-slim-[a-z]+", bases.pop())


def test_the_image_runs_what_the_procfile_runs_as_nobody_in_particular() -> None:
    command = json.loads(said("CMD")[0])
    user, group = said("USER")[-1].split(":")

    assert "web: " + " ".join(command) in (ROOT / "Procfile").read_text("utf-8").splitlines()
    assert command[2] in copied()
    assert int(user) >= 10_000
    assert int(group) >= 10_000
    assert said("EXPOSE") == [environment()["PORT"]]
    assert said("STOPSIGNAL") == ["SIGTERM"]


def test_the_health_check_tells_a_gateway_that_is_well_from_others() -> None:
    with answering(200) as port:
        assert health_check(port) == 0
    assert health_check(port) == 1
    with answering(503) as port:
        assert health_check(port) == 1


def test_compose_takes_the_file() -> None:
    compose_spec = pytest.importorskip("compose_spec", reason="compose-spec is not made for this machine")

    merging = compose_spec.PyOptions(apply_merge=True)
    merging.from_yaml(COMPOSE.replace("${GATEWAY_PORTS:-8000}", "8000")).validate()
    document = {key: value for key, value in yaml.safe_load(COMPOSE).items() if not key.startswith("x-")}
    compose_spec.models.ComposeSpecification.model_validate(document, extra="forbid")


@pytest.mark.parametrize("name", services())
def test_services_of_compose_may_do_no_more_than_they_must(name: str) -> None:
    service = services()[name]

    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert "privileged" not in service
    if name in OURS:
        assert service["image"] == services()["gateway"]["image"]
        assert re.fullmatch(r"/tmp:size=\d+m,mode=1777", service["tmpfs"][0])  # noqa: S108  # the container's own
    else:
        assert service["user"] == "redis"


def test_the_gateway_of_compose_finds_redis_and_each_demonstration_service() -> None:
    gateway = services()["gateway"]
    settings = load(environ=gateway["environment"])

    assert set(gateway["depends_on"]) == set(services()) - {"gateway"}
    assert {service: found.url for service, found in settings.services.items()} == {
        name: (f"http://{name}:{port}",)
        for name, port in ((name, services()[name]["command"][-1]) for name in ("hello", "echo"))
    }
    assert settings.redis.url is not None
    assert settings.redis.url.get_secret_value() == "redis://redis:6379/0"
    command = services()["redis"]["command"]
    assert command[command.index("--maxmemory-policy") + 1] == "noeviction"
    for name in ("hello", "echo"):
        assert (
            f"'127.0.0.1', {services()[name]['command'][-1]})" in services()[name]["healthcheck"]["test"][-1]
        )


def test_compose_shows_the_gateway_to_this_machine_alone_and_waits_for_its_end() -> None:
    gateway = services()["gateway"]

    (published,) = gateway["ports"]
    assert published == f"127.0.0.1:${{GATEWAY_PORTS:-8000}}:{environment()['PORT']}"
    assert [name for name in services() if "ports" in services()[name]] == ["gateway"]
    assert int(gateway["stop_grace_period"].removesuffix("s")) > GatewaySettings().server.graceful_timeout_s
