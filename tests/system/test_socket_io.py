"""Socket.IO sessions find their server again, by whichever worker of whichever host they come."""

from __future__ import annotations

import contextlib
import json
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest

from tests.support.callers import Answer, Caller, request_bytes
from tests.support.engine_io import UNKNOWN, EngineServer
from tests.support.hosts import ask, hosts, plan_on
from tests.support.processes import until
from tests.support.redis_servers import SERVER, RedisServer
from tests.support.upstreams import (
    Conversation,
    ScriptedUpstream,
    answering_then_closing,
    by_connection,
    ok,
    refusing_port,
)
from tests.support.world import Plan, Site

pytestmark = pytest.mark.skipif(SERVER is None, reason="redis-server is not installed")

PATH = "/socket.io/?EIO=4&transport=polling"
HANGS_S = 26


@pytest.fixture
def chats() -> Iterator[list[EngineServer]]:
    servers = [EngineServer("one"), EngineServer("two")]
    with contextlib.ExitStack() as stack:
        for chat in servers:
            stack.callback(chat.stop)
        yield servers


def plan_for(server: RedisServer, urls: list[str], **settings: object) -> Plan:
    chat = {"url": urls, "paths": ["/socket.io"], "websocket": True, **settings}
    return plan_on(server.url, services={"chat": chat})


def begin(site: Site) -> str:
    """The id of a new session."""
    answer = ask(site, PATH)
    assert answer.status == 200, answer
    assert answer.content.startswith(b"0{")
    return str(json.loads(answer.content[1:])["sid"])


def poll(site: Site, sid: str, method: str = "GET", body: bytes | None = None) -> Answer:
    with Caller(site.gateway.address) as caller:
        caller.send(request_bytes(method, f"{PATH}&sid={sid}", (), body))
        return caller.answer(to=method, within_s=60)


def assert_unknown(answer: Answer) -> None:
    """What makes a client begin anew."""
    assert answer.status == 400
    assert answer.json().items() >= UNKNOWN.items()
    assert answer.json()["type"] == "/problems/session-unknown"


def test_every_request_of_a_session_goes_to_the_server_that_began_it(
    server: RedisServer, tmp_path: Path, chats: list[EngineServer]
) -> None:
    plan = plan_for(server, [chat.url for chat in chats])
    with hosts(tmp_path, plan, plan) as sites, server.client() as client:
        sids = [begin(sites[number % 2]) for number in range(24)]
        binary = bytes(range(256)) * 40
        for round_ in range(4):
            for number, sid in enumerate(sids):
                site = sites[(number + round_) % 2]
                assert poll(site, sid, "POST", b"%d" % number + binary).content == b"ok"
                assert poll(sites[round_ % 2], sid).content == b"%d" % number + binary
        assert all(chat.asked[""] for chat in chats), "both servers have begun some"
        assert sum(chat.asked.total() for chat in chats) == 24 + 24 * 8, "none was asked in vain"
        session = client.hgetall(f"falcongate:1:session:{{chat:{sids[0]}}}")
        assert session == {"target": chats[sids[0].startswith("two")].url, "life_s": "90"}
        assert 85 < client.ttl(f"falcongate:1:session:{{chat:{sids[0]}}}") <= 90


