"""Callers inside TLS, where the gateway itself ends it."""

from __future__ import annotations

import contextlib
import socket
import ssl
from collections.abc import Iterator

import pytest

from tests.support.callers import Caller, request_bytes
from tests.support.certificates import Authority
from tests.support.processes import takes
from tests.support.world import Plan, Site, Visit, running

HEAD_S = 1.0


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority("callers", tmp_path_factory.mktemp("callers-tls"))


@pytest.fixture(scope="module")
def site(authority: Authority, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    certificate = str(authority.issue("gateway.test"))
    plan = Plan(
        "tls-callers",
        {"server": {"head_timeout_s": HEAD_S}},
        0,
        arguments=("--certfile", certificate, "--keyfile", certificate),
    )
    with running(plan, tmp_path_factory.mktemp("tls-callers")) as site:
        yield site


def test_requests_are_answered_inside_tls(world: Visit, authority: Authority) -> None:
    context = ssl.create_default_context(cafile=str(authority.file))
    with Caller(world.gateway.address, tls=context) as caller:
        for _ in range(3):
            assert caller.get("/api/honest/x").status == 200
        assert len(caller.get("/api/honest/fixed?bytes=3000000").content) == 3_000_000


def test_a_caller_who_says_nothing_is_ended(world: Visit) -> None:
    with socket.create_connection(world.gateway.address, timeout=10) as silent, takes(HEAD_S):
        assert silent.recv(1) == b""


def test_a_caller_without_tls_is_ended_without_a_word(world: Visit) -> None:
    with socket.create_connection(world.gateway.address, timeout=10) as plain:
        plain.sendall(request_bytes("GET", "/api/honest/x"))
        with contextlib.suppress(ConnectionResetError):
            assert b"HTTP" not in plain.recv(100)
