"""What a plain request to a WebSocket's path is told."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.support.world import Plan, Site, Visit


@pytest.mark.parametrize("rest", ["", "/", "/chat/7/", "/chat?room=a%20b&x="])
def test_the_public_address_is_told_and_never_the_internal_one(world: Visit, rest: str) -> None:
    answer = world.get(f"/ws/messaging{rest}")
    assert answer.status == 200
    document = answer.json()
    assert document["websocket_url"] == f"ws://gateway.test/ws/messaging{rest}"
    assert document["service"] == "messaging"
    assert document["request_id"] == answer.get("X-Request-ID")
    assert document["status"] == "routed"
    assert world.honest.url.removeprefix("http://").encode() not in answer.content


def test_behind_https_it_is_wss(world: Visit) -> None:
    with world.caller(source="127.0.0.2") as proxy:
        fields = [("X-Forwarded-Proto", "https"), ("X-Forwarded-Host", "public.test")]
        document = proxy.get("/ws/messaging/x", fields).json()
    assert document["websocket_url"] == "wss://public.test/ws/messaging/x"


def test_an_unknown_service_is_404(world: Visit) -> None:
    assert world.get("/ws/nobody/x").status == 404


def test_path_tricks_are_refused_here_too(world: Visit) -> None:
    assert world.get("/ws/messaging/../honest").status == 400


class TestWithPublicUrl:
    """A gateway that knows its own address."""

    @pytest.fixture
    def site(self, site_for: Callable[[Plan, str], Site], worker_kind: str) -> Site:
        return site_for(Plan("public", {"public_url": "https://api.example.com"}, 0), worker_kind)

    def test_its_own_address_is_told_whatever_host_says(self, world: Visit) -> None:
        document = world.get("/ws/honest/x").json()
        assert document["websocket_url"] == "wss://api.example.com/ws/honest/x"
