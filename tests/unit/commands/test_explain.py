"""What is told of a request, as far as it is not seen in what the command prints."""

from __future__ import annotations

from falcongate.commands.explain import explain
from falcongate.config.identity import TokenSettings
from falcongate.config.settings import GatewaySettings

SETTINGS = GatewaySettings.model_validate(
    {
        "public_paths": ["/api/hr/public/**"],
        "services": {"hr": {"url": "http://a"}, "lms": {"url": "http://b"}},
        "access": {
            "office": {"allow": ["10.0.0.0/8"], "deny": ["10.9.0.0/16"], "services": ["hr"]},
            "keys": {"identity": "required", "accept": "api_key", "mode": "shadow", "services": ["hr"]},
            "staff": {
                "identity": "required",
                "accept": "token",
                "issuers": ["ours"],
                "scopes": ["read"],
                "claims": {"role": ["admin", "owner"]},
                "paths": ["/api/hr/staff/**"],
            },
        },
    }
)


def access(path: str) -> list[str]:
    """What is told of who may pass."""
    return [meaning for word, meaning in explain(SETTINGS, "GET", path.encode()) if word == "access"]


def test_all_rules_that_apply_are_told() -> None:
    assert access("/api/hr/staff/x") == [
        "office: from 10.0.0.0/8, not from 10.9.0.0/16",
        "keys: identity required, by api_key; only watched",
        "staff: identity required, by token, of ours, with scope read, with role = admin or owner",
    ]
    assert access("/api/lms/x") == []


def test_of_a_websocket_is_told_who_may_open_it() -> None:
    assert access("/ws/hr/room") == [
        "office: from 10.0.0.0/8, not from 10.9.0.0/16",
        "keys: identity required, by api_key; only watched",
    ]
    told = dict(explain(SETTINGS, "GET", b"/ws/lms"))
    assert told["answered by"] == "the gateway itself"
    assert told["upgraded"] == "a WebSocket to lms"
    assert told["limit"] == "none applies"
    assert "upgraded" not in dict(explain(SETTINGS, "GET", b"/ws/nobody"))


def test_the_cookie_of_tokens_is_removed_on_public_paths() -> None:
    settings = SETTINGS.model_copy(update={"tokens": TokenSettings(cookie="jwt")})

    told = dict(explain(settings, "GET", b"/api/hr/public/x"))["public"]
    assert told == "yes; removed: Authorization, cookies access_token, refresh_token, sessionid, jwt"


def test_on_public_paths_nobody_is_asked_who_it_is() -> None:
    assert access("/api/hr/public/x") == [
        "office: from 10.0.0.0/8, not from 10.9.0.0/16",
        "keys: nobody is asked on public paths; only watched",
    ]
