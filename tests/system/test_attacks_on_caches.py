"""What a cache in front would keep for others, and where an answer could send them.

A cache knows an answer by method, host and target. Whatever else a stranger says must change nothing of it.
"""

from __future__ import annotations

import json

import pytest

from tests.support.callers import Answer
from tests.support.upstreams import Conversation, answering, ok
from tests.support.world import Visit

UNKEYED = [
    ("X-Forwarded-Host", "evil.test"), ("X-Forwarded-Proto", "https"), ("X-Forwarded-Scheme", "https"),
    ("X-Forwarded-Port", "666"), ("X-Forwarded-Prefix", "/evil"), ("X-Forwarded-Path", "/evil"),
    ("X-Forwarded-Server", "evil.test"), ("X-Forwarded-For", "6.6.6.6"),
    ("Forwarded", "host=evil.test;for=6.6.6.6"),
    ("X-Host", "evil.test"), ("X-Original-URL", "/admin"), ("X-Original-URI", "/admin"),
    ("X-Original-Host", "evil.test"),
    ("X-Rewrite-URL", "/admin"), ("X-Real-IP", "6.6.6.6"), ("X-HTTP-Method-Override", "DELETE"),
    ("X-HTTP-Method", "DELETE"), ("X-Method-Override", "DELETE"), ("SCRIPT-NAME", "/evil"),
    ("PATH-INFO", "/evil"),
    ("X_Forwarded_Host", "evil.test"), ("X.Forwarded.Host", "evil.test"), ("Max-Forwards", "0"),
]  # fmt: skip
OF_ONE_REQUEST = {"x-request-id", "x-gateway-request-id", "server-timing", "date"}


def _kept(answer: Answer) -> tuple[int, list[tuple[str, str]], bytes]:
    """What a cache would keep, less the names and times of the one request."""
    fields = [(name, value) for name, value in answer.head.fields if name.lower() not in OF_ONE_REQUEST]
    content = answer.content.replace((answer.get("X-Request-ID") or "-").encode(), b"")
    return answer.status, fields, content


@pytest.mark.parametrize(
    "target", ["/api/nobody/x", "/api/honest/%2e%2e", "/ws/messaging/room", "/api/honest/fixed"]
)
@pytest.mark.parametrize("field", UNKEYED, ids=[name for name, _ in UNKEYED])
def test_what_is_no_part_of_a_cache_s_key_changes_no_answer(
    world: Visit, target: str, field: tuple[str, str]
) -> None:
    plain, tampered = world.get(target), world.get(target, [field])
    assert _kept(tampered) == _kept(plain)
    assert b"evil" not in tampered.head.raw + tampered.content


@pytest.mark.parametrize("field", UNKEYED, ids=[name for name, _ in UNKEYED])
def test_it_chooses_neither_service_nor_method_nor_path(world: Visit, field: tuple[str, str]) -> None:
    begun = len(world.honest.begun)
    echo = world.echo("GET", "/api/honest/x?y=z", [field])
    assert (echo.method, echo.target) == ("GET", "/api/honest/x?y=z")
    assert echo.get("Host") == world.honest.url.removeprefix("http://")
    assert echo.get("X-Forwarded-Host") == "gateway.test"
    assert len(world.honest.begun) == begun + 1


def test_answers_of_the_gateway_are_not_for_keeping(world: Visit) -> None:
    for target in ("/api/nobody/x", "/api/honest/%2e%2e", "/api/honest/x#y"):
        answer = world.get(target, [("Origin", "https://app.example.com")])
        assert answer.get("Cache-Control") == "no-store"
        assert "origin" in ", ".join(answer.all("Vary")).lower()


@pytest.mark.parametrize(
    "target",
    ["//evil.test", "//evil.test/%2e%2e", "/\\evil.test", "/%5cevil.test", "/%2fevil.test", "/.evil.test"],
)
def test_the_gateway_sends_nobody_elsewhere(world: Visit, target: str) -> None:
    answer = world.get(target)
    assert answer.status in (400, 404)
    assert answer.all("Location") == []
    assert answer.all("Refresh") == []


def test_a_redirect_of_a_service_is_not_followed(world: Visit) -> None:
    """Not even to the gateway's own administration."""
    aim = f"http://127.0.0.1:{world.gateway.address[1]}/circuit-breaker/status/"
    raw = b"HTTP/1.1 302 Found\r\nLocation: %b\r\nContent-Length: 0\r\n\r\n" % aim.encode()
    service = world.service(answering(raw))
    answer = world.get(service.path())
    assert (answer.status, answer.get("Location"), answer.content) == (302, aim, b"")


@pytest.mark.parametrize(
    "raw",
    ["%0d%0aSet-Cookie:%20a=evil", "%0d%0a%0d%0a<script>", "%0a%0dX-Evil:1", "%E5%98%8A%E5%98%8DX-Evil:1"],
)
def test_an_encoded_line_break_stays_encoded_in_what_a_service_echoes(world: Visit, raw: str) -> None:
    def echoing(conversation: Conversation) -> None:
        head, _ = conversation.read_request()
        location = head.start.split(" ")[1]
        conversation.send(
            b"HTTP/1.1 302 Found\r\nContent-Length: 0\r\nLocation: %b\r\n\r\n" % location.encode()
        )

    target = world.service(echoing).path(f"/x?next={raw}")
    answer = world.get(target)
    assert (answer.status, answer.get("Location")) == (302, target)
    assert answer.all("Set-Cookie") + answer.all("X-Evil") == []


@pytest.mark.parametrize("path", ["/x%0d%0aSet-Cookie:%20a=evil", "/x%0a", "/x%0D", "/%00"])
def test_an_encoded_line_break_in_a_path_reaches_no_service(world: Visit, path: str) -> None:
    begun = len(world.honest.begun)
    assert world.get(f"/api/honest{path}").status == 400
    assert len(world.honest.begun) == begun


@pytest.mark.parametrize(
    "evil", [b"a\rSet-Cookie: b=evil", b"a\r\n\rX: y", b"a\nSet-Cookie: b=evil", b"a\0b"]
)
@pytest.mark.parametrize("name", [b"Location", b"Set-Cookie", b"X-Echo"])
def test_a_line_break_that_a_service_decoded_is_502(world: Visit, name: bytes, evil: bytes) -> None:
    service = world.service(answering(ok(fields=name + b": " + evil + b"\r\n"), ok()))
    answer = world.get(service.path())
    assert answer.status == 502
    assert b"evil" not in answer.head.raw
    assert world.get(service.path()).status == 502


def test_what_callers_say_is_in_no_header_of_ours(world: Visit) -> None:
    for fields in (
        [("X-Request-ID", "a" * 30 + "\x85Set-Cookie: a=evil")],
        [("Origin", "https://evil.test")],
    ):
        answer = world.get("/api/nobody/evil", fields)
        assert b"evil" not in answer.head.raw
        assert json.loads(answer.content)["status"] == 404
