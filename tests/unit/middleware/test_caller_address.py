"""Whose request it is: what a trusted proxy says counts, and what anybody else says does not."""

from __future__ import annotations

import ipaddress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from falcongate.config.settings import ServerSettings
from falcongate.exchange import Exchange
from falcongate.middleware.caller_address import TrustedProxies
from tests.unit.making import make_exchange

PROXIES = ["10.0.0.0/8", "2001:db8:1::/48", "192.0.2.7"]
TRUSTED = ["10.0.0.1", "10.255.0.9", "2001:db8:1::5", "192.0.2.7", "::ffff:10.0.0.1"]
STRANGERS = ["203.0.113.9", "11.0.0.1", "192.0.2.8", "2001:db8:2::5", "::ffff:203.0.113.9"]
UNREADABLE = [
    "unknown",
    "",
    "10.0.0",
    "010.0.0.1",
    "10.0.0.1/8",
    "_x",
]
ENTRIES = st.sampled_from(TRUSTED + STRANGERS + UNREADABLE)


def identified(*lines: str, peer: str = "10.0.0.1", **settings: object) -> Exchange:
    """A request from `peer` after its caller was looked for."""
    exchange = make_exchange("Host: api.test", *lines, peer=peer)
    TrustedProxies(ServerSettings.model_validate(settings or {"trusted_proxies": PROXIES})).identify(exchange)
    return exchange


def expected_caller(peer: str, entries: list[str]) -> str:
    """The rule, said plainly: back from the peer, for as long as who speaks is trusted and readable."""
    caller = peer
    for entry in reversed(entries):
        if canonical(caller) not in map(canonical, TRUSTED) or entry in UNREADABLE:
            break
        caller = canonical(entry)
    return caller


def canonical(address: str) -> str:
    """Its one spelling; what IPv6 only carries is of IPv4."""
    ip = ipaddress.ip_address(address)
    return str(getattr(ip, "ipv4_mapped", None) or ip)


@given(
    st.sampled_from(TRUSTED + STRANGERS),
    st.lists(ENTRIES, min_size=1, max_size=5),
    st.sampled_from([",", ", ", " ,\t"]),
)
def test_the_caller_is_the_rightmost_address_that_no_trusted_proxy_has(
    peer: str, entries: list[str], comma: str
) -> None:
    line = f"X-Forwarded-For: {comma.join(entries)}"
    assert identified(line, peer=peer).caller_address == expected_caller(peer, entries)


@pytest.mark.parametrize(
    ("entry", "caller"),
    [
        ("203.0.113.9:4711", "203.0.113.9"),
        ("[2001:db8::9]:4711", "2001:db8::9"),
        ("[2001:db8::9]", "2001:db8::9"),
        ("fe80::1%eth0", TRUSTED[0]),
        ('fe80::1%a"b;c', TRUSTED[0]),
    ],
)
def test_a_port_is_left_out_and_a_zone_is_not_believed(entry: str, caller: str) -> None:
    assert identified(f"X-Forwarded-For: {entry}", peer=TRUSTED[0]).caller_address == canonical(caller)


def test_a_list_in_several_lines_is_one_list() -> None:
    exchange = identified("X-Forwarded-For: 203.0.113.9", "X-Forwarded-For: 10.0.0.2")
    assert exchange.caller_address == "203.0.113.9"


@pytest.mark.parametrize("peer", [*STRANGERS, "", "unix:"])
def test_nobody_else_is_believed(peer: str) -> None:
    exchange = identified(
        "X-Forwarded-For: 198.51.100.1", "X-Forwarded-Proto: https", "X-Forwarded-Host: evil", peer=peer
    )
    assert not exchange.is_from_trusted_proxy
    assert (exchange.caller_address, exchange.scheme, exchange.host) == (peer, "http", "api.test")


@pytest.mark.parametrize("peer", TRUSTED)
def test_a_trusted_proxy_is_believed_who_where_and_how(peer: str) -> None:
    exchange = identified(
        "X-Forwarded-For: 198.51.100.1",
        "X-Forwarded-Proto: https",
        "X-Forwarded-Host: www.test:81",
        peer=peer,
    )
    assert exchange.is_from_trusted_proxy
    assert exchange.peer_address == peer
    assert (exchange.caller_address, exchange.scheme, exchange.host) == (
        "198.51.100.1",
        "https",
        "www.test:81",
    )


def test_without_settings_nobody_is_believed() -> None:
    exchange = identified("X-Forwarded-For: 198.51.100.1", peer="127.0.0.1", trusted_proxies=[])
    assert not exchange.is_from_trusted_proxy
    assert exchange.caller_address == "127.0.0.1"


@pytest.mark.parametrize(
    ("hops", "entries", "caller"),
    [
        (1, "203.0.113.9", "203.0.113.9"),
        (1, "198.51.100.1, 203.0.113.9", "203.0.113.9"),
        (2, "198.51.100.1, 203.0.113.9", "198.51.100.1"),
        (2, "evil, 198.51.100.1, 203.0.113.9", "198.51.100.1"),
        (2, "203.0.113.9", "203.0.113.9"),
        (2, "198.51.100.1, unknown", "192.0.2.99"),
        (2, "unknown, 203.0.113.9", "203.0.113.9"),
        (16, "", "192.0.2.99"),
    ],
)
def test_so_many_hops_are_believed_whoever_they_are(hops: int, entries: str, caller: str) -> None:
    exchange = identified(f"X-Forwarded-For: {entries}", peer="192.0.2.99", trusted_hops=hops)
    assert exchange.is_from_trusted_proxy
    assert exchange.caller_address == caller


@pytest.mark.parametrize(
    ("said", "scheme"),
    [
        ("https", "https"),
        ("HTTPS", "https"),
        ("http, https", "https"),
        ("https, http", "http"),
        ("https,", "http"),
        ("ws", "http"),
        ("javascript", "http"),
        ("", "http"),
    ],
)
def test_the_scheme_is_what_the_nearest_proxy_said_if_it_is_one(said: str, scheme: str) -> None:
    assert identified(f"X-Forwarded-Proto: {said}").scheme == scheme


@pytest.mark.parametrize(
    ("said", "host"),
    [
        ("www.test", "www.test"),
        ("evil.test, www.test:81", "www.test:81"),
        ("", "api.test"),
        ("x,", "api.test"),
    ],
)
def test_the_host_is_what_the_nearest_proxy_said_if_it_said_one(said: str, host: str) -> None:
    assert identified(f"X-Forwarded-Host: {said}").host == host


@pytest.mark.parametrize("said", ["a;for=192.0.2.66", 'a"b', "a b", "user@a", "a/b", "a:99999"])
def test_what_is_no_host_is_not_taken_for_one(said: str) -> None:
    assert identified(f"X-Forwarded-Host: {said}").host == "api.test"


def test_proxies_of_which_only_the_number_is_known_do_not_say_which_host_it_was() -> None:
    exchange = identified("X-Forwarded-Host: evil.test", "X-Forwarded-Proto: https", trusted_hops=1)
    assert (exchange.host, exchange.scheme) == ("api.test", "https")


def test_a_peer_is_judged_the_same_each_time() -> None:
    proxies = TrustedProxies(ServerSettings(trusted_proxies=("10.0.0.0/8",)))
    for _ in range(2):
        for peer, is_trusted in (("10.1.2.3", True), ("11.1.2.3", False)):
            exchange = make_exchange(peer=peer)
            proxies.identify(exchange)
            assert exchange.is_from_trusted_proxy is is_trusted
