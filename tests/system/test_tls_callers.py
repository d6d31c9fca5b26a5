"""Callers inside TLS, where the gateway itself ends it: by its settings, or gunicorn's command line."""

from __future__ import annotations

import contextlib
import socket
import ssl
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.callers import Caller, request_bytes
from tests.support.certificates import Authority, at_most, trusting_all
from tests.support.processes import takes, until
from tests.support.upstreams import Conversation, answering_then_closing
from tests.support.websockets import echo, frame, opened, speaking
from tests.support.wire import WireError
from tests.support.world import Plan, Site, Visit, running

HEAD_S = 1.0
# What a caller says first, cut off in its middle.
HALF_A_HELLO = bytes.fromhex("16030100c8010000c40303") + bytes(40)


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority("callers", tmp_path_factory.mktemp("callers-tls"))


@pytest.fixture(scope="module", params=["settings", "command line", "gevent"])
def site(
    request: pytest.FixtureRequest, authority: Authority, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Site]:
    certificate = str(authority.issue("gateway.test"))
    server = {"head_timeout_s": HEAD_S, "trusted_proxies": ["127.0.0.2"]}
    is_told = request.param == "command line"
    plan = Plan(
        "tls-callers",
        {"server": server if is_told else {**server, "tls": {"cert_file": certificate}}},
        scripted=8,
        kind="gevent" if request.param == "gevent" else "falcongate",
        arguments=("--certfile", certificate, "--keyfile", certificate) if is_told else (),
        tls=authority.trusting(),
    )
    with running(plan, tmp_path_factory.mktemp("tls-callers")) as site:
        yield site


def is_stock(world: Visit) -> bool:
    """Whether it is gunicorn's own worker that answers."""
    return world.gateway.kind == "gevent"


def test_requests_are_answered_inside_tls(world: Visit) -> None:
    caller = world.caller()
    for _ in range(3):
        assert caller.get("/api/honest/x").status == 200
    assert len(caller.get("/api/honest/fixed?bytes=3000000").content) == 3_000_000


def test_a_large_body_arrives_whole(world: Visit) -> None:
    body = b"x" * 2_000_000
    assert world.echo("PUT", "/api/honest/x", body=body).body_bytes == len(body)


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_both_safe_versions_are_spoken(world: Visit, authority: Authority, version: ssl.TLSVersion) -> None:
    context = authority.trusting()
    context.minimum_version = context.maximum_version = version
    caller = world.caller(tls=context)
    assert caller.get("/api/honest/x").status == 200
    assert caller.socket.version() == version.name.replace("_", ".")
    assert caller.socket.compression() is None


@pytest.mark.parametrize("version", ["TLSv1", "TLSv1_1"])
def test_older_ones_are_refused(world: Visit, version: str) -> None:
    context = at_most(trusting_all(), ssl.TLSVersion[version])
    with pytest.raises(ssl.SSLError, match="ALERT_PROTOCOL_VERSION"):
        world.caller(tls=context)


@pytest.mark.parametrize("cipher", ["AES128-SHA", "NULL-SHA256", "ECDHE-ECDSA-AES128-SHA"])
def test_weak_ciphers_are_refused(world: Visit, cipher: str) -> None:
    context = trusting_all()
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    context.set_ciphers(f"{cipher}:@SECLEVEL=0")
    with pytest.raises(ssl.SSLError, match="HANDSHAKE_FAILURE"):
        world.caller(tls=context)


@pytest.mark.parametrize(("offered", "chosen"), [(["h2", "http/1.1"], "http/1.1"), (["h2"], None)])
def test_the_protocol_is_agreed_on(
    world: Visit, authority: Authority, offered: list[str], chosen: str | None
) -> None:
    context = authority.trusting()
    context.set_alpn_protocols(offered)
    caller = world.caller(tls=context)
    assert caller.socket.selected_alpn_protocol() == chosen
    assert caller.get("/api/honest/x").status == 200


def test_services_and_browsers_are_told_that_it_was_https(world: Visit) -> None:
    seen = world.echo("GET", "/api/honest/x", [("X-Forwarded-Proto", "http"), ("X-Forwarded-Port", "80")])
    assert (seen.get("X-Forwarded-Proto"), seen.get("X-Forwarded-Port")) == ("https", "443")
    assert seen.answer.get("Strict-Transport-Security") == "max-age=31536000; includeSubDomains"
    assert world.get("/api/nowhere").get("Strict-Transport-Security") is not None


def test_a_port_in_host_is_told_as_it_is(world: Visit) -> None:
    with world.caller() as caller:
        caller.send(request_bytes("GET", "/api/honest/x", host="gateway.test:8443"))
        assert ["X-Forwarded-Port", "8443"] in caller.answer().json()["headers"]


def test_a_proxy_in_front_that_is_trusted_says_what_it_was_before(world: Visit) -> None:
    caller = world.caller(source="127.0.0.2")
    answer = caller.get("/api/honest/x", [("X-Forwarded-Proto", "http")])
    assert ["X-Forwarded-Proto", "http"] in answer.json()["headers"]
    assert answer.get("Strict-Transport-Security") is None


