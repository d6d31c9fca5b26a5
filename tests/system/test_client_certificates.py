"""Callers with certificates of their own: who they are, and what that permits."""

from __future__ import annotations

import json
import ssl
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.x509.oid import NameOID

from tests.support.callers import Answer, Caller, request_bytes
from tests.support.certificates import DAY, NOW, Authority, at_most, put, trusting_all
from tests.support.processes import until
from tests.support.websockets import upgrade
from tests.support.world import Plan, Site, Visit, running

SUBJECT = x509.Name(
    [
        x509.NameAttribute(NameOID.ORGANIZATION_NAME, "Example, Inc."),
        x509.NameAttribute(NameOID.COMMON_NAME, "reports"),
    ]
)


@dataclass
class Pki:
    """Who has signed what: the gateway's certificate, those of callers, and one that nobody asked for."""

    gateway: Authority
    callers: Authority
    strangers: Authority


@pytest.fixture(scope="module")
def pki(tmp_path_factory: pytest.TempPathFactory) -> Pki:
    folder = tmp_path_factory.mktemp("pki")
    return Pki(
        Authority("gateway-ca", folder), Authority("caller-ca", folder), Authority("stranger-ca", folder)
    )


def tls_settings(pki: Pki, client_certificates: str) -> dict[str, str]:
    return {
        "cert_file": str(pki.gateway.issue("gateway.test")),
        "client_ca_file": str(pki.callers.file),
        "client_certificates": client_certificates,
    }


@pytest.fixture(scope="module", params=["falcongate", "gevent"])
def site(
    request: pytest.FixtureRequest, pki: Pki, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Site]:
    known = {"identity": "required", "accept": "certificate"}
    settings = {
        "server": {"tls": tls_settings(pki, "optional")},
        "services": {name: {"websocket": True} for name in ("known", "exact", "named", "mixed", "counted")},
        "access": {
            "known": {**known, "services": ["known"]},
            "exact": {**known, "services": ["exact"], "claims": {"subject": "CN=reports,O=Example\\, Inc."}},
            "named": {**known, "services": ["named"], "claims": {"dns_names": ["a.test", "b.test"]}},
            "counted": {**known, "services": ["counted"]},
            "mixed": {"identity": "required", "services": ["mixed"], "accept": ["token", "api_key"]},
        },
    }
    settings["limits"] = {"each": {"rate": "2/h", "key": "claim:common_name", "services": ["counted"]}}
    plan = Plan("client-certificates", settings, 4, kind=request.param, tls=pki.gateway.trusting())
    with running(plan, tmp_path_factory.mktemp("client-certificates")) as site:
        yield site


def ask(world: Visit, pki: Pki, client: Path | None, path: str = "/api/known/x") -> Answer:
    """What a caller with this certificate is answered."""
    return world.caller(tls=pki.gateway.trusting(client)).get(path)


def test_whoever_has_one_of_the_right_authority_is_known(world: Visit, pki: Pki) -> None:
    caller = world.caller(tls=pki.gateway.trusting(pki.callers.issue("worker.test")))
    assert [caller.get("/api/known/x").status for _ in range(3)] == [200] * 3


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_in_either_version_of_tls(world: Visit, pki: Pki, version: ssl.TLSVersion) -> None:
    context = pki.gateway.trusting(pki.callers.issue("worker.test"))
    context.minimum_version = context.maximum_version = version
    assert world.caller(tls=context).get("/api/known/x").status == 200


def test_a_session_that_is_resumed_is_the_same_callers(world: Visit, pki: Pki) -> None:
    context = at_most(trusting_all(pki.callers.issue("worker.test")), ssl.TLSVersion.TLSv1_2)
    first = world.caller(tls=context)
    assert first.get("/api/known/x").status == 200
    with Caller(world.gateway.address) as second:
        second.socket = context.wrap_socket(second.socket, session=first.socket.session)
        assert second.socket.session_reused
        second.reader._socket = second.socket  # noqa: SLF001
        assert second.get("/api/known/x").status == 200


def test_without_one_a_caller_is_not_known(world: Visit, pki: Pki) -> None:
    answer = ask(world, pki, None)
    assert (answer.status, answer.json()["type"]) == (401, "/problems/unauthorized")
    assert ask(world, pki, None, "/api/honest/x").status == 200


@pytest.mark.parametrize("kind", ["stranger", "expired", "not yet valid", "self-signed", "a server's only"])
def test_one_that_is_not_to_be_believed_ends_the_handshake(world: Visit, pki: Pki, kind: str) -> None:
    client = {
        "stranger": lambda: pki.strangers.issue("worker.test"),
        "expired": lambda: pki.callers.issue("worker.test", until=NOW - DAY),
        "not yet valid": lambda: pki.callers.issue("worker.test", since=NOW + DAY, until=NOW + 2 * DAY),
        "self-signed": pki.strangers.own,
        "a server's only": lambda: pki.callers.issue("worker.test", is_for_servers=True),
    }[kind]()
    is_refused(world.gateway.address, pki.gateway.trusting(client))
    until(lambda: "TLS handshakes of callers failed" in world.gateway.stderr(), "it is in the log")


def is_refused(address: tuple[str, int], context: ssl.SSLContext) -> None:
    """With TLS 1.3 a caller learns only when it reads that its certificate was refused."""
    with pytest.raises(OSError), Caller(address, tls=context) as caller:  # noqa: PT011, PT012
        caller.send(request_bytes("GET", "/api/honest/x"))
        caller.socket.suppress_ragged_eofs = False
        assert b"HTTP" not in caller.socket.recv(100)


