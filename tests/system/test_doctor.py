"""`falcongate doctor` looks at real servers of Redis and real services, some of which are not well."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr

from falcongate.commands.doctor import check_redis
from falcongate.config.redis import RedisSettings
from falcongate.server.machine import read_machine
from tests.support.certificates import DAY, NOW, Authority
from tests.support.doctor import doctor
from tests.support.fixtures import redis_server
from tests.support.honest import HonestUpstream
from tests.support.processes import GatewayProcess, until
from tests.support.redis_servers import SERVER, RedisServer, cluster, ended, free_port, watched_pair
from tests.support.tls_upstream import TlsUpstream
from tests.support.upstreams import listen

pytestmark = pytest.mark.skipif(SERVER is None, reason="redis-server is not installed")

SECRET = "h1dd3n-in-the-url"  # noqa: S105  # of no server but this test's
FOR_HEROKU = "REDIS_INSECURE_SKIP_VERIFY"

server = redis_server("module")


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    """An authority of nobody's system."""
    return Authority("ca", tmp_path_factory.mktemp("ca"))


@pytest.fixture(scope="module")
def like_herokus(authority: Authority, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    """A Redis with TLS only whose chain ends in an authority of its own, and with a password."""
    pair = str(authority.issue("localhost"))
    port = free_port()
    server = RedisServer(
        tmp_path_factory.mktemp("tls"),
        tls_port=str(port),
        tls_cert_file=pair,
        tls_key_file=pair,
        tls_ca_cert_file=str(authority.file),
        tls_auth_clients="no",
    )
    with ended(server):
        with server.client() as client:
            client.config_set("requirepass", SECRET)
        yield server


def of_redis(url: str, **settings: Any) -> list[tuple[str, str, str]]:  # noqa: ANN401  # as in a file
    """What the doctor finds of a Redis, but for latency, as this machine is busy."""
    told = check_redis(RedisSettings(url=SecretStr(url), **settings), partial(read_machine, {}))
    found = [(str(level), text, remedy) for level, text, remedy in told if "a PING takes" not in text]
    assert SECRET not in str(found)
    return found


def not_ok(found: list[tuple[str, str, str]]) -> list[tuple[str, str, str]]:
    """Those of its findings that are not ok."""
    return [finding for finding in found if finding[0] != "ok"]


def heroku_url(server: RedisServer) -> str:
    """Its address as the platform's variable says it."""
    return f"rediss://:{SECRET}@localhost:{server.options['tls-port']}"


def test_all_is_well(tmp_path: Path, server: RedisServer) -> None:
    with server.client() as client:
        before = client.keys("*")
    service = HonestUpstream()
    try:
        report = doctor(tmp_path, REDIS_URL=server.url, MICROSERVICE_URLS=f"hr={service.url}")
    finally:
        service.stop()
    assert (report.status, report.err) == (0, "")
    assert report.about(f"hr: {service.url} is connected")
    redis = report.about(f"127.0.0.1:{server.port}: ")
    assert len(redis) == 6
    with server.client() as client:
        assert client.keys("*") == before
    assert report.out.endswith(".\n")


def test_mistakes_in_the_configuration_are_reported_as_ever(tmp_path: Path) -> None:
    report = doctor(tmp_path, {"server": {"trusted_hop": 1}})
    assert (report.status, report.out) == (2, "")
    assert "did you mean trusted_hops?" in report.err


def test_a_policy_that_drops_what_must_stay(server: RedisServer) -> None:
    with server.client() as client:
        client.config_set("maxmemory-policy", "allkeys-lru")
        try:
            ((level, found, remedy),) = not_ok(of_redis(server.url))
        finally:
            client.config_set("maxmemory-policy", "noeviction")
    assert level == "problem"
    assert "maxmemory-policy is allkeys-lru" in found
    assert "noeviction" in remedy


def test_memory_that_is_full(server: RedisServer) -> None:
    with server.client() as client:
        client.config_set("maxmemory", "500kb")
        try:
            ((level, found, _),) = not_ok(of_redis(server.url))
        finally:
            client.config_set("maxmemory", "0")
    assert level == "problem"
    assert "used (" in found


@pytest.mark.parametrize(
    ("rights", "told"),
    [
        # What the remedy advises.
        ("~falcongate:* &falcongate:* +@all -@admin -@dangerous +info", ""),
        ("~falcongate:* &falcongate:* +@all -info", "warning: INFO may not be asked"),
        ("~falcongate:* &falcongate:* +@all -xadd -zadd", "problem: ZADD (and XADD) cannot be used"),
        ("~falcongate:* &falcongate:* +@all -subscribe", "problem: SUBSCRIBE cannot be used"),
        ("~falcongate:* +@all", "problem: PUBLISH (and SUBSCRIBE) cannot be used"),
        ("~other:* &* +@all", "problem: EVAL cannot be used"),
        ("~falcongate:* &* +@all -eval -evalsha", "problem: EVALSHA (and EVAL) cannot be used"),
    ],
)
def test_users_that_may_not_do_what_scripts_do(server: RedisServer, rights: str, told: str) -> None:
    with server.client() as client:
        client.execute_command("ACL", "SETUSER", "joe", "reset", "on", f">{SECRET}", *rights.split())
    found = not_ok(of_redis(f"redis://joe:{SECRET}@127.0.0.1:{server.port}/0"))
    level, _, text = told.partition(": ")
    assert [finding[0] for finding in found] == ([level] if told else [])
    assert all(text in finding[1] for finding in found)


@pytest.mark.parametrize("login", ["", "joe:wrong@", ":wrong@"])
def test_a_password_that_is_missing_or_wrong(like_herokus: RedisServer, login: str) -> None:
    ((level, found, remedy),) = of_redis(f"redis://{login}127.0.0.1:{like_herokus.port}")
    assert level == "problem"
    assert "user and password" in remedy
    assert "joe" not in found
    assert "wrong@" not in found


def test_nobody_there_and_no_tls_there(server: RedisServer) -> None:
    assert "Connection refused" in not_ok(of_redis(f"redis://127.0.0.1:{free_port()}"))[0][1]
    assert "whether it speaks TLS" in not_ok(of_redis(server.url.replace("redis:", "rediss:")))[0][2]


def test_a_redis_that_is_stalled_does_not_stall_the_doctor(tmp_path: Path, server: RedisServer) -> None:
    """SIGSTOP: it accepts, and says nothing."""
    server.stall()
    try:
        report = doctor(tmp_path, REDIS_URL=server.url)
    finally:
        server.go_on()
    ((level, _, remedy),) = report.not_ok("127.0.0.1")
    assert (report.status, level) == (1, "problem")
    assert "stalled" in remedy
    assert report.took_s < 20


def test_a_self_signed_chain_names_the_setting(
    tmp_path: Path, like_herokus: RedisServer, authority: Authority
) -> None:
    url = heroku_url(like_herokus)
    report = doctor(tmp_path, REDIS_URL=url)
    ((level, found, remedy),) = report.not_ok("localhost")
    assert (report.status, level) == (1, "problem")
    assert "self-signed certificate in certificate chain" in found
    assert "redis.ca_file" in remedy
    assert f"{FOR_HEROKU}=true" in remedy
    assert SECRET not in report.out + report.err
    report = doctor(tmp_path, REDIS_URL=url, REDIS_INSECURE_SKIP_VERIFY="true")
    assert report.status == 0
    assert [finding[0] for finding in report.about("redis.insecure_skip_verify is on")] == ["warning"]
    assert not not_ok(of_redis(url, ca_file=str(authority.file)))


def test_a_gateway_says_which_setting_a_self_signed_chain_needs(
    tmp_path: Path, like_herokus: RedisServer
) -> None:
    told = f"set {FOR_HEROKU}=true"
    alone = {"REDIS_URL": heroku_url(like_herokus)}
    gateway = GatewayProcess(tmp_path / "alone", None, environ=alone)
    try:
        until(lambda: told in gateway.stderr(), "the log names the setting")
        assert SECRET not in gateway.stderr()
    finally:
        gateway.stop()
    gateway = GatewayProcess(tmp_path / "set", None, environ=alone | {FOR_HEROKU: "true"})
    try:
        with like_herokus.client(password=SECRET) as client:
            until(lambda: client.exists("falcongate:1:hosts"), "it tells Redis that it is alive")
        assert told not in gateway.stderr()
    finally:
        gateway.stop()


def test_a_replica_and_its_sentinel(tmp_path: Path) -> None:
    with watched_pair(tmp_path) as (_, replica, url):
        found = of_redis(url.replace("/shared", ",127.0.0.1:1/shared"))
        assert [level for level, text, _ in found if text.startswith("Sentinel ")] == ["ok", "warning"]
        assert not [text for _, text, _ in not_ok(found) if text.startswith("shared of Sentinel")]
        ((_, text, _),) = not_ok(of_redis(replica.url))
        assert "is a replica" in text
        assert "No such master" in not_ok(of_redis(url.replace("/shared", "/other")))[0][1]
    assert "no Sentinel answers" in not_ok(of_redis(url))[0][1]


def test_a_cluster_of_which_one_server_is_gone(tmp_path: Path) -> None:
    with cluster(tmp_path) as servers:
        found = of_redis(servers[0].url, cluster=True)
        assert not not_ok(found)
        assert len([text for _, text, _ in found if "connected; Redis" in text]) == 3
        assert len([text for _, text, _ in found if "is allowed" in text]) == 1
        servers[2].kill()
        levels = {
            level for level, text, _ in of_redis(servers[0].url, cluster=True) if str(servers[2].port) in text
        }
        assert levels == {"problem"}


def test_services_and_their_certificates(tmp_path: Path, authority: Authority) -> None:
    """One with each mistake, all at the same time; one that never ends its handshake."""
    far = NOW + 60 * DAY
    upstreams = {
        "good": TlsUpstream(authority.issue("localhost", until=far)),
        "soon": TlsUpstream(authority.issue("localhost", until=NOW + 3.5 * DAY)),
        "expired": TlsUpstream(authority.issue("localhost", until=NOW - DAY)),
        "named": TlsUpstream(authority.issue("other.test", until=far)),
        "mutual": TlsUpstream(authority.issue("localhost", until=far), client_authority=authority.file),
        "unknown": TlsUpstream(authority.issue("localhost", until=far)),
    }
    stalling = listen()
    urls = {name: f"https://localhost:{upstream.port}" for name, upstream in upstreams.items()}
    urls |= {"stalls": f"https://localhost:{stalling.getsockname()[1]}", "skipping": urls["unknown"]}
    services: dict[str, dict[str, object]] = {
        name: {"url": url, "connect_timeout_s": 2, "tls": {"ca_file": str(authority.file)}}
        for name, url in urls.items()
    }
    services["unknown"]["tls"] = {"ca_file": ""}
    services["skipping"]["tls"] = {"insecure_skip_verify": True}
    services["gone"] = {"url": f"http://localhost:{free_port()}"}
    services["lost"] = {"url": "http://no-such-name.invalid"}
    try:
        report = doctor(tmp_path, {"services": services})
    finally:
        stalling.close()
        for upstream in upstreams.values():
            upstream.stop()
    assert report.status == 1
    assert report.took_s < 20
    said = {name: report.about(f"{name}: ")[0] for name in services}
    expected = {
        "good": ("ok", "is good", ""),
        "soon": ("warning", "its certificate expires in 3 days", "renew"),
        "expired": ("problem", "it has expired", "renew it"),
        "named": ("problem", "its name does not match", "services.named.tls.server_name"),
        "mutual": ("problem", "certificate required", "services.mutual.tls.cert_file"),
        "unknown": ("problem", "no authority that is trusted", "services.unknown.tls.ca_file"),
        "stalls": ("problem", "handshake is not over within 2 s", "overloaded"),
        "skipping": ("ok", "not verified", ""),
        "gone": ("problem", "nobody listens there", "start the service"),
        "lost": ("problem", "the name no-such-name.invalid is not known", "services.lost.url"),
    }
    for name, (level, found, remedy) in expected.items():
        assert said[name][0] == level, said[name]
        assert found in said[name][1]
        assert remedy in said[name][2]
    assert "waiting for" in report.err


def test_a_dyno_is_told_the_rules_of_its_router(tmp_path: Path, server: RedisServer) -> None:
    report = doctor(tmp_path, {"server": {"keepalive_timeout_s": 75}}, DYNO="web.1", REDIS_URL=server.url)
    assert report.status == 1
    assert report.about("this is Heroku")
    assert report.not_ok("server.keepalive_timeout_s is 75")


def test_the_gateway_that_runs_here_and_what_it_runs(tmp_path: Path, server: RedisServer) -> None:
    environ = {"TMPDIR": str(tmp_path), "REDIS_URL": server.url}
    gateway = GatewayProcess(tmp_path / "gateway", "server_timing = true", environ=environ)
    try:
        file = str(tmp_path / "gateway/gateway.toml")
        report = doctor(tmp_path, FALCONGATE_CONFIG=file, **environ)
        assert "runs this configuration" in report.about(f"gateway {gateway.pid} ")[0][1]
        report = doctor(tmp_path, {"server_timing": False}, **environ)
        assert "falcongate reload" in report.not_ok(f"gateway {gateway.pid} ")[0][2]
    finally:
        gateway.stop()
