"""Services that speak TLS, and how their certificates are checked."""

from __future__ import annotations

import ssl
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.certificates import DAY, NOW, Authority
from tests.support.upstreams import listen
from tests.support.wire import Reader, WireError
from tests.support.world import Plan, Site, Visit, running

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


class TlsUpstream:
    """Answers `ok` over TLS; keeps what it was asked and whose name it was asked for."""

    def __init__(self, certificate: Path, *, client_authority: Path | None = None) -> None:
        self._context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self._context.load_cert_chain(certificate)
        self._context.sni_callback = self._note_name
        if client_authority is not None:
            self._context.load_verify_locations(client_authority)
            self._context.verify_mode = ssl.CERT_REQUIRED
        self._listener = listen()
        self.port: int = self._listener.getsockname()[1]
        self.received = b""
        self.names: list[str | None] = []
        self.peers: list[object] = []
        self._thread = threading.Thread(target=self._accept, daemon=True)
        self._thread.start()

    def _note_name(self, _: object, name: str | None, __: object) -> None:
        self.names.append(name)

    def _accept(self) -> None:
        while True:
            try:
                plain, _ = self._listener.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(plain,), daemon=True).start()

    def _serve(self, plain) -> None:  # noqa: ANN001
        with plain:
            try:
                with self._context.wrap_socket(plain, server_side=True) as secure:
                    self.peers.append(secure.getpeercert())
                    reader = Reader(secure)
                    while True:
                        head = reader.head(within_s=600)
                        self.received += head.raw
                        secure.sendall(OK)
            except (OSError, WireError):
                return

    def stop(self) -> None:
        """Take no more connections."""
        self._listener.shutdown(2)
        self._listener.close()
        self._thread.join(5)


@pytest.fixture(scope="module")
def upstreams(
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[tuple[dict[str, TlsUpstream], Authority, Path]]:
    folder = tmp_path_factory.mktemp("certificates")
    known, unknown = Authority("known", folder), Authority("unknown", folder)
    made = {
        "good": TlsUpstream(known.issue("localhost")),
        "unknown": TlsUpstream(unknown.issue("localhost")),
        "wrong-name": TlsUpstream(known.issue("other.test")),
        "expired": TlsUpstream(known.issue("localhost", until=NOW - DAY)),
        "mutual": TlsUpstream(known.issue("localhost"), client_authority=known.file),
        "plain-name": TlsUpstream(known.issue("inner.test")),
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

    def service(name: str, **tls: object) -> dict[str, object]:
        return {"url": f"https://localhost:{made[name].port}", "tls": {"ca_file": str(known.file), **tls}}

    services = {name: service(name) for name in made}
    services["with-client"] = service("mutual", cert_file=str(client))
    services["named"] = service("plain-name", server_name="inner.test")
    services["skipping"] = service("unknown", insecure_skip_verify=True)
    services["system"] = {"url": f"https://localhost:{made['good'].port}"}
    services["not-tls"] = {"url": f"http://localhost:{made['good'].port}"}
    plan = Plan("tls", {"services": services}, 0, kind=request.param)
    with running(plan, tmp_path_factory.mktemp("tls")) as site:
        yield site


Made = tuple[dict[str, TlsUpstream], Authority, Path]


def test_a_certificate_of_a_known_authority_is_accepted(world: Visit, upstreams: Made) -> None:
    answers = [world.get("/api/good/x") for _ in range(5)]
    assert [(answer.status, answer.content) for answer in answers] == [(200, b"ok")] * 5
    assert set(upstreams[0]["good"].names) == {"localhost"}


@pytest.mark.parametrize("name", ["unknown", "wrong-name", "expired", "system"])
@pytest.mark.parametrize("method", ["GET", "POST"])
def test_any_other_is_refused_before_a_byte_is_sent(
    world: Visit, upstreams: Made, name: str, method: str
) -> None:
    upstream = upstreams[0].get(name, upstreams[0]["good"])
    before = upstream.received
    answer = world.exchange(method, f"/api/{name}/secret")
    assert (answer.status, answer.json()["type"]) == (502, "/problems/service-tls-failed")
    assert upstream.received == before or name == "system"
    assert b"/secret" not in upstream.received
    assert b"localhost" not in answer.content


def test_a_service_that_wants_a_certificate_gets_ours(world: Visit, upstreams: Made) -> None:
    assert world.get("/api/with-client/x").content == b"ok"
    assert "gateway.client" in str(upstreams[0]["mutual"].peers[-1])


def test_without_one_it_is_not_spoken_to(world: Visit) -> None:
    answer = world.get("/api/mutual/x")
    assert answer.status == 502


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
