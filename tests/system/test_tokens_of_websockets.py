"""WebSockets last no longer than the tokens that opened them, on whichever host they are."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Iterator

import pytest

from tests.support.callers import Caller
from tests.support.fixtures import redis_server
from tests.support.hosts import ask, hosts, plan_on
from tests.support.issuer import IssuerServer
from tests.support.processes import ROOT, environment, until
from tests.support.redis_servers import SERVER, RedisServer
from tests.support.tokens import Signer, claims
from tests.support.upstreams import ScriptedUpstream
from tests.support.websockets import close_code, echo, frame, speaking, upgrade
from tests.support.world import Site

pytestmark = pytest.mark.skipif(SERVER is None, reason="redis-server is not installed")

KEY = Signer()

server = redis_server("module")


@pytest.fixture(scope="module")
def chat() -> Iterator[ScriptedUpstream]:
    chat = ScriptedUpstream().serve(speaking(echo))
    yield chat
    chat.stop()


@pytest.fixture(scope="module")
def sites(
    server: RedisServer, chat: ScriptedUpstream, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[list[Site]]:
    issuer = IssuerServer(KEY)
    service = {"url": chat.url, "websocket": True, "retries": 0}
    plan = plan_on(
        server.url,
        issuers={"auth": issuer.settings(leeway_s=0)},
        tokens={"query": "token", "headers": {"X-User-ID": "sub"}},
        access={
            "asked": {"services": ["chat", "honest"], "identity": "required"},
            "watched": {"services": ["watched"], "identity": "required", "mode": "shadow"},
        },
        services={"chat": service, "watched": service},
    )
    with hosts(tmp_path_factory.mktemp("hosts"), plan, plan) as sites:
        yield sites
    issuer.stop()


def opened(site: Site, token: str, service: str = "chat", *, in_query: bool = True) -> Caller:
    """A caller whose WebSocket is open and used."""
    caller = Caller(site.gateway.address)
    if in_query:
        caller.send(upgrade(f"/ws/{service}/room?token={token}&x=1"))
    else:
        caller.send(upgrade(f"/ws/{service}/room", [("Authorization", f"Bearer {token}")]))
    head = caller.reader.head()
    assert head.start.startswith("HTTP/1.1 101 "), head.raw
    speaks(caller)
    return caller


def speaks(caller: Caller) -> None:
    message = frame(b"hello")
    caller.send(message)
    assert caller.reader.exactly(len(message)) == message


def tokens_command(server: RedisServer, *arguments: str) -> subprocess.CompletedProcess[str]:
    """`falcongate tokens` as an operator runs it."""
    return subprocess.run(  # noqa: S603 - our own command
        [sys.executable, "-m", "falcongate", "tokens", *arguments],
        cwd=ROOT,
        env=environment() | {"REDIS_URL": server.url},
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )


def test_the_query_token_is_for_the_gateway_and_the_service_gets_it_as_a_header(
    sites: list[Site], chat: ScriptedUpstream
) -> None:
    token = KEY.sign(claims("query"))
    with opened(sites[0], token):
        head = chat.heads[-1]

    assert head.start.split(" ")[1].endswith("/room?x=1")
    assert head.all("Authorization") == [f"Bearer {token}"]
    assert head.all("X-User-ID") == ["query"]


def test_without_a_good_token_there_is_no_websocket(sites: list[Site]) -> None:
    for target in ("/ws/chat/room", f"/ws/chat/room?token={Signer(number=1).sign(claims())}"):
        with Caller(sites[0].gateway.address) as caller:
            caller.send(upgrade(target))
            assert caller.answer().status == 401


@pytest.mark.parametrize("in_query", [True, False])
def test_it_is_ended_with_1008_when_its_token_ends(sites: list[Site], *, in_query: bool) -> None:
    """Two hosts, a token that lives for two seconds on, and one that lives longer."""
    short, long = KEY.sign(claims(lives_s=2)), KEY.sign(claims(lives_s=60))
    for site in sites:
        begun = time.monotonic()
        with opened(site, short, in_query=in_query) as caller, opened(site, long, in_query=in_query) as other:
            assert close_code(caller.reader) == 1008
            assert time.monotonic() - begun < 6
            speaks(other)
        until(
            lambda site=site: "WebSocket closed with 1008 by the gateway" in site.gateway.stdout(), "logged"
        )
        short = KEY.sign(claims(lives_s=2))


def test_it_is_ended_with_1008_when_its_token_is_revoked_on_all_hosts(
    sites: list[Site], server: RedisServer
) -> None:
    """One token's WebSockets on two hosts, and another's beside them."""
    lost, kept = KEY.sign(claims("lost", jti="lost-1")), KEY.sign(claims("kept", jti="kept-1"))
    callers = [opened(site, token) for site in sites for token in (lost, kept)]
    done = tokens_command(server, "revoke", "--jti", "lost-1", "--reason", "stolen", "--for", "1h")
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("jti:lost-1: revoked until ")

    for caller in callers[::2]:
        assert close_code(caller.reader) == 1008
    for caller in callers[1::2]:
        speaks(caller)
    for caller in callers:
        caller.close()
    for site in sites * 6:
        answer = ask(site, "/api/honest/x", [("Authorization", f"Bearer {lost}")])
        assert answer.status == 401
        assert 'error_description="it has been revoked"' in (answer.get("WWW-Authenticate") or "")


def test_a_subject_is_revoked_until_it_gets_a_new_token(sites: list[Site], server: RedisServer) -> None:
    old = KEY.sign(claims("leaver"))
    with opened(sites[1], old) as caller:
        assert tokens_command(server, "revoke", "--subject", "leaver").returncode == 0
        assert close_code(caller.reader) == 1008
    assert ask_with(sites[0], old) == 401
    until(lambda: ask_with(sites[0], KEY.sign(claims("leaver"))) == 200, "a token of later is good")
    with opened(sites[1], KEY.sign(claims("leaver"))) as caller:
        speaks(caller)


def test_what_is_revoked_is_listed_and_can_be_taken_back(sites: list[Site], server: RedisServer) -> None:
    token = KEY.sign(claims("back", jti="back-1"))
    tokens_command(server, "revoke", "--jti", "back-1", "--reason", "a mistake")
    until(lambda: ask_with(sites[0], token) == 401, "it is revoked")
    assert "jti:back-1" in tokens_command(server, "list").stdout
    (listed,) = [
        one
        for one in json.loads(tokens_command(server, "list", "--json").stdout)
        if one["member"] == "jti:back-1"
    ]
    assert (listed["why"], listed["ends_s"] - listed["at_s"]) == ("a mistake", 30 * 86_400)

    taken_back = tokens_command(server, "restore", "--jti", "back-1")
    again = tokens_command(server, "restore", "--jti", "back-1")

    assert (taken_back.returncode, taken_back.stdout) == (0, "jti:back-1: good again\n")
    assert (again.returncode, again.stdout) == (1, "jti:back-1: was not revoked\n")
    until(lambda: {ask_with(site, token) for site in sites * 6} == {200}, "it is good again")


def test_a_rule_that_watches_ends_no_websocket(sites: list[Site]) -> None:
    with opened(sites[0], KEY.sign(claims(lives_s=1)), "watched") as caller:
        until(lambda: ask_with(sites[0], KEY.sign(claims(lives_s=-1))) == 401, "that time is over")
        with opened(sites[0], KEY.sign(claims(lives_s=2))) as asked:
            assert close_code(asked.reader) == 1008
        speaks(caller)


def ask_with(site: Site, token: str) -> int:
    return ask(site, "/api/honest/x", [("Authorization", f"Bearer {token}")]).status


def test_mistakes_on_the_command_line_are_told(server: RedisServer) -> None:
    unknown = tokens_command(server, "revoke", "--subject", "x", "--issuer", "nobody")
    mixed = tokens_command(server, "revoke", "--jti", "x", "--issuer", "nobody")
    neither = tokens_command(server, "revoke")

    assert (unknown.returncode, mixed.returncode, neither.returncode) == (2, 2, 2)
    assert "no issuer has this name" in unknown.stderr
    assert "goes with --subject only" in mixed.stderr