def test_its_subject_can_be_asked_for(world: Visit, pki: Pki) -> None:
    right, other = pki.callers.issue("x", subject=SUBJECT), pki.callers.issue("reports")
    assert ask(world, pki, right, "/api/exact/x").status == 200
    assert (ask(world, pki, other, "/api/exact/x").status) == 403


def test_and_its_other_names(world: Visit, pki: Pki) -> None:
    assert ask(world, pki, pki.callers.issue("b.test"), "/api/named/x").status == 200
    assert ask(world, pki, pki.callers.issue("c.test"), "/api/named/x").status == 403


def test_each_owner_is_counted_for_itself(world: Visit, pki: Pki) -> None:
    kind = world.gateway.kind
    one, other = pki.callers.issue(f"one.{kind}"), pki.callers.issue(f"other.{kind}")
    statuses = [ask(world, pki, one, "/api/counted/x").status for _ in range(3)]
    assert statuses == [200, 200, 429]
    assert ask(world, pki, other, "/api/counted/x").status == 200


def test_one_that_names_nobody_is_nobodys(world: Visit, pki: Pki) -> None:
    answer = ask(world, pki, pki.callers.issue("x", subject=x509.Name([]), names=()))
    assert (answer.status, "names nobody" in answer.json()["detail"]) == (401, True)


def test_where_other_credentials_are_asked_for_it_is_none(world: Visit, pki: Pki) -> None:
    assert ask(world, pki, pki.callers.issue("worker.test"), "/api/mixed/x").status == 401


@pytest.mark.parametrize(
    "field",
    [
        "X-Client-Cert", "X-Client-Certificate", "X-Client-DN", "X-Client-Verify", "X-SSL-Client-Cert",
        "X-SSL-Client-Verify", "X-SSL-CERT", "X-Forwarded-Client-Cert", "X-Forwarded-Tls-Client-Cert",
        "X-Forwarded-Tls-Client-Cert-Info", "SSL-Client-Cert", "SSL-Client-Subject-DN", "Client-Cert",
        "Client-Cert-Chain", "X-Amzn-Mtls-Clientcert", "X-Amzn-Mtls-Clientcert-Subject", "X-ARR-ClientCert",
        "X-TLS-Client-Subject", "X.SSL.Client.Cert",
    ],
)  # fmt: skip
def test_what_callers_write_of_certificates_goes_nowhere(world: Visit, field: str) -> None:
    value = 'By=spiffe://a;Hash=1;Subject="CN=admin";URI=spiffe://admin'
    with world.caller() as caller:
        seen = caller.get("/api/honest/x", [(field, value), ("X-Other", "1")]).json()["headers"]
        assert "admin" not in json.dumps(seen)
        assert ["X-Other", "1"] in seen
        assert caller.get("/api/known/x", [(field, value)]).status == 401


def test_a_websocket_is_its_owners(world: Visit, pki: Pki) -> None:
    if world.gateway.kind == "gevent":
        pytest.skip("only our own worker carries WebSockets")
    client = pki.callers.issue("worker.test")
    for known, expected in ((client, 200), (None, 401)):
        caller = world.caller(tls=pki.gateway.trusting(known))
        caller.send(upgrade("/ws/known/room"))
        assert caller.head()[0].start.split(" ")[1] == str(expected)


@pytest.mark.parametrize("kind", ["falcongate", "gevent"])
def test_required_means_that_nobody_else_is_spoken_to(kind: str, pki: Pki, tmp_path: Path) -> None:
    ours = pki.gateway.trusting(pki.callers.issue("worker.test"))
    settings = {"server": {"tls": tls_settings(pki, "required")}}
    with running(Plan("required", settings, 0, kind=kind, tls=ours), tmp_path) as site:
        for context in (pki.gateway.trusting(), at_most(trusting_all(), ssl.TLSVersion.TLSv1_2)):
            is_refused(site.gateway.address, context)
        is_refused(site.gateway.address, pki.gateway.trusting(pki.strangers.issue("worker.test")))
        with Caller(site.gateway.address, tls=ours) as caller:
            assert caller.get("/api/honest/x").status == 200
        log = site.gateway.stderr()
        assert "falcongate: TLS handshakes of callers failed: peer did not return a certificate (1)" in log
        assert "Traceback" not in log


def test_an_authority_that_is_taken_away_is_believed_no_more(pki: Pki, tmp_path: Path) -> None:
    """By new handshakes, within seconds and without a reload; sessions cannot be resumed past it."""
    place = tmp_path / "authorities.pem"
    put(pki.callers.file, place)
    tls = {**tls_settings(pki, "required"), "client_ca_file": str(place)}
    ours = at_most(trusting_all(pki.callers.issue("worker.test")), ssl.TLSVersion.TLSv1_2)
    plan = Plan("revoked", {"server": {"tls": tls}}, 0, tls=ours)
    with running(plan, tmp_path / "gateway") as site, Caller(site.gateway.address, tls=ours) as kept:
        assert kept.get("/api/honest/x").status == 200
        put(pki.strangers.file, place)
        until(lambda: "Took up" in site.gateway.stderr(), "it is noticed")
        is_refused(site.gateway.address, ours)
        assert kept.get("/api/honest/x").status == 200
