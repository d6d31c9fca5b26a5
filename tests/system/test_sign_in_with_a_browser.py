"""Single sign-on as a user with a browser meets it: Chromium, a real provider, and a hostile page."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.sign_in import CHROMIUM, has_provider, operated, with_browser
from tests.support.world import Site

pytestmark = [
    pytest.mark.skipif(CHROMIUM is None, reason="chromium is not installed"),
    pytest.mark.skipif(not has_provider(), reason="npm cannot install oidc-provider and playwright-core"),
]


@pytest.fixture(scope="module")
def browsed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Site, str]]:
    """A gateway with a second port, where operators come with a browser, and where that is."""
    directory = tmp_path_factory.mktemp("browsed")
    with operated(directory, "browsed") as found:
        yield found


def test_an_operator_with_a_browser(browsed: tuple[Site, str], tmp_path: Path) -> None:
    """Chromium, with the provider on another site than the gateway, and a hostile page on a third."""
    seen = with_browser(tmp_path, browsed[1], "ada")
    assert (seen["sentTo"], seen["backAt"]) == ("localhost", "/admin/")
    assert "You are ada" in seen["page"]
    assert seen["cookie"] == {"httpOnly": True, "sameSite": "Lax", "path": "/"}
    assert seen["visibleToPages"] == ""
    assert (seen["changed"], seen["changedAsAForm"]) == (200, 403)
    assert (seen["status"]["state"], seen["status"]["why"]) == ("DISABLED", "by browser")
    assert seen["status"]["by"].startswith("ada")
    assert seen["formOfEvil"] in ("/problems/unauthorized", "/problems/forbidden")
    assert seen["statusAfterEvil"]["state"] == "DISABLED"
    assert "signed out" in seen["signedOut"]
    assert "falcongate_session" not in seen["cookiesLeft"]
    assert seen["afterwards"] == 401


def test_somebody_else_with_a_browser(browsed: tuple[Site, str], tmp_path: Path) -> None:
    seen = with_browser(tmp_path, browsed[1], "eve")
    assert seen["backAt"] == "/admin/callback"
    assert "not as somebody who operates" in seen["page"]
    assert "cookie" not in seen
