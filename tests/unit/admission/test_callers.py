"""Whom a request is counted for."""

from __future__ import annotations

import pytest

from falcongate.admission.callers import address_key, reader_of
from falcongate.exchange import Caller
from tests.unit.making import make_exchange, make_match, make_route


@pytest.mark.parametrize(
    ("address", "key"),
    [
        ("192.0.2.1", "192.0.2.1"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("2001:DB8:1:2::", "2001:db8:1:2::/64"),
        ("2001:db8:1:3::", "2001:db8:1:3::/64"),
        ("::ffff:192.0.2.1", "192.0.2.1"),
        ("", "unix"),
        ("no address", "no address"),
    ],
)
def test_addresses_are_counted_as_those_who_have_them(address: str, key: str) -> None:
    assert address_key(address) == key


@pytest.mark.parametrize(
    ("key", "caller"),
    [
        (["caller_address"], "192.0.2.1"),
        (["service"], "hr"),
        (["route"], "/api/hr"),
        (["global"], "all"),
        (["header:X-Tenant"], "header:X-Tenant:acme%40corp"),
        (["claim:sub"], "claim:main:sub:u%2F7"),
        (["claim:level"], "claim:main:level:3"),
        (["service", "caller_address"], "hr@192.0.2.1"),
    ],
)
def test_each_part_of_a_key_is_read_from_the_request(key: list[str], caller: str) -> None:
    exchange = make_exchange("X-Tenant: acme@corp")
    exchange.route_match = make_match(make_route("hr"))
    exchange.caller = Caller("token", "u/7", "main", claims={"sub": "u/7", "level": 3})
    assert reader_of(key)(exchange) == caller


def test_what_two_issuers_call_the_same_is_not_counted_together() -> None:
    by_subject, keys = reader_of(["claim:sub"]), set()
    for caller in (
        Caller("token", "jane", "ours", claims={"sub": "jane"}),
        Caller("token", "jane", "theirs", claims={"sub": "jane"}),
        Caller("certificate", "jane", claims={"sub": "jane"}),
    ):
        exchange = make_exchange()
        exchange.caller = caller
        keys.add(by_subject(exchange))

    assert keys == {"claim:ours:sub:jane", "claim:theirs:sub:jane", "claim::sub:jane"}


@pytest.mark.parametrize("key", ["header:X-Tenant", "api_key", "claim:sub", "claim:roles"])
def test_who_lacks_what_is_counted_is_counted_by_its_address(key: str) -> None:
    exchange = make_exchange("X-Tenant:", "X-API-Key: ")
    exchange.caller = Caller("token", "", claims={"roles": ["a", "b"], "sub": ""})
    assert reader_of([key])(exchange) == "192.0.2.1"


def test_without_a_token_nobody_has_claims() -> None:
    assert reader_of(["claim:sub"])(make_exchange()) == "192.0.2.1"


@pytest.mark.parametrize(
    ("key", "header"),
    [
        ("api_key", "X-API-Key"),
        *(
            (f"header:{name}", name)
            for name in (
                "Authorization",
                "Cookie",
                "X-Credential",
                "jwt",
                "X-Bearer",
                "X-Signature",
                "X-OTP",
                "X-Pin",
                "X-Passphrase",
                "X-HMAC",
            )
        ),
    ],
)
def test_secrets_are_counted_by_their_digest(key: str, header: str) -> None:
    first = reader_of([key])(make_exchange(f"{header}: my-secret-1"))
    again = reader_of([key])(make_exchange(f"{header}: my-secret-1"))
    other = reader_of([key])(make_exchange(f"{header}: my-secret-2"))
    assert "secret" not in first
    assert first == again != other
    assert first.startswith(key)


def test_a_key_that_was_checked_is_counted_by_its_id_whatever_its_secret() -> None:
    read = reader_of(["api_key"])
    exchange = make_exchange("Authorization: Bearer fg_0123456789ab_secret")
    assert read(exchange) == "192.0.2.1"
    exchange.caller = Caller("api_key", "0123456789ab")
    assert read(exchange) == "api_key:0123456789ab"
    exchange.caller = Caller("token", "0123456789ab")
    assert read(exchange) == "192.0.2.1"


def test_no_caller_can_be_taken_for_another_by_what_it_sends() -> None:
    read = reader_of(["header:X-A", "header:X-B"])
    assert read(make_exchange("X-A: a@header:X-B:b")) != read(make_exchange("X-A: a", "X-B: b"))
