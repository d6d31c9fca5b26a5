"""Who the caller is, when proxies stand in between. 127.0.0.2 is a trusted proxy, 127.0.0.1 a stranger."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.support.world import Echo, Plan, Site, Visit, echoed

TARGET = "/api/honest/x"


def _through_proxy(world: Visit, *fields: tuple[str, str], target: str = TARGET) -> Echo:
    with world.caller(source="127.0.0.2") as proxy:
        return echoed(proxy.get(target, fields))


def test_a_stranger_s_claims_are_dropped(world: Visit) -> None:
    claims = [
        ("X-Forwarded-For", "10.1.1.1"),
        ("X-Forwarded-Host", "evil.test"),
        ("X-Forwarded-Proto", "https"),
        ("X-Forwarded-Port", "443"),
        ("X-Real-IP", "10.1.1.1"),
        ("Forwarded", "for=10.1.1.1"),
    ]
    echo = world.echo("GET", TARGET, claims)
    assert echo.get("X-Forwarded-For") == "127.0.0.1"
    assert echo.get("X-Forwarded-Host") == "gateway.test"
    assert echo.get("X-Forwarded-Proto") == "http"
    assert echo.get("X-Forwarded-Port") != "443"
    assert (echo.all("X-Real-IP"), echo.all("Forwarded")) == ([], [])


def test_a_trusted_proxy_is_believed_and_added(world: Visit) -> None:
    echo = _through_proxy(
        world, ("X-Forwarded-For", "192.0.2.7"), ("X-Forwarded-Proto", "https"),
        ("X-Forwarded-Host", "public.test"), ("X-Forwarded-Port", "443"),
    )  # fmt: skip
    assert echo.get("X-Forwarded-For") == "192.0.2.7, 127.0.0.2"
    assert echo.get("X-Forwarded-Proto") == "https"
    assert echo.get("X-Forwarded-Host") == "public.test"
    assert echo.get("X-Forwarded-Port") == "443"


def test_the_log_names_the_rightmost_address_that_is_not_trusted(world: Visit) -> None:
    echo = _through_proxy(world, ("X-Forwarded-For", "6.6.6.6, 192.0.2.9, 127.0.0.2"))
    request_id = echo.get("X-Request-ID")
    assert request_id is not None
    assert world.gateway.logged(request_id)["caller"] == "192.0.2.9"


@pytest.mark.parametrize("chain", ["6.6.6.6, nonsense", "nonsense", "1.2.3.4.5", "[::1", "_hidden"])
def test_an_address_that_cannot_be_read_is_not_walked_past(world: Visit, chain: str) -> None:
    echo = _through_proxy(world, ("X-Forwarded-For", chain))
    request_id = echo.get("X-Request-ID")
    assert request_id is not None
    assert world.gateway.logged(request_id)["caller"] == "127.0.0.2"


def test_repeated_headers_are_one_chain(world: Visit) -> None:
    echo = _through_proxy(world, ("X-Forwarded-For", "6.6.6.6"), ("x-forwarded-for", "192.0.2.9"))
    request_id = echo.get("X-Request-ID")
    assert request_id is not None
    assert world.gateway.logged(request_id)["caller"] == "192.0.2.9"
    assert ", ".join(echo.all("X-Forwarded-For")).replace(" ", "") == "6.6.6.6,192.0.2.9,127.0.0.2"


@pytest.mark.parametrize("proto", ["gopher", "https, http", "HTTPS://x", "ht tp"])
def test_a_scheme_that_is_none_is_not_passed_on(world: Visit, proto: str) -> None:
    assert _through_proxy(world, ("X-Forwarded-Proto", proto)).get("X-Forwarded-Proto") in ("http", "https")


def test_forwarded_has_one_meaning_with_x_forwarded_for(world: Visit) -> None:
    echo = _through_proxy(world, ("X-Forwarded-For", "2001:db8::1"), target="/api/rfc7239/x")
    assert 'for="[2001:db8::1]"' in (echo.get("Forwarded") or "")


class TestHops:
    """Two proxies stand in front, whatever their addresses."""

    @pytest.fixture
    def site(self, site_for: Callable[[Plan, str], Site], worker_kind: str) -> Site:
        return site_for(Plan("hops", {"server": {"trusted_hops": 2}}, 0), worker_kind)

    @pytest.mark.parametrize(
        ("chain", "client"),
        [
            ("6.6.6.6, 192.0.2.9, 10.0.0.1", "192.0.2.9"),
            ("192.0.2.9, 10.0.0.1", "192.0.2.9"),
        ],
    )
    def test_the_address_before_the_trusted_hops_is_the_caller(
        self, world: Visit, chain: str, client: str
    ) -> None:
        request_id = world.echo("GET", TARGET, [("X-Forwarded-For", chain)]).get("X-Request-ID")
        assert request_id is not None
        assert world.gateway.logged(request_id)["caller"] == client

    def test_the_host_is_the_callers_own(self, world: Visit) -> None:
        echo = world.echo("GET", TARGET, [("X-Forwarded-Host", "evil.test")])
        assert echo.get("X-Forwarded-Host") == "gateway.test"


@pytest.mark.parametrize("host", ["a b", "user@a.test", "a.test/x", "a.test:99999", 'a.test";x=1', "a.test#"])
def test_what_is_no_host_is_not_taken_for_one(world: Visit, host: str) -> None:
    assert _through_proxy(world, ("X-Forwarded-Host", host)).get("X-Forwarded-Host") == "gateway.test"
