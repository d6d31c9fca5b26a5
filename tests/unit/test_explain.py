"""What is told of the rules of access that a request would meet."""

from __future__ import annotations

from falcongate.config.settings import GatewaySettings
from falcongate.explain import explain

SETTINGS = GatewaySettings.model_validate(
    {
        "services": {"hr": {"url": "http://hr:8004"}, "lms": {"url": "http://lms:8004"}},
        "public_paths": ["/api/hr/public/**"],
        "issuers": {"auth": {"algorithms": "RS256", "jwks_url": "http://auth/jwks"}},
        "access": {
            "all": {"identity": "optional", "mode": "shadow"},
            "hr": {
                "services": ["hr"],
                "identity": "required",
                "accept": ["token"],
                "issuers": ["auth"],
                "scopes": ["a", "b"],
                "claims": {"role": ["x", "y"]},
                "allow": ["10.0.0.0/8"],
                "deny": ["10.0.0.1"],
            },
        },
    }
)


def told(path: str) -> list[str]:
    return [what for word, what in explain(SETTINGS, "GET", path.encode()) if word == "access"]


def test_the_rules_that_apply_are_told_with_what_they_ask_for() -> None:
    everybody = "all: identity optional, by token or api_key or certificate; only watched"

    assert told("/api/lms/x") == [everybody]
    assert told("/api/hr/x") == [
        everybody,
        (
            "hr: identity required, by token, of auth, with scope a b, with role = x or y,"
            " from 10.0.0.0/8, not from 10.0.0.1"
        ),
    ]


def test_on_public_paths_only_addresses_are_looked_at() -> None:
    assert told("/api/hr/public/x") == [
        "all: nobody is asked on public paths; only watched",
        "hr: nobody is asked on public paths, from 10.0.0.0/8, not from 10.0.0.1",
    ]
