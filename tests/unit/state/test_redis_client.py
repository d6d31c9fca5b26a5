"""How the addresses of an operator become connections; nothing is connected to here."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError
from redis.connection import Connection, SSLConnection, UnixDomainSocketConnection
from redis.crc import key_slot
from redis.sentinel import SentinelManagedConnection, SentinelManagedSSLConnection

from falcongate.config.redis import RedisSettings
from falcongate.state.redis_client import Node, one_server, slot_of


def node_of(url: str, **settings: object) -> Node:
    return one_server(RedisSettings.model_validate({"url": url, **settings}))


def made_by(node: Node) -> tuple[Any, dict[str, Any]]:
    """The class of a node's connections and what they are made with."""
    return node.pool.connection_class, node.pool.connection_kwargs


@pytest.mark.parametrize(
    ("url", "kind", "expected"),
    [
        ("redis://h:7000/3", Connection, {"host": "h", "port": 7000, "db": 3}),
        ("redis://me:p%40ss@h", Connection, {"username": "me", "password": "p@ss"}),
        ("rediss://h:7000", SSLConnection, {"host": "h"}),
        ("rediss://h?ssl_cert_reqs=none", SSLConnection, {"ssl_cert_reqs": "none"}),
        ("unix:///run/r.sock?db=2", UnixDomainSocketConnection, {"path": "/run/r.sock", "db": 2}),
    ],
)
def test_an_address_says_how_to_connect(url: str, kind: type, expected: dict[str, Any]) -> None:
    connection_class, options = made_by(node_of(url))

    assert connection_class is kind
    assert options.items() >= expected.items()


@pytest.mark.parametrize(
    "url", ["redis://h", "rediss://h", "unix:///s", "redis+sentinel://h/s", "rediss+sentinel://h/s"]
)
def test_nothing_is_tried_again_and_nothing_comes_unasked(url: str) -> None:
    _, options = made_by(node_of(url))

    assert options["retry"].get_retries() == 0
    assert options["protocol"] == 2
    assert options["socket_timeout"] < 1
    assert options["socket_connect_timeout"] < 1


def test_certificates_are_checked_unless_an_operator_says_otherwise() -> None:
    strict = made_by(node_of("rediss://h", ca_file="/ca.pem"))[1]
    assert strict["ssl_ca_certs"] == "/ca.pem"
    assert "ssl_cert_reqs" not in strict
    relaxed = made_by(node_of("rediss://h", insecure_skip_verify=True))[1]
    assert relaxed["ssl_cert_reqs"] == "none"
    assert relaxed["ssl_check_hostname"] is False


def test_the_check_of_certificates_is_nothing_to_a_plain_address() -> None:
    connection_class, options = made_by(node_of("redis://h", insecure_skip_verify=True))
    connection_class(**options)


def test_sentinel_is_asked_for_the_service() -> None:
    node = node_of("redis+sentinel://me:secret@a:1,[::1]:2,c/shared/4", sentinel_password="other")  # noqa: S106
    connection_class, options = made_by(node)
    pool: Any = node.pool
    asked = [sentinel.connection_pool.connection_kwargs for sentinel in pool.sentinel_manager.sentinels]

    assert connection_class is SentinelManagedConnection
    assert (options["username"], options["password"], options["db"]) == ("me", "secret", 4)
    assert [(one["host"], one["port"]) for one in asked] == [("a", 1), ("::1", 2), ("c", 26379)]
    assert pool.service_name == "shared"
    for one in asked:
        assert one["password"] == "other"  # noqa: S105
        assert one["username"] is None
        assert one["retry"].get_retries() == 0
        assert one["socket_timeout"] < 1


def test_sentinel_and_its_servers_speak_tls_together() -> None:
    node = node_of("rediss+sentinel://a/shared", ca_file="/ca.pem", insecure_skip_verify=True)
    connection_class, options = made_by(node)
    pool: Any = node.pool
    asked = pool.sentinel_manager.sentinels[0].connection_pool

    assert connection_class is SentinelManagedSSLConnection
    assert asked.connection_class is SSLConnection
    for made_with in (options, asked.connection_kwargs):
        assert made_with["ssl_ca_certs"] == "/ca.pem"
        assert made_with["ssl_cert_reqs"] == "none"


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("redis://me:secret@h", "h:6379"),
        ("redis://:secret@h:7000/1", "h:7000"),
        ("unix://:secret@/run/r.sock?db=1", "/run/r.sock"),
        ("redis+sentinel://:secret@a:1/shared", "shared of Sentinel"),
    ],
)
def test_what_the_log_shows_of_an_address_is_no_secret(url: str, shown: str) -> None:
    assert node_of(url).name == shown


@pytest.mark.parametrize("url", ["unix:///run/r.sock", "redis+sentinel://a/shared"])
def test_a_cluster_is_reached_by_network(url: str) -> None:
    with pytest.raises(ValidationError, match="cluster needs"):
        RedisSettings.model_validate({"url": url, "cluster": True})


@pytest.mark.parametrize("key", ["plain", "{tag}:rest", "a{tag}b", "{}whole", "\u00fcber"])
def test_a_slot_is_the_clusters(key: str) -> None:
    assert slot_of(key) == key_slot(key.encode())
    assert slot_of("{tag}:rest") == slot_of("a{tag}b") == slot_of("tag")