def test_cookies_are_as_the_service_said(world: Visit) -> None:
    cookie = b"sid=1; Path=/; Secure; HttpOnly; SameSite=Lax"
    raw = b"HTTP/1.1 200 OK\r\nSet-Cookie: %b\r\nContent-Length: 0\r\n\r\n" % cookie
    service = world.service(answering_then_closing(raw))
    assert world.get(service.path()).get("Set-Cookie") == cookie.decode()


def test_a_websocket_is_said_to_be_wss_and_works(world: Visit) -> None:
    assert world.get("/ws/honest/room").json()["websocket_url"].startswith("wss://gateway.test/")
    if is_stock(world):
        return
    chat = opened(world, world.service(speaking(echo)), [("Origin", "https://gateway.test")])
    chat.send(frame(b"hello", 1))
    assert chat.reader.exactly(len(frame(b"hello", 1)))


def test_the_end_of_an_answer_is_said_inside_tls(world: Visit) -> None:
    """Without a length nothing else tells a whole answer from one that somebody has cut."""
    if is_stock(world):
        pytest.skip("gunicorn closes without a word")
    caller = world.caller()
    caller.socket.suppress_ragged_eofs = False
    caller.send(request_bytes("GET", "/api/honest/chunked", version="HTTP/1.0"))
    answer = caller.answer()
    assert answer.body.framing == "close"
    assert answer.content


def test_and_of_one_that_broke_off_it_is_not(world: Visit) -> None:
    def cut(conversation: Conversation) -> None:
        conversation.read_request()
        conversation.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n")
        conversation.close()

    caller = world.caller()
    caller.socket.suppress_ragged_eofs = False
    caller.send(request_bytes("GET", world.service(cut).path(), version="HTTP/1.0"))
    assert b"hello" in _until_it_ends(caller.socket)


def _until_it_ends(sock: socket.socket) -> bytes:
    """What comes before the end, which must be a reset, or the end of TLS without its word."""
    data = b""
    try:
        while more := sock.recv(1000):
            data += more
    except OSError:
        return data
    raise WireError("it ended as if it were whole")


def test_a_refused_upload_gets_its_answer(world: Visit) -> None:
    """What the caller still sends must not reset the connection before it has read."""
    caller = world.caller()
    caller.send(request_bytes("POST", "/api/nowhere", [("Content-Length", "400000")]))
    caller.send_unless_closed(b"x" * 400_000)
    assert caller.answer().status == 404


@pytest.mark.parametrize("said", [b"", HALF_A_HELLO])
def test_a_caller_who_says_nothing_is_ended(world: Visit, said: bytes) -> None:
    with socket.create_connection(world.gateway.address, timeout=10) as silent, takes(HEAD_S):
        silent.sendall(said)
        with contextlib.suppress(ConnectionResetError):
            assert silent.recv(1) == b""


def test_who_drips_its_hello_is_ended_all_the_same(world: Visit) -> None:
    with (
        socket.create_connection(world.gateway.address, timeout=10) as slow,
        takes(HEAD_S),
        contextlib.suppress(ConnectionError),
    ):
        for byte in HALF_A_HELLO * 10:
            slow.sendall(bytes((byte,)))
            time.sleep(0.05)


def test_slow_handshakes_keep_nobody_waiting(world: Visit) -> None:
    with contextlib.ExitStack() as stack:
        for _ in range(200):
            silent = stack.enter_context(socket.create_connection(world.gateway.address, timeout=10))
            silent.sendall(HALF_A_HELLO)
        start = time.monotonic()
        assert world.get("/api/honest/x").status == 200
        assert time.monotonic() - start < HEAD_S / 2


def test_a_caller_without_tls_is_ended_without_a_word(world: Visit) -> None:
    with socket.create_connection(world.gateway.address, timeout=10) as plain:
        plain.sendall(request_bytes("GET", "/api/honest/x"))
        with contextlib.suppress(ConnectionResetError):
            assert b"HTTP" not in plain.recv(100)
    log = "TLS handshakes of callers failed"
    until(lambda: log in world.gateway.stderr(), "it is in the log")


def test_a_thousand_failures_are_a_few_lines(world: Visit) -> None:
    before = world.gateway.stderr().count("\n")
    for _ in range(300):
        with socket.create_connection(world.gateway.address, timeout=10) as plain:
            plain.sendall(b"GET / HTTP/1.1\r\n\r\n")
    assert world.get("/api/honest/x").status == 200
    assert world.gateway.stderr().count("\n") - before < 5


def test_who_only_looks_at_the_port_is_not_in_the_log(world: Visit) -> None:
    before = world.gateway.stderr()
    for _ in range(3):
        socket.create_connection(world.gateway.address, timeout=10).close()
    assert world.get("/api/honest/x").status == 200
    assert world.gateway.stderr() == before


def test_a_later_version_can_be_asked_for(authority: Authority, tmp_path: Path) -> None:
    tls = {"cert_file": str(authority.issue("gateway.test")), "minimum_version": "1.3"}
    plan = Plan("tls-13", {"server": {"tls": tls}}, 0, tls=authority.trusting())
    with running(plan, tmp_path) as site:
        with Caller(site.gateway.address, tls=plan.tls) as caller:
            assert caller.get("/api/honest/x").status == 200
        older = at_most(trusting_all(), ssl.TLSVersion.TLSv1_2)
        with pytest.raises(ssl.SSLError, match="ALERT_PROTOCOL_VERSION"):
            Caller(site.gateway.address, tls=older)
