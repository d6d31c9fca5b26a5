"""Which paths are the gateway's own."""

import pytest

from falcongate.config.own_paths import (
    OWN_PATHS,
    SIGN_IN_PATHS,
    For,
    is_below_own,
    is_of_operators,
    is_own_path,
)


@pytest.mark.parametrize("template", OWN_PATHS)
@pytest.mark.parametrize("slash", ["", "/"])
def test_every_template_is_its_own_path(template: str, slash: str) -> None:
    path = template.replace("{rest:path}", "a/b").replace("{request_id:path}", "a/b")
    path = path.replace("{service}", "hr").replace("{name}", "hr@host:1") + slash
    assert is_own_path(path, can_sign_in=True)
    assert is_own_path(path, can_sign_in=False) == (template not in SIGN_IN_PATHS)
    assert is_below_own(path)
    assert is_of_operators(path) == (OWN_PATHS[template] is not For.CALLERS)


@pytest.mark.parametrize(
    "path", ["/", "/healthy", "/health/x", "/ws", "/ws/", "/metrics/x", "/admin/x", "/x/admin"]
)
def test_what_only_looks_like_one_is_none(path: str) -> None:
    assert not is_own_path(path, can_sign_in=True)


@pytest.mark.parametrize("path", ["/", "/api/hr", "/healthy", "/wsx/a", "//admin", "/administration"])
def test_services_may_have_what_is_below_none(path: str) -> None:
    assert not is_below_own(path)
    assert not is_of_operators(path)
