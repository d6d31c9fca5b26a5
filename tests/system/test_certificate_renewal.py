"""A renewed certificate is taken up by those who connect from then on; nobody who is connected notices."""

from __future__ import annotations

import contextlib
import datetime as dt
import signal
import ssl
from collections.abc import Iterator
from pathlib import Path

import pytest
from cryptography import x509

from tests.support.callers import Caller, drain, request_bytes
from tests.support.certificates import DAY, NOW, Authority, put, trusting_all
from tests.support.load import Load
from tests.support.processes import until
from tests.support.websockets import echo, frame, opened, speaking
from tests.support.wire import WireError
from tests.support.world import Plan, Site, Visit, running


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority("callers", tmp_path)


@pytest.fixture
def place(tmp_path: Path, authority: Authority) -> Path:
    """Where the gateway finds its certificate: a link, as from certbot."""
    place = tmp_path / "live.pem"
    put(authority.issue("gateway.test"), place)
    return place


@pytest.fixture(params=["falcongate", "gevent"])
def site(request: pytest.FixtureRequest, tmp_path: Path, place: Path, authority: Authority) -> Iterator[Site]:
    settings = {"server": {"tls": {"cert_file": str(place)}}}
    tls = authority.trusting()
    plan = Plan("renewing", settings, scripted=4, kind=request.param, tls=tls)
    with running(plan, tmp_path / "gateway") as site:
        yield site


only_ours = pytest.mark.parametrize("site", ["falcongate"], indirect=True)


def shown(address: tuple[str, int]) -> int:
    """The serial number of the certificate that a new caller is shown."""
    with Caller(address, tls=trusting_all()) as caller:
        assert isinstance(caller.socket, ssl.SSLSocket)
        certificate = caller.socket.getpeercert(binary_form=True)
    assert certificate is not None
    return x509.load_der_x509_certificate(certificate).serial_number


def serial_in(path: Path) -> int:
    return x509.load_pem_x509_certificate(path.read_bytes()).serial_number


def test_a_link_that_leads_to_another_file_is_noticed(
    world: Visit, place: Path, authority: Authority
) -> None:
    kept = world.caller()
    assert kept.get("/api/honest/x").status == 200
    renewed = authority.issue("gateway.test")
    put(renewed, place)
    until(lambda: shown(world.gateway.address) == serial_in(renewed), "new callers see the new one")
    assert kept.get("/api/honest/x").status == 200


def test_a_file_that_is_written_anew_is_noticed(world: Visit, place: Path, authority: Authority) -> None:
    renewed = authority.issue("gateway.test")
    place.resolve().write_bytes(renewed.read_bytes())
    until(lambda: shown(world.gateway.address) == serial_in(renewed), "new callers see the new one")


def test_a_directory_that_is_swapped_is_noticed(tmp_path: Path, authority: Authority) -> None:
    """As Kubernetes does it: the file's own path never changes."""
    folders = [tmp_path / "one", tmp_path / "two"]
    for folder in folders:
        folder.mkdir()
        pem = authority.issue("gateway.test").read_bytes()
        (folder / "tls.crt").write_bytes(pem)
        (folder / "tls.key").write_bytes(pem)
    live = tmp_path / "..data"
    live.symlink_to(folders[0])
    tls = {"cert_file": str(live / "tls.crt"), "key_file": str(live / "tls.key")}
    plan = Plan("kubernetes", {"server": {"tls": tls}}, 0, tls=authority.trusting())
    with running(plan, tmp_path / "gateway") as site:
        put(folders[1], live)
        renewed = serial_in(folders[1] / "tls.crt")
        until(lambda: shown(site.gateway.address) == renewed, "new callers see the new one")


