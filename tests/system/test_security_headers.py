"""The headers that tell browsers to be careful."""

from __future__ import annotations

import json
from collections.abc import Callable
from urllib.parse import quote

import pytest

from tests.support.callers import Answer
from tests.support.upstreams import answering_then_closing
from tests.support.world import Plan, Site, Visit

EXPECTED = {
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Content-Security-Policy": "default-src 'self'; frame-ancestors 'none'",
    "Referrer-Policy": "strict-origin-when-cross-origin",
}
OWN = {
    "X-Content-Type-Options": "sniff",
    "X-Frame-Options": "SAMEORIGIN",
    "Content-Security-Policy": "default-src *",
    "Referrer-Policy": "unsafe-url",
}
HSTS = "max-age=31536000; includeSubDomains"
OVERRIDING = Plan(
    "overriding",
    {"security_headers": {"override": True, "frame_options": "", "referrer_policy": "no-referrer"}},
    0,
)


def _of(answer: Answer) -> dict[str, str | None]:
    return {name: answer.get(name) for name in EXPECTED}


def _with_own(world: Visit) -> Answer:
    return world.get(f"/api/honest/answer?headers={quote(json.dumps(list(OWN.items())))}")


@pytest.mark.parametrize(
    "path", ["/api/honest/x", "/api/nobody/", "/health/", "/metrics", "/api/honest/%2e%2e"]
)
def test_every_answer_has_them(world: Visit, path: str) -> None:
    assert _of(world.get(path)) == EXPECTED


def test_an_answer_in_a_broken_service_s_place_has_them(world: Visit) -> None:
    service = world.service(answering_then_closing(b""))
    assert _of(world.exchange("POST", service.path())) == EXPECTED


def test_a_service_s_own_values_are_kept(world: Visit) -> None:
    assert _of(_with_own(world)) == OWN


def test_hsts_is_for_https_only(world: Visit) -> None:
    https = [("X-Forwarded-Proto", "https")]
    assert world.get("/api/honest/x").all("Strict-Transport-Security") == []
    assert world.get("/api/honest/x", https).all("Strict-Transport-Security") == []
    with world.caller(source="127.0.0.2") as proxy:
        assert proxy.get("/api/honest/x", https).get("Strict-Transport-Security") == HSTS
        assert proxy.get("/api/nobody/", https).get("Strict-Transport-Security") == HSTS
        assert proxy.get("/api/honest/x").all("Strict-Transport-Security") == []


class TestOverriding:
    """A gateway that is told to override, with one header left out and one changed."""

    @pytest.fixture
    def site(self, site_for: Callable[[Plan, str], Site], worker_kind: str) -> Site:
        return site_for(OVERRIDING, worker_kind)

    def test_a_service_s_own_values_are_replaced(self, world: Visit) -> None:
        expected = EXPECTED | {"X-Frame-Options": OWN["X-Frame-Options"], "Referrer-Policy": "no-referrer"}
        assert _of(_with_own(world)) == expected

    def test_an_empty_setting_leaves_the_header_out(self, world: Visit) -> None:
        assert world.get("/api/nobody").all("X-Frame-Options") == []
