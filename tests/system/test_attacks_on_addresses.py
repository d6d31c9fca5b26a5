"""Who counts as whom when callers make up addresses: for limits, in the log, and for where a request goes."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.support.callers import request_bytes
from tests.support.world import Plan, Site, Visit

PLAN = Plan(
    "addresses", {"limits": {"each": {"rate": "3/h"}}, "server": {"trusted_proxies": ["127.0.0.9"]}}, 0
)
SPOOFS = [
    "X-Forwarded-For", "x-forwarded-for", "X_Forwarded_For", "X.Forwarded.For", "X-Real-IP", "X-Client-IP",
    "True-Client-IP", "CF-Connecting-IP", "Fastly-Client-IP", "X-Cluster-Client-IP", "X-Originating-IP",
    "X-Remote-Addr", "REMOTE-ADDR", "X-ProxyUser-Ip", "Client-IP", "Via",
]  # fmt: skip


@pytest.fixture
def site(site_for: Callable[[Plan, str], Site], worker_kind: str) -> Site:
    return site_for(PLAN, worker_kind)


def _statuses(world: Visit, source: str, fields: list[tuple[str, str]]) -> list[int]:
    with world.caller(source=source) as caller:
        return [caller.get("/api/honest/x", [field]).status for field in fields]


def _source() -> Callable[[], str]:
    numbers = iter(range(20, 250))
    return lambda: f"127.0.1.{next(numbers)}"


new_source = _source()
"""Each test's callers come from where nobody was counted before."""


@pytest.mark.parametrize("name", SPOOFS)
def test_a_made_up_address_is_no_way_around_a_limit(world: Visit, name: str) -> None:
    source = new_source()
    fields = [(name, f"192.0.2.{number}") for number in range(5)]
    assert _statuses(world, source, fields) == [200, 200, 200, 429, 429]


def test_nobody_uses_up_another_s_limit(world: Visit) -> None:
    attacker, victim = new_source(), new_source()
    spoofed = [("X-Forwarded-For", victim), ("Forwarded", f"for={victim}")] * 4
    assert _statuses(world, attacker, spoofed)[3:] == [429] * 5
    assert _statuses(world, victim, [("Accept", "*/*")] * 3) == [200] * 3


def test_behind_a_trusted_proxy_only_its_own_entry_counts(world: Visit) -> None:
    caller = new_source()
    fields = [("X-Forwarded-For", f"192.0.2.{number}, 127.0.0.1, {caller}") for number in range(5)]
    assert _statuses(world, "127.0.0.9", fields) == [200, 200, 200, 429, 429]


@pytest.mark.parametrize("name", SPOOFS)
def test_the_log_names_who_was_connected(world: Visit, name: str) -> None:
    source = new_source()
    with world.caller(source=source) as caller:
        request_id = caller.get("/api/honest/x", [(name, "6.6.6.6\u00e9")]).get("X-Request-ID")
    assert request_id is not None
    assert world.gateway.logged(request_id)["caller"] == source


@pytest.mark.parametrize(
    "host",
    [
        "169.254.169.254",
        "127.0.0.1:6379",
        "localhost",
        "metadata.google.internal",
        "[::1]",
        "0",
        "0x7f.1",
        "x.s0.test",
    ],
)
def test_no_host_leads_elsewhere_than_the_configuration(world: Visit, host: str) -> None:
    """Not in `Host`, and not in a target in absolute form."""
    begun = len(world.honest.begun)
    for target in ("/api/honest/x", f"http://{host}/api/honest/x"):
        with world.caller(source=new_source()) as caller:
            caller.send(request_bytes("GET", target, host=host))
            answer = caller.answer()
        assert answer.status == 200
        assert answer.json()["target"] == "/api/honest/x"
    assert len(world.honest.begun) == begun + 2
