"""Sessions in sealed cookies: who can open them, and until when."""

from __future__ import annotations

from typing import Any

import pytest

from falcongate.config.admin import SignInSettings
from falcongate.resources import operator_sessions
from falcongate.resources.operator_sessions import OperatorSessions, Seal

SETTINGS = SignInSettings.model_validate(
    {
        "issuer": "https://login.example.com",
        "client_id": "gateway",
        "client_secret": "a-secret-of-this-test",
        "claims": {"groups": "operators"},
        "session_s": 60,
    }
)


def brought_back(set_cookie: str) -> dict[str, Any]:
    """The environ of a request of the browser that was told to set this."""
    return {"HTTP_COOKIE": set_cookie.partition(";")[0]}


def test_another_host_with_the_same_configuration_knows_the_session() -> None:
    one, other = (OperatorSessions(SETTINGS, "https://ops.example.com") for _ in range(2))

    session = other.find(brought_back(one.begin("ada")))

    assert session is not None
    assert session.name == "ada"


def test_on_https_no_other_host_can_set_it_and_no_page_can_read_it() -> None:
    text = OperatorSessions(SETTINGS, "https://ops.example.com").begin("ada")

    assert text.startswith("__Host-falcongate_session=")
    assert text.endswith("; Max-Age=60; Path=/; HttpOnly; SameSite=Lax; Secure")
    assert "ada" not in text


def test_without_https_it_has_a_plain_name() -> None:
    text = OperatorSessions(SETTINGS, "http://localhost:8000").begin("ada")

    assert text.startswith("falcongate_session=")
    assert "Secure" not in text


def test_it_ends_also_where_it_is_known(monkeypatch: pytest.MonkeyPatch) -> None:
    sessions = OperatorSessions(SETTINGS, "https://ops.example.com")
    environ = brought_back(sessions.begin("ada"))
    assert sessions.find(environ) is not None
    now = operator_sessions._now_s()  # noqa: SLF001  # the clock

    monkeypatch.setattr(operator_sessions, "_now_s", lambda: now + 61)

    assert sessions.find(environ) is None


@pytest.mark.parametrize("change", [lambda text: text[:-2] + "AA", lambda text: "x" + text, lambda _: "é" * 9,
                                    lambda text: text * 40, lambda _: ""])  # fmt: skip
def test_what_was_changed_is_no_session(change: Any) -> None:  # noqa: ANN401
    sessions = OperatorSessions(SETTINGS, "https://ops.example.com")
    name, _, value = sessions.begin("ada").partition(";")[0].partition("=")

    assert sessions.find({"HTTP_COOKIE": f"{name}={change(value)}"}) is None


def test_what_was_sealed_for_one_purpose_opens_for_no_other() -> None:
    sealed = Seal("secret", "one").close({"a": 1})

    assert Seal("secret", "one").open(sealed, max_age_s=9) == {"a": 1}
    assert Seal("secret", "other").open(sealed, max_age_s=9) is None
    assert Seal("other", "one").open(sealed, max_age_s=9) is None
