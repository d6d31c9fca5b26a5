"""A worker's tokens in a test: issuers whose keys are at hand, and requests that carry tokens."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from falcongate.admission.key_sets import KeysAway
from falcongate.admission.tokens import Tokens
from falcongate.config.settings import GatewaySettings
from falcongate.denials import Unauthorized
from falcongate.exchange import Caller
from falcongate.state.memory_store import MemoryState
from tests.support.tokens import Signer
from tests.unit.making import make_exchange

URL = "http://auth:8001/jwks"
BY_TENANT = "http://auth:8001/api/jwks/{tenant_id}/"


class Published:
    """What issuers publish, and how often they were asked. `is_away` lets them answer nothing."""

    def __init__(self, *signers: Signer) -> None:
        self.signers: list[Signer] = list(signers)
        self.asked: list[str] = []
        self.is_away = False
        self.missing: set[str] = set()

    def fetch(self, url: str) -> Mapping[str, object] | None:
        """Ask at one address."""
        self.asked.append(url)
        if self.is_away:
            raise KeysAway("told to be away")
        if url in self.missing:
            return None
        return {"keys": [signer.jwk() for signer in self.signers]}


def make_tokens(
    published: Published | None = None,
    *,
    issuer: Mapping[str, object] | None = None,
    store: MemoryState | None = None,
    **settings: Any,  # noqa: ANN401 - settings as they stand in a file
) -> Tokens:
    """The tokens of one issuer, `main`, unless `settings` say which issuers there are."""
    known = published or Published()
    made = GatewaySettings.model_validate(
        {"issuers": {"main": {"algorithms": "RS256", "jwks_url": URL, **(issuer or {})}}, **settings}
    )
    return Tokens(made, store or MemoryState(), lambda _: known.fetch, owner=f"w{id(known)}")


def bearing(tokens: Tokens, token: str) -> Caller | None:
    """Who sends a token behind Bearer."""
    return tokens.find(make_exchange(f"Authorization: Bearer {token}"))


def why_not(tokens: Tokens, token: str) -> str:
    """What is wrong with a token; "" if it is good."""
    try:
        bearing(tokens, token)
    except Unauthorized as refused:
        return refused.why
    return ""
