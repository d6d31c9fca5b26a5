"""A gateway that is told nothing but MICROSERVICE_URLS."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.callers import Caller
from tests.support.honest import HonestUpstream
from tests.support.processes import GatewayProcess


@pytest.fixture
def honest() -> Iterator[HonestUpstream]:
    upstream = HonestUpstream()
    yield upstream
    upstream.stop()


@pytest.mark.parametrize("form", ["json", "pairs"])
def test_its_services_are_routed_without_a_configuration_file(
    honest: HonestUpstream, tmp_path: Path, form: str
) -> None:
    urls = json.dumps({"hr": honest.url, "messaging": [honest.url]})
    value = urls if form == "json" else f"hr={honest.url},messaging={honest.url}"
    gateway = GatewayProcess(tmp_path, None, environ={"MICROSERVICE_URLS": value})
    try:
        with Caller(gateway.address) as caller:
            for service in ("hr", "messaging"):
                document = caller.get(f"/api/{service}/x/?y=").body.json()
                assert document["target"] == f"/api/{service}/x/?y="
            assert caller.get("/api/lms/x").status == 404
            assert caller.get("/health/").status == 200
    finally:
        gateway.stop()


def test_it_overrides_the_urls_of_configured_services_and_nothing_else(
    honest: HonestUpstream, tmp_path: Path
) -> None:
    config = '[services.hr]\nurl = "http://127.0.0.1:1"\nstrip_prefix = "/api/hr"\n'
    gateway = GatewayProcess(
        tmp_path, config, environ={"MICROSERVICE_URLS": f"hr={honest.url},new={honest.url}"}
    )
    try:
        with Caller(gateway.address) as caller:
            assert caller.get("/api/hr/x").body.json()["target"] == "/x"
            assert caller.get("/api/new/x").body.json()["target"] == "/api/new/x"
    finally:
        gateway.stop()


def test_its_services_have_breakers_and_no_limits(honest: HonestUpstream, tmp_path: Path) -> None:
    gateway = GatewayProcess(tmp_path, None, environ={"MICROSERVICE_URLS": f"hr={honest.url}"})
    try:
        with Caller(gateway.address) as caller:
            answer = caller.get("/api/hr/x")
            assert answer.status == 200
            assert answer.get("RateLimit-Policy") is None
            assert caller.get("/health/").json()["circuit_breaker"] == {"hr": "CLOSED"}
    finally:
        gateway.stop()
