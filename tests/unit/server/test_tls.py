"""When a renewed certificate is taken up, and what is told of those that cannot be."""

from __future__ import annotations

import logging
import ssl
from pathlib import Path

import pytest

from falcongate.config.tls import CallerTlsSettings
from falcongate.server import tls
from falcongate.server.tls import CallerTls, gunicorn_tls
from tests.support.certificates import Authority, put


class Clock:
    """Time that passes when a test says so."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


class Made:
    """Contexts of one certificate: how many were made."""

    def __init__(self, file: Path) -> None:
        self.file = file
        self.count = 0

    def __call__(self) -> ssl.SSLContext:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self.file)
        self.count += 1
        return context


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(tls, "monotonic", clock)
    return clock


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority("ca", tmp_path)


@pytest.fixture
def place(authority: Authority, tmp_path: Path) -> Path:
    put(authority.issue("gateway.test"), tmp_path / "live.pem")
    return tmp_path / "live.pem"


@pytest.fixture
def made(place: Path) -> Made:
    return Made(place)


@pytest.fixture
def caller_tls(made: Made, clock: Clock) -> CallerTls:
    assert clock.now
    return CallerTls(made, (str(made.file), None, None), handshake_s=1)


def look(caller_tls: CallerTls, clock: Clock) -> None:
    """Let it look at its files once."""
    clock.now += 2
    caller_tls.renew()


def errors(caplog: pytest.LogCaptureFixture) -> int:
    return sum(record.levelno == logging.ERROR for record in caplog.records)


def test_nothing_is_read_while_nothing_changes(caller_tls: CallerTls, made: Made, clock: Clock) -> None:
    for _ in range(5):
        look(caller_tls, clock)
    assert made.count == 1


def test_it_is_looked_at_only_now_and_then(
    caller_tls: CallerTls, made: Made, clock: Clock, authority: Authority
) -> None:
    put(authority.issue("gateway.test"), made.file)
    clock.now += 1.9
    caller_tls.renew()
    assert made.count == 1
    clock.now += 0.1
    caller_tls.renew()
    assert made.count == 2


def test_a_new_one_is_taken_up_once(
    caller_tls: CallerTls, made: Made, clock: Clock, authority: Authority
) -> None:
    put(authority.issue("gateway.test"), made.file)
    look(caller_tls, clock)
    look(caller_tls, clock)
    assert made.count == 2


def test_a_file_that_is_only_half_written_is_not_told_of(
    caller_tls: CallerTls, made: Made, clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    whole = made.file.read_bytes()
    made.file.write_bytes(whole[: len(whole) // 2])
    look(caller_tls, clock)
    made.file.write_bytes(whole)
    look(caller_tls, clock)
    look(caller_tls, clock)
    assert (errors(caplog), made.count) == (0, 2)


def test_one_that_stays_broken_is_told_of_once(
    caller_tls: CallerTls, made: Made, clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    whole = made.file.read_bytes()
    made.file.write_bytes(b"broken")
    for _ in range(4):
        look(caller_tls, clock)
    assert errors(caplog) == 1
    made.file.unlink()
    for _ in range(4):
        look(caller_tls, clock)
    assert errors(caplog) == 2
    made.file.write_bytes(whole)
    look(caller_tls, clock)
    assert made.count == 2


def test_gunicorn_is_told_in_its_own_words(place: Path) -> None:
    assert gunicorn_tls(CallerTlsSettings()) == {
        "certfile": None,
        "keyfile": None,
        "ca_certs": None,
        "cert_reqs": 0,
    }
    asked = CallerTlsSettings(cert_file=str(place), client_ca_file="ca.pem", client_certificates="required")
    assert gunicorn_tls(asked) == {
        "certfile": str(place),
        "keyfile": None,
        "ca_certs": "ca.pem",
        "cert_reqs": 2,
    }
