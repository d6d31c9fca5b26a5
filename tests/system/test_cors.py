"""Which pages may call, and what they are told."""

from __future__ import annotations

import json
from urllib.parse import quote

import pytest

from tests.support.callers import Answer
from tests.support.upstreams import answering_then_closing
from tests.support.world import Visit

ALLOWED = [
    "https://app.example.com",
    "https://a.example.org",
    "https://a.b.c.example.org",
    "http://localhost:5173",
]
REFUSED = [
    "null", "https://evil.test", "http://app.example.com", "https://app.example.com:8443",
    "https://app.example.com.evil.test", "https://evilapp.example.com", "https://appXexample.com",
    "https://example.org", "https://evilexample.org", "https://a.example.org.evil.test", "http://a.example.org",
    "https://a.example.org:444", "https://.example.org", "http://localhost:5174", "http://localhost",
    "https://app.example.com/", "https://app.example.com@evil.test", "https://evil.test/.example.org",
    "https://evil.test#.example.org", "*",
]  # fmt: skip


def _preflight(world: Visit, origin: str, method: str = "PUT") -> Answer:
    fields = [
        ("Origin", origin),
        ("Access-Control-Request-Method", method),
        ("Access-Control-Request-Headers", "authorization,x-file-name"),
    ]
    return world.exchange("OPTIONS", "/api/honest/x", fields)


def _listed(answer: Answer, name: str) -> set[str]:
    return {part.strip().lower() for part in (answer.get(name) or "").split(",") if part.strip()}


def _varies_by_origin(answer: Answer) -> bool:
    return "origin" in {part.strip().lower() for value in answer.all("Vary") for part in value.split(",")}


@pytest.mark.parametrize("origin", ALLOWED)
def test_a_preflight_is_answered_here(world: Visit, origin: str) -> None:
    before = len(world.honest.begun)
    answer = _preflight(world, origin)
    assert answer.status in (200, 204)
    assert answer.get("Access-Control-Allow-Origin") == origin
    assert answer.get("Access-Control-Allow-Credentials") == "true"
    assert {"get", "post", "put", "patch", "delete", "options"} <= _listed(
        answer, "Access-Control-Allow-Methods"
    )
    allowed = {"accept", "authorization", "content-type", "x-file-name"}
    assert allowed <= _listed(answer, "Access-Control-Allow-Headers")
    assert answer.get("Access-Control-Max-Age") == "600"
    assert _varies_by_origin(answer)
    assert len(world.honest.begun) == before


@pytest.mark.parametrize("origin", REFUSED)
def test_a_preflight_of_a_stranger_is_not_allowed(world: Visit, origin: str) -> None:
    before = len(world.honest.begun)
    answer = _preflight(world, origin)
    for name in ("Allow-Origin", "Allow-Credentials", "Allow-Methods", "Allow-Headers"):
        assert answer.all(f"Access-Control-{name}") == []
    assert _varies_by_origin(answer)
    assert len(world.honest.begun) == before


def test_options_that_is_no_preflight_reaches_the_service(world: Visit) -> None:
    assert world.echo("OPTIONS", "/api/honest/x").method == "OPTIONS"
    assert world.echo("OPTIONS", "/api/honest/x", [("Origin", ALLOWED[0])]).method == "OPTIONS"


@pytest.mark.parametrize("origin", ALLOWED)
def test_an_allowed_page_may_read_the_answer(world: Visit, origin: str) -> None:
    answer = world.get("/api/honest/x", [("Origin", origin)])
    assert answer.get("Access-Control-Allow-Origin") == origin
    assert answer.get("Access-Control-Allow-Credentials") == "true"
    assert {"content-type", "authorization", "x-request-id"} <= _listed(
        answer, "Access-Control-Expose-Headers"
    )
    assert _varies_by_origin(answer)


@pytest.mark.parametrize("origin", REFUSED)
def test_a_stranger_s_page_may_not(world: Visit, origin: str) -> None:
    answer = world.get("/api/honest/x", [("Origin", origin)])
    assert answer.status == 200
    assert [name for name in answer.head.names() if name.lower().startswith("access-control-")] == []
    assert _varies_by_origin(answer)


def test_an_answer_without_origin_varies_by_it_too(world: Visit) -> None:
    answer = world.get("/api/honest/x")
    assert answer.all("Access-Control-Allow-Origin") == []
    assert _varies_by_origin(answer)


def _with_own_cors(world: Visit, origin: str) -> Answer:
    own = [
        ("Access-Control-Allow-Origin", "*"), ("Access-Control-Allow-Credentials", "false"),
        ("Access-Control-Expose-Headers", "X-Own"), ("Access-Control-Allow-Methods", "GET"),
        ("Vary", "Accept-Encoding"),
    ]  # fmt: skip
    return world.get(f"/api/honest/answer?headers={quote(json.dumps(own))}", [("Origin", origin)])


def test_the_service_s_own_cors_headers_are_replaced(world: Visit) -> None:
    answer = _with_own_cors(world, ALLOWED[0])
    assert answer.get("Access-Control-Allow-Origin") == ALLOWED[0]
    assert answer.get("Access-Control-Allow-Credentials") == "true"
    assert "x-own" not in _listed(answer, "Access-Control-Expose-Headers")
    assert "accept-encoding" in ", ".join(answer.all("Vary")).lower()
    assert _varies_by_origin(answer)


def test_the_service_cannot_allow_a_stranger(world: Visit) -> None:
    answer = _with_own_cors(world, "https://evil.test")
    assert [name for name in answer.head.names() if name.lower().startswith("access-control-")] == []


def test_errors_of_the_gateway_can_be_read_too(world: Visit) -> None:
    origin = [("Origin", ALLOWED[0])]
    service = world.service(answering_then_closing(b"nonsense\r\n\r\n"))
    for answer, status in [
        (world.get("/api/nobody", origin), 404),
        (world.get("/api/honest/%2e%2e", origin), 400),
        (world.get(service.path(), origin), 502),
    ]:
        assert answer.status == status
        assert answer.get("Access-Control-Allow-Origin") == ALLOWED[0]
        assert _varies_by_origin(answer)


def test_two_origins_are_no_origin(world: Visit) -> None:
    answer = world.get("/api/honest/x", [("Origin", ALLOWED[0]), ("Origin", "https://evil.test")])
    assert answer.all("Access-Control-Allow-Origin") == []