@only_ours
def test_nothing_is_dropped_under_load(world: Visit, place: Path, authority: Authority) -> None:
    """With a WebSocket and a download on their way through five renewals."""
    load = Load(world)
    with load.running():
        chat = opened(world, world.service(speaking(echo)), [("Origin", "https://gateway.test")])
        download = world.caller(keeps=False)
        size = 60_000_000
        download.send(request_bytes("GET", f"/api/honest/fixed?bytes={size}"))
        download.head()
        for number in range(5):
            put(authority.issue("gateway.test"), place)
            until(lambda: shown(world.gateway.address) == serial_in(place), "new callers see the new one")
            chat.send(frame(b"still here", 1))
            assert chat.reader.exactly(len(frame(b"still here", 1)))
            assert drain(download, size // 6) == size // 6, number
        assert drain(download, size - 5 * (size // 6)) == size - 5 * (size // 6)
    assert len(load.answered) > 100
    assert sorted(load.arrived) == sorted(load.answered), "each came once"
    assert world.gateway.stderr().count("Took up the renewed certificate") == 5


@only_ours
@pytest.mark.parametrize("broken", [b"", b"no PEM at all", b"-----BEGIN CERTIFICATE-----\nAAAA\n"])
def test_one_that_is_broken_is_told_and_the_old_one_goes_on(
    world: Visit, place: Path, authority: Authority, broken: bytes
) -> None:
    old = shown(world.gateway.address)
    place.resolve().write_bytes(broken)
    told = (
        "ERROR falcongate: The renewed certificate cannot be used, the old one goes on: both must be in PEM"
    )
    until(lambda: told in world.gateway.stderr(), "it is in the log")
    assert shown(world.gateway.address) == old
    renewed = authority.issue("gateway.test")
    put(renewed, place)
    until(lambda: shown(world.gateway.address) == serial_in(renewed), "a good one is taken up again")
    assert world.gateway.stderr().count(told) == 1


def test_a_worker_that_begins_while_it_is_broken_waits(tmp_path: Path, authority: Authority) -> None:
    """One is killed meanwhile; the other goes on, and the new one serves once the file is whole."""
    file = authority.issue("gateway.test")
    whole = file.read_bytes()
    plan = Plan(
        "waits", {"server": {"tls": {"cert_file": str(file)}}}, 0, workers=2, tls=authority.trusting()
    )
    with running(plan, tmp_path / "gateway") as site:
        gateway = site.gateway
        gateway.allow_deaths()
        gateway.allow("was sent SIGKILL|takes no callers until its certificate can be used")
        until(lambda: gateway.stderr().count("expires in 0 days") == 2, "both have their certificate")
        file.write_bytes(b"broken")
        gateway.signal(signal.SIGKILL, gateway.workers[0])
        until(lambda: "takes no callers until" in gateway.stderr(), "its successor waits")
        until(lambda: _answers(gateway.address, plan), "the other serves")
        file.write_bytes(whole)
        (successor,) = set(gateway.children()) - set(gateway.workers)
        gateway.signal(signal.SIGKILL, gateway.workers[1])
        until(lambda: _answers(gateway.address, plan), "it serves")
        assert successor in gateway.children()


def _answers(address: tuple[str, int], plan: Plan) -> bool:
    with contextlib.suppress(OSError, WireError), Caller(address, tls=plan.tls) as caller:
        return caller.get("/api/honest/x").status == 200
    return False


@only_ours
def test_one_that_is_gone_is_told_and_the_old_one_goes_on(world: Visit, place: Path) -> None:
    old = shown(world.gateway.address)
    place.unlink()
    until(lambda: "goes on: No such file" in world.gateway.stderr(), "it is in the log")
    assert shown(world.gateway.address) == old


def test_two_files_that_do_not_belong_together(tmp_path: Path, authority: Authority) -> None:
    """One of two files is new and the other follows: nothing is told unless it stays away."""
    pair = [tmp_path / "cert.pem", tmp_path / "key.pem"]
    first, second = authority.issue("gateway.test"), authority.issue("gateway.test")
    for file in pair:
        put(first, file)
    tls = {"cert_file": str(pair[0]), "key_file": str(pair[1])}
    plan = Plan("pair", {"server": {"tls": tls}}, 0, tls=authority.trusting())
    with running(plan, tmp_path / "gateway") as site:
        put(second, pair[0])
        told = "the old one goes on: the key is another certificate's"
        until(lambda: told in site.gateway.stderr(), "it is in the log")
        assert shown(site.gateway.address) == serial_in(first)
        put(second, pair[1])
        until(lambda: shown(site.gateway.address) == serial_in(second), "both are there")


@only_ours
def test_a_reload_takes_it_up_too(world: Visit, place: Path, authority: Authority) -> None:
    kept = world.caller()
    assert kept.get("/api/honest/x").status == 200
    renewed = authority.issue("gateway.test")
    put(renewed, place)
    world.gateway.reload()
    assert shown(world.gateway.address) == serial_in(renewed)
    assert kept.get("/api/honest/x").status == 200


@only_ours
def test_a_reload_with_a_broken_one_changes_nothing(world: Visit, place: Path) -> None:
    old = shown(world.gateway.address)
    place.resolve().write_bytes(b"broken")
    world.gateway.signal(signal.SIGHUP)
    until(lambda: "Not reloaded" in world.gateway.stderr(), "the master has seen it")
    assert "server.tls.cert_file: cannot be used with its key" in world.gateway.stderr()
    assert shown(world.gateway.address) == old


@pytest.mark.parametrize(
    ("dates", "told"),
    [
        ((NOW - 3 * DAY, NOW - DAY), "has expired, on "),
        ((NOW - DAY, NOW + 5 * DAY + DAY / 2), "expires in 5 days, on "),
        ((NOW + DAY, NOW + 3 * DAY), "is not valid before "),
    ],
)
def test_one_that_has_expired_or_soon_will_is_warned_of(
    tmp_path: Path, authority: Authority, dates: tuple[dt.datetime, dt.datetime], told: str
) -> None:
    certificate = authority.issue("gateway.test", since=dates[0], until=dates[1])
    settings = {"server": {"tls": {"cert_file": str(certificate)}}}
    with running(Plan("dates", settings, 0, tls=trusting_all()), tmp_path / "gateway") as site:
        assert f"WARNING falcongate: the certificate in {certificate} {told}" in site.gateway.stderr()
