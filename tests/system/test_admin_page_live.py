"""The page for operators at a real gateway: signed in, live, with an order and what comes of it."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.admin_page.visits import has_browser, operate
from tests.support.sign_in import CHROMIUM, has_provider, operated

pytestmark = [
    pytest.mark.skipif(CHROMIUM is None, reason="chromium is not installed"),
    pytest.mark.skipif(
        not has_provider() or not has_browser(),
        reason="npm cannot install oidc-provider, playwright-core and axe-core",
    ),
]


def test_an_operator_sees_what_an_order_does_and_why(tmp_path: Path) -> None:
    """An operator signs in, takes a service out, is shown the refusal of a caller, and puts it back."""
    with operated(tmp_path, "operated") as (site, url):
        callers = "http://{}:{}".format(*site.gateway.address)
        seen = operate(tmp_path / "profile", url, callers)
    assert "You are ada" in seen["you"]
    assert "Sign out" in seen["you"]
    assert seen["before"] == "closed"
    assert "this one" in seen["hosts"]
    assert seen["told"].startswith("Done: it is disabled")
    assert seen["after"] == "disabled"
    assert "database is moved" in seen["about"]
    assert seen["trouble"] == "honest: breaker disabled"
    assert seen["refusedWith"] == 503
    assert "service-disabled" in seen["refusal"]
    assert "service-disabled" in seen["why"]
    assert seen["enabled"].startswith("Done: it is closed")
    assert (seen["faults"], seen["elsewhere"]) == ([], [])
