"""Addresses as they are compared with networks."""

import pytest

from falcongate.wire.address import address_of, network_of


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("192.0.2.1", "192.0.2.1"),
        ("::ffff:192.0.2.1", "192.0.2.1"),
        ("2001:DB8::1", "2001:db8::1"),
        ("", "None"),
        ("unix", "None"),
        ("192.0.2.1:80", "None"),
    ],
)
def test_an_address_of_ipv4_is_one_however_it_came(text: str, address: str) -> None:
    assert str(address_of(text)) == address


@pytest.mark.parametrize(
    ("text", "network"),
    [
        ("10.0.0.0/8", "10.0.0.0/8"),
        ("::ffff:10.0.0.0/104", "10.0.0.0/8"),
        ("::ffff:10.0.0.1", "10.0.0.1/32"),
        ("::fffe:0:0/95", "::fffe:0:0/95"),
        ("2001:db8::/32", "2001:db8::/32"),
    ],
)
def test_so_is_a_network(text: str, network: str) -> None:
    assert str(network_of(text)) == network
