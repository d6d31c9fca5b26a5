"""Services that speak TLS, and how their certificates are checked."""

from __future__ import annotations

import re
import ssl
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.certificates import DAY, NOW, Authority, put
from tests.support.processes import takes
from tests.support.tls_upstream import TlsUpstream
from tests.support.upstreams import Conversation
from tests.support.wire import Ended
from tests.support.world import Plan, Site, Visit, running

CONNECT_S = 1.0
# A service that agrees to nothing newer than TLS 1.1: the beginning of its handshake.
OLD_HELLO = bytes.fromhex("160302002a020000260302") + bytes(32) + bytes.fromhex("00c01300")


@pytest.fixture(scope="module")
def upstreams(
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[tuple[dict[str, TlsUpstream], Authority, Path]]:
    folder = tmp_path_factory.mktemp("certificates")
    known, unknown = Authority("known", folder), Authority("unknown", folder)
    between = Authority("between", folder, known)
    without_chain = folder / "without-chain.pem"
    without_chain.write_bytes(between.issue("localhost").read_bytes().replace(between.pem, b""))
    made = {
        "good": TlsUpstream(known.issue("localhost")),
        "unknown": TlsUpstream(unknown.issue("localhost")),
        "wrong-name": TlsUpstream(known.issue("other.test")),
        "expired": TlsUpstream(known.issue("localhost", until=NOW - DAY)),
        "not-yet-valid": TlsUpstream(known.issue("localhost", since=NOW + DAY, until=NOW + 2 * DAY)),
        "self-signed": TlsUpstream(Authority("localhost", folder).own()),
        "chain": TlsUpstream(between.issue("localhost")),
        "without-chain": TlsUpstream(without_chain),
        "common-name-only": TlsUpstream(known.issue("localhost", names=())),
        "wildcard": TlsUpstream(known.issue("*.localhost")),
        "old": TlsUpstream(known.issue("localhost"), newest=ssl.TLSVersion.TLSv1_1),
        "mutual": TlsUpstream(known.issue("localhost"), client_authority=known.file),
        "plain-name": TlsUpstream(known.issue("inner.test")),
        "address": TlsUpstream(known.issue("127.0.0.1")),
        "until-close": TlsUpstream(
            known.issue("localhost"), answer=b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nhalf or whole"
        ),
    }
    yield made, known, known.issue("gateway.client")
    for upstream in made.values():
        upstream.stop()


@pytest.fixture(scope="module", params=["falcongate", "gevent"])
def site(
    request: pytest.FixtureRequest,
    tmp_path_factory: pytest.TempPathFactory,
    upstreams: tuple[dict[str, TlsUpstream], Authority, Path],
) -> Iterator[Site]:
    made, known, client = upstreams

    def service(name: str, host: str = "localhost", **tls: object) -> dict[str, object]:
        return {"url": f"https://{host}:{made[name].port}", "tls": {"ca_file": str(known.file), **tls}}

    services = {name: service(name) for name in made}
    services["with-client"] = service("mutual", cert_file=str(client))
    services["named"] = service("plain-name", server_name="inner.test")
    services["skipping"] = service("unknown", insecure_skip_verify=True)
    services["system"] = {"url": f"https://localhost:{made['good'].port}"}
    services["not-tls"] = {"url": f"http://localhost:{made['good'].port}"}
    services["by-address"] = service("address", "127.0.0.1")
    services["other-address"] = service("good", "127.0.0.1")
    services["two"] = service("expired")
    services["two"]["url"] = [f"https://localhost:{made[name].port}" for name in ("expired", "good")]
    for each in services.values():
        each["breaker"] = {"enabled": False}
    plan = Plan("tls", {"services": services}, 0, kind=request.param)
    with running(plan, tmp_path_factory.mktemp("tls")) as site:
        yield site


Made = tuple[dict[str, TlsUpstream], Authority, Path]


def test_a_certificate_of_a_known_authority_is_accepted(world: Visit, upstreams: Made) -> None:
    answers = [world.get("/api/good/x") for _ in range(5)]
    assert [(answer.status, answer.content) for answer in answers] == [(200, b"ok")] * 5
    assert "localhost" in upstreams[0]["good"].names


REFUSED = {
    "unknown": "no authority that is trusted has signed it",
    "wrong-name": "its name does not match (Hostname mismatch",
    "other-address": "its address does not match",
    "common-name-only": "its name does not match",
    "wildcard": "its name does not match",
    "expired": "it has expired (certificate has expired)",
    "not-yet-valid": "it is not valid yet",
    "self-signed": "it is self-signed",
    "without-chain": "no authority that is trusted has signed it, or one between is missing",
    "system": "no authority that is trusted has signed it",
}


@pytest.mark.parametrize("name", REFUSED)
@pytest.mark.parametrize("method", ["GET", "POST"])
def test_any_other_is_refused_before_a_byte_is_sent(
    world: Visit, upstreams: Made, name: str, method: str
) -> None:
    answer = world.exchange(method, f"/api/{name}/secret", body=b"secret" if method == "POST" else None)
    assert (answer.status, answer.json()["type"]) == (502, "/problems/service-tls-failed")
    assert answer.get("Proxy-Status") == "falcongate; error=tls_certificate_error"
    assert not [up for up in upstreams[0].values() if b"secret" in up.received]
    line = world.gateway.logged(str(answer.json()["request_id"]))
    assert line["reason"].startswith(f"tls: the certificate is refused: {REFUSED[name]}"), line
    assert line["attempts"] == 1
    told = (answer.head.raw + answer.content).replace(name.encode(), b"")
    assert not re.search(rb"localhost|127\.0|expired|signed|mismatch|authority", told)


def test_a_chain_is_followed(world: Visit) -> None:
    assert world.get("/api/chain/x").content == b"ok"


def test_an_address_can_be_what_is_certified(world: Visit) -> None:
    assert world.get("/api/by-address/x").content == b"ok"


def test_no_version_that_is_not_safe_is_agreed_to(world: Visit, upstreams: Made) -> None:
    before = len(upstreams[0]["old"].names)
    answer = world.get("/api/old/x")
    assert (answer.status, answer.get("Proxy-Status")) == (502, "falcongate; error=tls_alert_received")
    line = world.gateway.logged(str(answer.json()["request_id"]))
    assert line["reason"].startswith("tls: the service refused: protocol version")
    assert len(upstreams[0]["old"].names) - before <= 1, "it was not tried again with less"
    assert upstreams[0]["old"].received == b""


def test_another_target_is_tried_and_asked_for_no_less(world: Visit, upstreams: Made) -> None:
    for _ in range(6):
        assert world.get("/api/two/x").content == b"ok"
    assert upstreams[0]["expired"].received == b""


def test_a_service_that_wants_a_certificate_gets_ours(world: Visit, upstreams: Made) -> None:
    assert world.get("/api/with-client/x").content == b"ok"
    assert "gateway.client" in str(upstreams[0]["mutual"].peers[-1])


def test_without_one_it_is_not_spoken_to(world: Visit) -> None:
    """With TLS 1.3 the service says so only when we wait for its answer."""
    answer = world.get("/api/mutual/x")
    assert (answer.status, answer.get("Proxy-Status")) == (502, "falcongate; error=tls_alert_received")
    line = world.gateway.logged(str(answer.json()["request_id"]))
    assert "the service refused: certificate required" in line["reason"]


def test_another_name_can_be_expected(world: Visit, upstreams: Made) -> None:
    assert world.get("/api/named/x").content == b"ok"
    assert upstreams[0]["plain-name"].names[-1] == "inner.test"
    assert world.get("/api/plain-name/x").status == 502


def test_verification_can_be_switched_off_for_one_and_is_warned_of(world: Visit) -> None:
    assert world.get("/api/skipping/x").content == b"ok"
    warnings = [line for line in world.gateway.stderr().splitlines() if "insecure_skip_verify" in line]
    assert any("skipping" in line for line in warnings)
    assert not any("good" in line for line in warnings)


def test_plain_http_to_a_tls_port_is_nonsense_not_a_crash(world: Visit) -> None:
    assert world.get("/api/not-tls/x").status == 502


def test_an_answer_without_a_length_is_whole_only_if_tls_says_so(world: Visit) -> None:
    answer = world.get("/api/until-close/ended")
    assert answer.content == b"half or whole"
    with pytest.raises(Ended):
        world.get("/api/until-close/cut")


@pytest.fixture(scope="module")
def scripted(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """Services that are said to speak TLS, and are played byte by byte."""
    settings = {"connect_timeout_s": CONNECT_S, "tls": {"insecure_skip_verify": True}}
    plan = Plan("scripted-tls", {}, 12, scripted_settings=settings, scripted_scheme="https")
    with running(plan, tmp_path_factory.mktemp("scripted-tls")) as site:
        yield site


class TestWhatIsNoTls:
    """Whatever answers instead of a handshake."""

    @pytest.fixture
    def world(self, scripted: Site) -> Iterator[Visit]:
        visit = Visit(scripted)
        yield visit
        visit.leave()

    @pytest.mark.parametrize(
        ("said", "reason"),
        [
            (b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n", "does not speak TLS"),
            (b"SSH-2.0-OpenSSH_9.6\r\n", "does not speak TLS"),
            (OLD_HELLO, "no version of TLS that is safe"),
            (b"", "ended the handshake|no TLS could be agreed on"),
            (b"\x15\x03\x03\x00\x02\x02\x28", "the service refused: handshake failure"),
        ],
    )
    def test_it_is_said_what_it_was(self, world: Visit, said: bytes, reason: str) -> None:
        def instead(conversation: Conversation) -> None:
            conversation.reader.some()
            conversation.send(said)
            conversation.close()

        service = world.service(instead)
        answer = world.exchange("POST", service.path("/secret"), body=b"secret")
        assert (answer.status, answer.json()["type"]) == (502, "/problems/service-tls-failed")
        error = "tls_alert_received" if "refused" in reason else "tls_protocol_error"
        assert answer.get("Proxy-Status") == f"falcongate; error={error}"
        line = world.gateway.logged(str(answer.json()["request_id"]))
        assert re.search(reason, line["reason"]), line["reason"]
        assert not [one for one in service.upstream.conversations if b"secret" in one.raw]

    def test_a_handshake_that_stalls_is_given_up(self, world: Visit) -> None:
        service = world.service(lambda conversation: conversation.stall())
        with takes(CONNECT_S):
            answer = world.get(service.path())
        assert (answer.status, answer.json()["type"]) == (504, "/problems/connect-timeout")
        assert answer.get("Proxy-Status") == "falcongate; error=connection_timeout"
        line = world.gateway.logged(str(answer.json()["request_id"]))
        assert line["reason"] == "tls: it is connected, and did not finish the handshake in time"


def test_an_authority_that_is_taken_away_is_believed_no_more_after_a_reload(tmp_path: Path) -> None:
    old, new = Authority("old-ca", tmp_path), Authority("new-ca", tmp_path)
    upstream, place = TlsUpstream(old.issue("localhost")), tmp_path / "authorities.pem"
    put(old.file, place)
    services = {"svc": {"url": f"https://localhost:{upstream.port}", "tls": {"ca_file": str(place)}}}
    try:
        with running(Plan("revoked", {"services": services}, 0), tmp_path / "gateway") as site:
            world = Visit(site)
            assert world.get("/api/svc/x").content == b"ok"
            put(new.file, place)
            site.gateway.reload()
            answer = world.get("/api/svc/x")
            assert answer.get("Proxy-Status") == "falcongate; error=tls_certificate_error"
            world.leave()
    finally:
        upstream.stop()
