"""Whether settings go with a platform, rule by rule."""

from __future__ import annotations

from typing import Any

import pytest

from falcongate.config.load import load
from falcongate.config.settings import GatewaySettings
from falcongate.findings import Finding, Level
from falcongate.server.machine import Platform
from falcongate.server.platform_verdict import verdict_on_platform
from tests.support.processes import ROOT


def bad(platform: Platform, **settings: Any) -> list[Finding]:  # noqa: ANN401  # settings as in a file
    """What is wrong with settings on a platform."""
    found = verdict_on_platform(platform, GatewaySettings.model_validate(settings))
    return [finding for finding in found if finding.level != Level.OK]


def service(**settings: Any) -> dict[str, Any]:  # noqa: ANN401  # settings as in a file
    """A service that is given up in time, but for its settings."""
    return {"url": "http://a", "timeout_s": 20, **settings}


def test_the_file_for_heroku_is_right_for_heroku() -> None:
    settings = load(environ={}, path=str(ROOT / "conf/heroku.toml"))
    found = list(verdict_on_platform("Heroku", settings))
    assert not [finding for finding in found if finding.level != Level.OK]
    assert any("X-Request-ID" in finding.found for finding in found)


@pytest.mark.parametrize(
    ("server", "found"),
    [
        ({"keepalive_timeout_s": 90}, "keepalive_timeout_s is 90"),
        ({"graceful_timeout_s": 30}, "graceful_timeout_s is 30"),
        ({"trusted_hops": 0}, "every caller seems to come from its address"),
        ({"trusted_hops": 0, "trusted_proxies": ["10.0.0.0/8"]}, "every caller seems"),
    ],
)
def test_what_fails_on_heroku(server: dict[str, Any], found: str) -> None:
    (finding,) = bad("Heroku", server={"trusted_hops": 1} | server)
    assert finding.level == Level.PROBLEM
    assert found in finding.found
    assert finding.remedy


def test_the_edges_that_are_right() -> None:
    server = {"trusted_hops": 1, "keepalive_timeout_s": 90.5, "graceful_timeout_s": 29}
    assert not bad("Heroku", server=server, services={"hr": service(timeout_s=29.9)})


def test_two_hops_may_be_right() -> None:
    (finding,) = bad("Heroku", server={"trusted_hops": 2})
    assert finding.level == Level.WARNING


def test_services_that_the_router_does_not_wait_for_are_named() -> None:
    services = {"quick": service(), "late": service(timeout_s=30), "later": service(timeout_s=300)}
    (finding,) = bad(
        "Heroku", server={"trusted_hops": 1}, services=services, endpoint_timeouts={"upload": 600, "x": 5}
    )
    assert finding.level == Level.WARNING
    assert "H12" in finding.found
    assert finding.found.endswith("late (30 s), later (300 s), endpoint upload (600 s)")


def test_of_many_services_some_are_named() -> None:
    services = {f"s{number}": service(timeout_s=60) for number in range(9)}
    (finding,) = bad("Heroku", server={"trusted_hops": 1}, services=services)
    assert finding.found.endswith("s5 (60 s) and 3 more")


@pytest.mark.parametrize(("ping_s", "count"), [(0, 1), (30, 0), (60, 1)])
def test_websockets_that_are_silent(ping_s: int, count: int) -> None:
    found = bad(
        "Heroku",
        server={"trusted_hops": 1},
        services={"chat": service(websocket=True)},
        websocket={"ping_interval_s": ping_s},
    )
    assert len(found) == count


def test_tls_ends_in_the_router() -> None:
    tls = {"cert_file": "/cert.pem"}
    (finding,) = bad("Heroku", server={"trusted_hops": 1, "tls": tls})
    assert "speaks plain HTTP with a dyno" in finding.found


@pytest.mark.parametrize(("kept_s", "count"), [(60, 1), (61, 0)])
def test_idle_connections_elsewhere(kept_s: int, count: int) -> None:
    assert len(bad("none", server={"keepalive_timeout_s": kept_s})) == count


@pytest.mark.parametrize(
    ("platform", "graceful_s", "told"),
    [
        ("Kubernetes", 29, []),
        ("Kubernetes", 30, ["terminationGracePeriodSeconds"]),
        ("systemd", 39, []),
        ("systemd", 40, ["TimeoutStopSec"]),
        ("none", 600, []),
    ],
)
def test_what_ends_the_gateway(platform: Platform, graceful_s: int, told: list[str]) -> None:
    found = bad(platform, server={"graceful_timeout_s": graceful_s})
    assert [finding.remedy.split()[1] for finding in found] == told


def test_a_container_is_told_what_docker_does() -> None:
    found = list(verdict_on_platform("a container", GatewaySettings()))
    assert any("docker stop --time" in finding.remedy for finding in found)
