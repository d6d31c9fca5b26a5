"""Chats by the Socket.IO of npm and of PyPI, through two gateways to two servers, with deploys between."""

from __future__ import annotations

import contextlib
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support import chats
from tests.support.chats import NODE, PYTHON, ChatServer, Chatter
from tests.support.hosts import hosts, plan_on
from tests.support.processes import until
from tests.support.redis_servers import SERVER, RedisServer, ended
from tests.support.world import Site

pytestmark = [
    pytest.mark.skipif(SERVER is None, reason="redis-server is not installed"),
    pytest.mark.skipif(chats.HAPROXY is None, reason="haproxy is not installed"),
]

TRANSPORTS = ("polling", "polling,websocket", "websocket")
GRACE_S = 2


class Town:
    """Two chat servers, two gateways on one Redis, and a load balancer before them that forgets callers."""

    def __init__(self, directory: Path, stack: contextlib.ExitStack, language: str) -> None:
        self.language = language
        self._directory = directory
        self._stack = stack
        redis = RedisServer(directory / "redis")
        stack.enter_context(ended(redis))
        self.servers = [
            stack.enter_context(chats.chat_server(directory / name, language, name))
            for name in ("one", "two")
        ]
        plan = plan_on(
            redis.url,
            services={"chat": chat_of(self.servers)},
            server={"graceful_timeout_s": GRACE_S},
        )
        self.sites = stack.enter_context(hosts(directory, plan, plan))
        addresses = [site.gateway.address for site in self.sites]
        self.address = stack.enter_context(chats.balancer(directory, addresses))

    def chatter(self, name: str, transports: str, *, comes_again: bool = False) -> Chatter:
        """Somebody who chats in the language of the servers."""
        return self._stack.enter_context(
            chats.chatter(
                self._directory / name, self.language, self.address, transports, comes_again=comes_again
            )
        )


def chat_of(servers: list[ChatServer]) -> dict[str, object]:
    urls = [server.url for server in servers]
    return {"url": urls, "paths": ["/socket.io"], "websocket": True}


@pytest.fixture(params=[NODE, PYTHON])
def town(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Town]:
    if request.param == NODE and not chats.has_node():
        pytest.skip("Node.js is not installed, or npm cannot install socket.io")
    with contextlib.ExitStack() as stack:
        yield Town(tmp_path, stack, request.param)


def assert_whole(seen: dict[str, Any], transports: str) -> None:
    """Every message has come once, both ways, in order, as it was, by one server."""
    said = list(range(seen["said"]))
    assert (seen["ends"], seen["wrong"], len(seen["servers"])) == ([], 0, 1)
    assert seen["answers"] == said
    assert seen["got"] == said
    assert seen["ticks"] == list(range(seen["sent_ticks"]))
    assert seen["transport"] == transports.rpartition(",")[2]
    assert min(len(said), seen["sent_ticks"]) > 20


def test_no_message_is_lost_or_doubled_while_every_worker_is_replaced(town: Town) -> None:
    chatters = {
        (transports, number): town.chatter(f"{transports}-{number}", transports)
        for transports in TRANSPORTS
        for number in range(2)
    }
    until(lambda: all(chatter.connected_times for chatter in chatters.values()), "all chat", within_s=30)
    for site in town.sites:
        site.gateway.reload()
    for (transports, _), chatter in chatters.items():
        assert_whole(chatter.leave(), transports)


def test_what_was_answered_was_heard_once_though_every_worker_was_stopped(town: Town) -> None:
    """One after the other, without a reload; so each WebSocket is told to come again, some more than once."""
    chatters = {
        f"{transports}-{number}": town.chatter(f"{transports}-{number}", transports, comes_again=True)
        for transports in TRANSPORTS
        for number in range(2)
    }
    until(lambda: all(chatter.connected_times for chatter in chatters.values()), "all chat", within_s=30)
    for old in zip(*(site.gateway.workers for site in town.sites), strict=True):
        for site, pid in zip(town.sites, old, strict=True):
            site.gateway.allow_deaths()
            site.gateway.signal(signal.SIGTERM, pid)
        for site, pid in zip(town.sites, old, strict=True):
            until(lambda: replaced(site, pid), "another has taken its place")  # noqa: B023  # called at once
    for name, chatter in chatters.items():
        seen = chatter.leave()
        heard = [number for server in town.servers for number in server.heard(name)]
        assert len(heard) == len(set(heard)), "none came twice"
        assert len(seen["answers"]) == len(set(seen["answers"]))
        assert set(seen["answers"]) <= set(heard), "none that was answered is lost"
        assert len(seen["answers"]) > 20
        assert seen["wrong"] == 0
        assert seen["ends"] or not name.startswith("websocket"), "it was on its way through a worker"


def replaced(site: Site, pid: int) -> bool:
    workers = site.gateway.children()
    return pid not in workers and len(workers) == len(site.gateway.workers)


@pytest.mark.parametrize("transports", TRANSPORTS)
def test_who_chatted_with_a_server_that_is_killed_chats_with_the_other(town: Town, transports: str) -> None:
    gone, stays = town.servers
    chatters: list[Chatter] = []
    while not (gone.visitors and stays.visitors):
        chatters.append(town.chatter(f"chatter{len(chatters)}", transports, comes_again=True))
        until(lambda: chatters[-1].connected_times, "one more chats", within_s=30)
    gone.kill()
    until(
        lambda: sum(chatter.connected_times for chatter in chatters) == len(chatters) + gone.visitors,
        "who chatted with it is connected again",
        within_s=30,
    )
    until(lambda: stays.visitors == len(chatters), "all chat with the one that stays", within_s=30)
    seen = [chatter.leave() for chatter in chatters]
    assert sum(len(one["ends"]) for one in seen) == gone.visitors
    assert all(one["wrong"] == 0 for one in seen)