def test_who_polls_a_server_that_is_gone_is_told_at_once_and_begins_anew(
    server: RedisServer, tmp_path: Path, chats: list[EngineServer]
) -> None:
    plan = plan_for(server, [chat.url for chat in chats])
    with hosts(tmp_path, plan, plan) as sites, server.client() as client:
        sids = [begin(sites[number % 2]) for number in range(12)]
        gone, stays = chats
        lost = [sid for sid in sids if sid.startswith("one")]
        kept = [sid for sid in sids if sid.startswith("two")]
        assert lost
        assert kept
        gone.stop()
        began = time.monotonic()
        for number, sid in enumerate(lost):
            assert_unknown(poll(sites[number % 2], sid, ("GET", "POST")[number // 2 % 2]))
        assert time.monotonic() - began < 10
        assert [poll(sites[1], sid).status for sid in kept] == [200] * len(kept)
        assert all(begin(site).startswith("two") for site in sites * 3)
        assert stays.asked.keys().isdisjoint(lost), "nobody else is asked for what is lost"
        until(
            lambda: not client.exists(*(f"falcongate:1:session:{{chat:{sid}}}" for sid in lost)),
            "what is lost is forgotten",
        )


def test_a_server_that_ends_while_a_poll_hangs_is_gone_too(
    server: RedisServer, tmp_path: Path, chats: list[EngineServer]
) -> None:
    plan = plan_for(server, [chat.url for chat in chats], retries=5)
    with hosts(tmp_path, plan) as (site,), ThreadPoolExecutor(1) as pool:
        sid = begin(site)
        chat, other = chats if sid.startswith("one") else chats[::-1]
        chat.hold()
        hanging = pool.submit(poll, site, sid)
        until(lambda: chat.asked[sid] == 1, "the poll hangs")
        chat.break_off()
        assert_unknown(hanging.result(20))
        assert chat.asked[sid] == 1
        assert other.asked[sid] == 0


def test_a_session_is_forgotten_once_its_server_does_not_know_it(server: RedisServer, tmp_path: Path) -> None:
    """Its server answers 400, which the caller gets as it is; with another code it is about that request."""
    said = [b'{"code":%d,"message":"no"}' % code for code in (0, 3, 5, 10, 1)]
    raw = [b"HTTP/1.1 400 So\r\nContent-Length: %d\r\n\r\n%b" % (len(text), text) for text in said]
    refusing = ScriptedUpstream().serve(
        by_connection(*(answering_then_closing(answer) for answer in raw))  # each poll is one
    )
    with contextlib.ExitStack() as stack, refusing_port() as port:
        stack.callback(refusing.stop)
        urls = [refusing.url, f"http://127.0.0.1:{port}"]
        (site,) = stack.enter_context(hosts(tmp_path, plan_for(server, urls)))
        client = stack.enter_context(server.client())
        key = "falcongate:1:session:{chat:abc}"
        client.hset(key, mapping={"target": refusing.url, "life_s": "90"})
        for text in said:
            assert client.exists(key)
            answer = poll(site, "abc")
            assert (answer.status, answer.content) == (400, text)
        until(lambda: not client.exists(key), "it is forgotten")


@pytest.mark.parametrize("method", ["GET", "POST"])
@pytest.mark.parametrize("count", [1, 2])
def test_a_request_of_a_session_that_nobody_knows_is_sent_once(
    server: RedisServer, tmp_path: Path, method: str, count: int
) -> None:
    """Each server ends connections that were kept, once a request of a session comes on one."""
    arrived = []

    def play(conversation: Conversation) -> None:
        while True:
            head, _ = conversation.read_request()
            if "sid=" in head.start:
                arrived.append(head.start)
                if len(conversation.heads) > 1:
                    return
            conversation.send(ok(b"[]"))

    with contextlib.ExitStack() as stack:
        upstreams = [ScriptedUpstream().serve(play) for _ in range(count)]
        for upstream in upstreams:
            stack.callback(upstream.stop)
        plan = plan_for(server, [upstream.url for upstream in upstreams], retries=5)
        (site,) = stack.enter_context(hosts(tmp_path, replace(plan, workers=1)))
        while not all(upstream.conversations for upstream in upstreams):
            assert ask(site, "/socket.io/").status == 200
        answer = poll(site, "unknown", method, b"x" if method == "POST" else None)
        assert (answer.status, len(arrived)) == (200, 1)


def test_a_target_that_is_no_longer_configured_is_gone(
    server: RedisServer, tmp_path: Path, chats: list[EngineServer]
) -> None:
    plan = plan_for(server, [chat.url for chat in chats])
    with hosts(tmp_path, plan) as (site,), server.client() as client:
        client.hset(
            "falcongate:1:session:{chat:abc}",
            mapping={"target": "http://127.0.0.1:1/elsewhere", "life_s": "90"},
        )
        assert_unknown(poll(site, "abc"))
        assert all(chat.asked.total() == 0 for chat in chats)


def test_without_redis_a_worker_knows_its_own_sessions(
    server: RedisServer, tmp_path: Path, chats: list[EngineServer]
) -> None:
    plan = plan_for(server, [chat.url for chat in chats])
    with hosts(tmp_path, plan) as (site,), Caller(site.gateway.address) as caller:
        sids = []
        for _ in range(8):
            caller.send(request_bytes("GET", PATH))
            sids.append(json.loads(caller.answer().content[1:])["sid"])
        server.kill()
        for sid in sids:
            caller.send(request_bytes("GET", f"{PATH}&sid={sid}"))
            assert caller.answer().status == 200
        site.gateway.allow("Redis")


def test_a_poll_may_hang_for_as_long_as_servers_let_it(
    server: RedisServer, tmp_path: Path, chats: list[EngineServer]
) -> None:
    plan = plan_for(server, [chat.url for chat in chats])
    with hosts(tmp_path, plan) as (site,), ThreadPoolExecutor(2) as pool:
        sid = begin(site)
        for chat in chats:
            chat.hold()
        hanging = pool.submit(poll, site, sid)
        assert poll(site, sid, "POST", b"\x00\xff binary").content == b"ok"
        with pytest.raises(TimeoutError):
            hanging.result(HANGS_S)
        for chat in chats:
            chat.let_go()
        assert hanging.result(5).content == b"\x00\xff binary"
