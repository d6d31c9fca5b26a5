"""From which address one may look and change: peers, proxies, pages in browsers."""

from __future__ import annotations

import pytest

from tests.unit.resources.policies import operators, rights


@pytest.mark.parametrize(
    ("peer", "may"),
    [
        ("127.0.0.1", "read change"), ("127.8.8.8", "read change"), ("::1", "read change"),
        ("::ffff:127.0.0.1", "read change"),
        ("10.1.2.3", "read"), ("172.31.0.1", "read"), ("192.168.7.7", "read"), ("fd00::1", "read"),
        ("fe80::1", "read"), ("::ffff:10.0.0.1", "read"),
        ("192.0.2.1", ""), ("172.32.0.1", ""), ("2001:db8::1", ""), ("::ffff:192.0.2.1", ""), ("", ""),
        ("169.254.169.254", ""), ("100.64.0.1", ""), ("0.0.0.0", ""),  # noqa: S104  # a peer
    ],
)  # fmt: skip
def test_by_default_private_addresses_look_and_loopback_changes(peer: str, may: str) -> None:
    assert rights(operators(), peer=peer) == may


def test_a_network_of_ipv4_may_be_written_as_ipv6_carries_it() -> None:
    made = operators(read_from=["::ffff:192.0.2.0/120"], change_from=[])
    assert rights(made, peer="192.0.2.9") == "read"
    assert rights(made, peer="::ffff:192.0.2.9") == "read"
    assert rights(made, peer="198.51.100.9") == ""


@pytest.mark.parametrize("peer", ["127.0.0.1", "10.1.2.3"])
@pytest.mark.parametrize(
    "line",
    [
        "X-Forwarded-For: 127.0.0.1", "X-Forwarded-For: ", "X-Forwarded-Proto: https", "X-Forwarded-Port: 80",
        "X-Forwarded-Host: localhost", "X-Forwarded-Anything: 1", "Forwarded: for=127.0.0.1", "Via: 1.1 a",
        "X-Real-IP: 127.0.0.1", "X-Envoy-External-Address: 127.0.0.1", "CF-Connecting-IP: 127.0.0.1",
        "True-Client-IP: 127.0.0.1", "X-Client-IP: 10.0.0.1", "x-forwarded-for: 127.0.0.1",
        "Origin: http://localhost:5173", "Origin: null", "Origin: https://ops.example.com",
        "Sec-Fetch-Site: cross-site", "Sec-Fetch-Site: same-site",
    ],
)  # fmt: skip
def test_who_comes_through_an_undeclared_proxy_or_from_a_page_comes_from_outside(
    peer: str, line: str
) -> None:
    assert rights(operators(), line, peer=peer) == ""


@pytest.mark.parametrize(
    ("peer", "lines", "may"),
    [
        ("10.0.0.1", ["X-Forwarded-For: 192.168.1.1"], "read"),
        ("10.0.0.1", ["X-Forwarded-For: 192.168.1.1", "Via: 1.1 lb", "X-Forwarded-Proto: https"], "read"),
        ("10.0.0.1", ["X-Forwarded-For: 192.168.1.1, 10.0.0.9"], "read"),
        ("10.0.0.1", ["X-Forwarded-For: 203.0.113.1"], ""),
        ("10.0.0.1", ["X-Forwarded-For: 192.168.1.1, 203.0.113.1"], ""),
        # The proxy at 172.16.0.1 is not declared, so whom it speaks for is not known.
        ("10.0.0.1", ["X-Forwarded-For: 192.168.1.1, 172.16.0.1"], ""),
        # A declared proxy that says nothing, nothing readable, or names a proxy.
        ("10.0.0.1", [], ""),
        ("10.0.0.1", ["X-Forwarded-For: "], ""),
        ("10.0.0.1", ["X-Forwarded-For: unknown"], ""),
        ("10.0.0.1", ["X-Forwarded-For: unknown, 10.0.0.9"], ""),
        ("10.0.0.1", ["X-Forwarded-For: 10.0.0.9"], ""),
        ("10.0.0.1", ["X-Real-IP: 192.168.1.1"], ""),
        ("10.0.0.1", ["Forwarded: for=192.168.1.1"], ""),
        # Who is at the proxy's machine is not at ours.
        ("10.0.0.1", ["X-Forwarded-For: 127.0.0.1"], ""),
        ("10.0.0.1", ["X-Forwarded-For: ::1"], ""),
        ("10.0.0.1", ["X-Forwarded-For: ::ffff:127.0.0.1"], ""),
        # Others are who they are.
        ("127.0.0.1", [], "read change"),
        ("127.0.0.1", ["X-Forwarded-For: 127.0.0.1"], ""),
        ("192.168.1.1", [], "read"),
        ("192.0.2.1", ["X-Forwarded-For: 192.168.1.1"], ""),
    ],
)
def test_behind_declared_proxies_it_is_the_caller_s_address(peer: str, lines: list[str], may: str) -> None:
    policy = operators(server={"trusted_proxies": ["10.0.0.0/8"]})

    assert rights(policy, *lines, peer=peer) == may


