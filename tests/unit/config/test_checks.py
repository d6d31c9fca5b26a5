"""What contradicts what is in the corpus of reports; here is what must not be taken for it."""

from __future__ import annotations

from typing import Any

import pytest

from falcongate.config.checks import contradictions
from falcongate.config.settings import GatewaySettings


def found(**settings: object) -> list[tuple[str | int, ...]]:
    """Where these settings contradict each other."""
    return [mistake.location for mistake in contradictions(GatewaySettings.model_validate(settings))]


@pytest.mark.parametrize(
    "services",
    [
        {"hr": {"url": "http://same"}, "lms": {"url": "http://same"}},
        {"hr": {"url": ["http://hr", "https://hr", "http://hr:443"]}},
        {"hr": {"url": "http://hr", "paths": ["/api/hr", "/api/h", "/api/hr/deep", "/"]}},
        {"hr": {"url": "http://hr"}, "all": {"url": "http://all", "paths": ["/"]}},
        {"hr": {"url": "http://hr", "paths": ["/healthy", "/metrics-of-ours", "/api/health", "/wss"]}},
        {"hr": {"url": "http://hr", "strip_prefix": "/api/hr"}},
        {"hr": {"url": "http://hr", "strip_prefix": "/api/"}},
        {"hr": {"url": "http://hr", "paths": ["/x", "/v2/hr"], "strip_prefix": "/v2"}},
        {"hr": {"url": ["http://hr", "https://hr"], "tls": {"insecure_skip_verify": True}}},
        {"hr": {"url": "http://hr", "tls": {"insecure_skip_verify": False, "ca_file": ""}}},
    ],
)
def test_services_that_do_not_contradict_each_other(services: dict[str, Any]) -> None:
    assert found(services=services) == []


def test_lists_and_endpoints_that_only_look_alike() -> None:
    alike = {"upload": 1, "/upload": 2, "upload/x": 3, "x/upload": 4}

    assert (
        found(endpoint_timeouts=alike, credential_cookies=["a", "A"], public_paths=["/a", "/a/*", "/a/**"])
        == []
    )


def test_every_contradiction_is_found_not_only_the_first() -> None:
    services = {
        "hr": {"url": ["http://hr", "http://HR/"], "paths": ["/health", "/x", "/x"], "strip_prefix": "/y"},
        "lms": {"url": "http://lms", "paths": ["/x"], "tls": {"key_file": "/none"}},
    }

    assert sorted(found(services=services)) == [
        ("services", "hr", "paths"),
        ("services", "hr", "paths", 2),
        ("services", "hr", "strip_prefix"),
        ("services", "hr", "url", 1),
        ("services", "lms", "paths"),
        ("services", "lms", "tls"),
        ("services", "lms", "tls", "key_file"),
        ("services", "lms", "tls", "key_file"),
    ]


@pytest.mark.parametrize(
    ("redis", "expected"),
    [
        ({"url": "rediss://h", "insecure_skip_verify": True}, []),
        ({"url": "rediss+sentinel://h/s", "insecure_skip_verify": True}, []),
        ({"url": "redis://h", "insecure_skip_verify": True}, ["insecure_skip_verify"]),
        ({"insecure_skip_verify": True}, ["insecure_skip_verify"]),
        ({"url": "rediss://h", "ca_file": "/not-there.pem"}, ["ca_file"]),
        ({"url": "rediss://h", "ca_file": __file__}, ["ca_file"]),
    ],
)
def test_how_the_certificate_of_redis_is_checked(redis: dict[str, Any], expected: list[str]) -> None:
    assert found(redis=redis) == [("redis", setting) for setting in expected]


def test_a_limit_for_a_service_that_is_not_there() -> None:
    services = {"hr": {"url": "http://hr"}, "lms": {"url": "http://lms"}}
    limits = {
        "api": {"rate": "1/s", "services": ["hr", "lns"]},
        "other": {"rate": "1/s", "services": ["lms"]},
    }

    (mistake,) = contradictions(GatewaySettings.model_validate({"services": services, "limits": limits}))

    assert mistake.location == ("limits", "api", "services", 1)
    assert mistake.remedy == "no service has this name; did you mean lms?"


@pytest.mark.parametrize(
    "limit",
    [
        {"key": ["service", "service"]},
        {"rate": ["10/s", "1/m", "600/60s", "600/m"]},
        {"methods": ["GET", "GET"]},
        {"paths": ["/a", "/a"]},
    ],
)
def test_a_limit_that_says_something_twice(limit: dict[str, object]) -> None:
    (name,) = limit
    at = found(limits={"api": {"rate": "1/s", **limit}})
    assert [location[:3] for location in at] == [("limits", "api", name)]
