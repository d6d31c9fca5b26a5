"""Which limits apply to a request."""

from __future__ import annotations

import pytest

from falcongate.admission.policies import Applied, limits_of
from falcongate.config.settings import GatewaySettings
from tests.unit.making import make_exchange, make_match, make_route


def applying(limit: dict[str, object], service: str, method: str, path: str) -> bool:
    """Whether this one limit applies."""
    settings = GatewaySettings.model_validate({"limits": {"it": {"rate": "1/s", **limit}}})
    return [policy.name for policy in limits_of(settings).applying(service, method, path)] == ["it"]


@pytest.mark.parametrize(
    ("limit", "applies"),
    [
        ({}, True),
        ({"services": ["hr"]}, True),
        ({"services": ["lms"]}, False),
        ({"methods": ["POST", "GET"]}, True),
        ({"methods": ["POST"]}, False),
        ({"paths": ["/api/**"]}, True),
        ({"paths": ["/api/*/x"]}, True),
        ({"paths": ["/api/hr"]}, False),
        ({"paths": ["/api/**"], "methods": ["GET"], "services": ["hr"]}, True),
        ({"paths": ["/api/**"], "methods": ["GET"], "services": ["lms"]}, False),
    ],
)
def test_a_limit_is_for_all_that_it_does_not_exclude(limit: dict[str, object], *, applies: bool) -> None:
    assert applying(limit, "hr", "GET", "/api/hr/x") is applies


def test_what_is_the_gateways_own_is_limited_where_its_path_is_named_only() -> None:
    assert not applying({}, "", "POST", "/circuit-breaker/reset/hr")
    assert applying({"paths": ["/circuit-breaker/**"]}, "", "POST", "/circuit-breaker/reset/hr")
    assert not applying({"paths": ["/api/**"]}, "", "POST", "/circuit-breaker/reset/hr")


def test_one_policy_may_have_several_windows_and_all_are_charged_its_cost() -> None:
    limit = {"rate": ["10/s", "1000/h"], "cost": 3, "burst": 5, "buckets": 6}
    policies = limits_of(GatewaySettings.model_validate({"limits": {"it": limit}}))
    (policy,) = policies.applying("hr", "GET", "/")
    assert [(window.limit, window.length_s, window.burst) for window in policy.windows] == [
        (10, 1, 5),
        (1_000, 3_600, 5),
    ]
    assert {window.buckets for window in policy.windows} == {6}
    assert policy.cost == 3


def test_paths_that_callers_invent_are_not_remembered_for_ever() -> None:
    settings = GatewaySettings.model_validate({"limits": {"it": {"rate": "1/s"}}})
    policies = limits_of(settings)

    def applied(path: str) -> object:
        exchange = make_exchange(path=path)
        exchange.route_match = make_match(make_route())
        return policies.for_request(exchange)

    applied("/" + "x" * 300)
    assert len(policies._known) == 0  # noqa: SLF001
    assert len({id(applied(f"/{number}")) for number in range(20_000)}) == 1
    assert len(policies._known) < 10_000  # noqa: SLF001


def test_callers_are_not_remembered_for_ever_either() -> None:
    settings = GatewaySettings.model_validate({"limits": {"it": {"rate": "1/s", "key": "header:X-Name"}}})
    (policy,) = limits_of(settings).applying("hr", "GET", "/")
    applied = Applied((policy,))
    first = applied.charges(make_exchange("X-Name: first"))
    assert applied.charges(make_exchange("X-Name: first")) is first
    for number in range(4_000):
        applied.charges(make_exchange(f"X-Name: {number}"))
    assert applied.charges(make_exchange("X-Name: first")) is not first
    (long,) = applied.charges(make_exchange(f"X-Name: {'x' * 8_000}"))
    assert len(long.caller) < 100