@pytest.mark.parametrize(
    ("hops", "lines", "may"),
    [
        (1, ["X-Forwarded-For: 192.168.1.1"], "read"),
        (1, ["X-Forwarded-For: 203.0.113.1"], ""),
        (1, [], ""),
        (1, ["X-Forwarded-For: 127.0.0.1"], ""),
        (1, ["X-Forwarded-For: 127.0.0.1, 192.168.1.1"], ""),
        (2, ["X-Forwarded-For: 192.168.1.1, 203.0.113.9"], "read"),
        (2, ["X-Forwarded-For: 192.168.1.1, unknown"], ""),
        (2, ["X-Forwarded-For: 192.168.1.1"], ""),
        (2, ["X-Forwarded-For: 1.1.1.1, 192.168.1.1, 203.0.113.9"], ""),
    ],
)
def test_behind_so_many_hops_nobody_is_local(hops: int, lines: list[str], may: str) -> None:
    for peer in ("127.0.0.1", "10.0.0.1"):
        assert rights(operators(server={"trusted_hops": hops}), *lines, peer=peer) == may


def test_a_proxy_on_this_machine_is_a_proxy_once_it_is_declared() -> None:
    policy = operators(server={"trusted_proxies": ["127.0.0.1"]})

    assert rights(policy) == ""
    assert rights(policy, "X-Forwarded-For: 192.168.1.1") == "read"
    assert rights(policy, peer="127.0.0.2") == "read change"


@pytest.mark.parametrize(
    ("host", "peer", "lines", "may"),
    [
        ("localhost:8000", "127.0.0.1", [], "read change"),
        ("127.0.0.1:8000", "127.0.0.1", [], "read change"),
        ("[::1]:8000", "::1", [], "read change"),
        ("gateway", "127.0.0.1", [], "read change"),
        ("gateway.internal", "127.0.0.1", [], "read change"),
        ("ops.example.com", "127.0.0.1", [], "read change"),
        ("OPS.example.com", "127.0.0.1", [], "read change"),
        ("rebound.example", "127.0.0.1", [], ""),
        ("localhost.evil.example", "127.0.0.1", [], ""),
        ("127.0.0.1.evil.example", "127.0.0.1", [], ""),
        ("", "127.0.0.1", [], ""),
        # A program in a private network may know the gateway by any name, a browser not.
        ("gw.example.com", "10.1.1.1", [], "read"),
        ("gw.example.com", "10.1.1.1", ["Accept-Language: en"], ""),
        ("10.0.0.5:8000", "10.1.1.1", ["Accept-Language: en"], "read"),
    ],
)
def test_a_name_that_a_stranger_can_own_gives_no_rights_to_a_browser(
    host: str, peer: str, lines: list[str], may: str
) -> None:
    assert rights(operators(), *lines, peer=peer, host=host) == may


def test_both_addresses_are_the_operator_s_to_say() -> None:
    policy = operators(read_from=["192.0.2.0/24"], change_from=["198.51.100.7"])

    assert rights(policy, peer="192.0.2.9") == "read"
    assert rights(policy, peer="198.51.100.7") == "change"
    assert rights(policy, peer="127.0.0.1") == ""
    assert rights(operators(read_from=[], change_from=[]), peer="127.0.0.1") == ""
