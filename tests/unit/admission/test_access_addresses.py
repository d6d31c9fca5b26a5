"""From where callers may come."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from falcongate.admission.access import Access, Rule
from falcongate.config.access import AccessSettings
from falcongate.config.settings import GatewaySettings, ServerSettings
from falcongate.denials import AddressNotAllowed, Unauthorized
from falcongate.exchange import Caller, Exchange
from falcongate.middleware.caller_address import TrustedProxies
from falcongate.outages import CredentialsUnknown
from tests.unit.making import make_exchange, make_match, make_route

UNIX = ""


def passes(address: str, **lists: list[str]) -> bool:
    """Whether a rule with these lists lets somebody pass who comes from there."""
    rule = Rule("it", AccessSettings.model_validate(lists))
    try:
        rule.check_address(address)
    except AddressNotAllowed:
        return False
    return True


@pytest.mark.parametrize(
    ("address", "is_allowed"),
    [
        ("10.1.2.3", True),
        ("11.0.0.1", False),
        ("192.0.2.7", True),
        ("192.0.2.8", False),
        ("::ffff:10.1.2.3", True),
        ("::ffff:11.0.0.1", False),
        ("2001:db8::1", True),
        ("2001:DB8:0:0::FFFF", True),
        ("2001:db9::1", False),
        ("198.51.100.9", True),
        ("::ffff:198.51.100.9", True),
        ("fe80::1%eth0", False),
        (UNIX, False),
        ("no address", False),
        ("10.1.2.3, 10.1.2.3", False),
    ],
)
def test_only_who_comes_from_an_allowed_network_passes(address: str, *, is_allowed: bool) -> None:
    allow = ["10.0.0.0/8", "192.0.2.7", "2001:db8::/32", "::ffff:198.51.100.0/120"]
    assert passes(address, allow=allow) is is_allowed


@pytest.mark.parametrize(
    ("address", "is_allowed"),
    [
        ("10.1.2.3", False),
        ("::ffff:10.1.2.3", False),
        ("::ffff:a01:203", False),
        ("11.0.0.1", True),
        ("2001:db8::1", False),
        ("198.51.100.9", False),
        (UNIX, True),
    ],
)
def test_who_comes_from_a_denied_network_does_not(address: str, *, is_allowed: bool) -> None:
    assert passes(address, deny=["10.0.0.0/8", "2001:db8::/32", "::ffff:198.51.100.9"]) is is_allowed


def test_what_is_denied_is_taken_out_of_what_is_allowed() -> None:
    lists = {"allow": ["10.0.0.0/8"], "deny": ["10.9.0.0/16"]}
    assert passes("10.8.0.1", **lists)
    assert not passes("10.9.0.1", **lists)
    assert not passes("11.0.0.1", **lists)


def test_all_of_ipv6_may_be_named_without_meaning_ipv4() -> None:
    assert passes("2001:db8::1", allow=["::/0"])
    assert not passes("192.0.2.1", allow=["::/0"])
    assert passes("2001:db8::1", deny=["0.0.0.0/0"])


def ask(
    rules: dict[str, object],
    *lines: str,
    peer: str = "192.0.2.1",
    proxies: tuple[str, ...] = (),
    service: str = "hr",
    credentials: object = None,
) -> Exchange:
    """A request that passed these rules; raises what it is refused with."""
    settings = GatewaySettings.model_validate({"access": rules})
    exchange = make_exchange(*lines, peer=peer, path=f"/api/{service}/x")
    TrustedProxies(ServerSettings(trusted_proxies=proxies)).identify(exchange)
    exchange.route_match = make_match(make_route(service))
    made = [SimpleNamespace(kind="api_key", find=credentials)] if credentials else []
    Access(settings, made).admit(exchange)  # type: ignore[arg-type]
    return exchange


INSIDE: dict[str, object] = {"inside": {"allow": ["10.0.0.0/8"], "services": ["hr"]}}


def test_what_callers_say_of_their_address_counts_for_nothing() -> None:
    for line in ("X-Forwarded-For: 10.0.0.1", "Forwarded: for=10.0.0.1", "X-Real-IP: 10.0.0.1"):
        with pytest.raises(AddressNotAllowed):
            ask(INSIDE, line)


def test_behind_a_trusted_proxy_the_caller_s_address_counts_and_not_the_proxy_s() -> None:
    proxies = ("10.0.0.250",)
    assert ask(INSIDE, "X-Forwarded-For: 10.0.0.1", peer="10.0.0.250", proxies=proxies)
    for said in ("198.51.100.1", "10.0.0.1, 198.51.100.1"):
        with pytest.raises(AddressNotAllowed):
            ask(INSIDE, f"X-Forwarded-For: {said}", peer="10.0.0.250", proxies=proxies)


def test_a_rule_is_for_its_services_alone() -> None:
    assert ask(INSIDE, service="lms")
    with pytest.raises(AddressNotAllowed):
        ask(INSIDE)


def test_all_rules_that_apply_must_let_it_pass() -> None:
    rules = {**INSIDE, "not-there": {"deny": ["10.7.0.0/16"]}}
    assert ask(rules, peer="10.6.0.1")
    with pytest.raises(AddressNotAllowed):
        ask(rules, peer="10.7.0.1")


def test_the_refusal_names_the_rule_to_the_operator() -> None:
    settings = GatewaySettings.model_validate({"access": INSIDE})
    exchange = make_exchange(path="/api/hr/x")
    exchange.route_match = make_match(make_route("hr"))
    with pytest.raises(AddressNotAllowed) as refused:
        Access(settings, ()).admit(exchange)

    assert (refused.value.status, exchange.refused_by) == (403, ("inside",))
    assert "inside" not in str(refused.value)


def test_a_rule_that_only_watches_tells_whom_it_would_have_refused() -> None:
    rules = {"watched": {"allow": ["10.0.0.0/8"], "mode": "shadow"}}

    assert ask(rules).would_refuse == ("watched",)
    assert ask(rules, peer="10.0.0.1").would_refuse == ()


def test_public_paths_have_addresses_all_the_same() -> None:
    settings = GatewaySettings.model_validate({"access": {"it": {"deny": ["192.0.2.0/24"]}}})
    exchange = make_exchange(path="/api/hr/x")
    exchange.route_match = make_match(make_route("hr"), is_public=True)

    with pytest.raises(AddressNotAllowed):
        Access(settings, ()).admit(exchange)


def unknown(_: Exchange) -> Caller | None:
    raise CredentialsUnknown(retry_after_s=1)


def test_what_cannot_be_checked_is_refused_where_a_rule_enforces() -> None:
    with pytest.raises(CredentialsUnknown):
        ask({"it": {"identity": "optional"}}, credentials=unknown)
    watched = ask({"it": {"identity": "required", "mode": "shadow"}}, credentials=unknown)

    assert watched.would_refuse == ("it",)


def test_who_comes_from_elsewhere_is_not_asked_who_it_is() -> None:
    def fail(_: Exchange) -> Caller | None:
        raise AssertionError("nobody may be asked")

    with pytest.raises(AddressNotAllowed):
        ask({"it": {"identity": "required", "allow": ["10.0.0.0/8"]}}, credentials=fail)


def test_a_credential_of_a_kind_that_no_rule_accepts_is_not_looked_at() -> None:
    def fail(_: Exchange) -> Caller | None:
        raise AssertionError("it may be meant for the service")

    with pytest.raises(Unauthorized) as refused:
        ask({"it": {"identity": "required", "accept": ["token"]}}, credentials=fail)
    assert refused.value.why == ""
    assert ask({"it": {"identity": "optional", "accept": ["token"]}}, credentials=fail).caller is None


def test_where_rules_accept_different_kinds_that_of_all_is_taken() -> None:
    rules = {
        "wide": {"identity": "required", "accept": ["token", "api_key"]},
        "narrow": {"identity": "required", "accept": ["api_key"]},
    }
    settings = GatewaySettings.model_validate({"access": rules})
    exchange = make_exchange(path="/api/hr/x")
    exchange.route_match = make_match(make_route("hr"))
    both = [
        SimpleNamespace(kind=kind, find=lambda _, kind=kind: Caller(kind, "it"))
        for kind in ("token", "api_key")
    ]
    Access(settings, both).admit(exchange)  # type: ignore[arg-type]

    assert exchange.caller is not None
    assert (exchange.caller.kind, exchange.would_refuse) == ("api_key", ())


def test_what_is_only_watched_decides_nothing() -> None:
    rules = {
        "watched": {"identity": "required", "accept": ["token"], "mode": "shadow"},
        "enforced": {"identity": "required", "accept": ["token", "api_key"]},
    }
    exchange = make_exchange(path="/api/hr/x")
    exchange.route_match = make_match(make_route("hr"))
    kinds = [
        SimpleNamespace(kind="token", find=_not_valid),
        SimpleNamespace(kind="api_key", find=lambda _: Caller("api_key", "it")),
    ]
    Access(GatewaySettings.model_validate({"access": rules}), kinds).admit(exchange)  # type: ignore[arg-type]

    assert exchange.caller is not None
    assert (exchange.caller.kind, exchange.would_refuse) == ("api_key", ("watched",))


def _not_valid(_: Exchange) -> Caller | None:
    raise Unauthorized("it is not valid")


@pytest.mark.parametrize(
    "path",
    ["/api/hr/admin/x", "/api/hr//admin/x", "/api/hr/admin;v=1/x", "/api/hr/admin /x", "/api/hr/admin./x",
     "/api//hr/admin;a=b;c///x"],
)  # fmt: skip
def test_a_rule_of_a_path_holds_for_all_that_a_service_may_take_for_it(path: str) -> None:
    settings = GatewaySettings.model_validate(
        {"access": {"staff": {"deny": ["192.0.2.0/24"], "paths": ["/api/hr/admin/**"]}}}
    )
    exchange = make_exchange(path=path)
    exchange.route_match = make_match(make_route("hr"))

    with pytest.raises(AddressNotAllowed):
        Access(settings, ()).admit(exchange)
