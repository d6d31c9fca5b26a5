"""Settings of who may pass: what callers must prove, and where they must come from."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import model_validator

from falcongate.config.identity import Claim  # noqa: TC001  # pydantic needs it
from falcongate.config.policies import ScopeSettings
from falcongate.config.values import AtLeastOne, Cidr, OneOrMany, ServiceName

Credential = Literal["token", "api_key", "certificate"]
Wanted = Annotated[tuple[str, ...], AtLeastOne, OneOrMany]


class AccessSettings(ScopeSettings):
    """Who may pass where. All rules that apply to a request must let it pass."""

    identity: Literal["off", "optional", "required"] = "off"
    """`required`: callers must prove who they are. `optional`: they may; a credential that is not valid is
    refused all the same. On public paths nobody is asked."""

    accept: Annotated[tuple[Credential, ...], AtLeastOne, OneOrMany] = ("token", "api_key", "certificate")
    """What proves it: a token of an issuer, an API key of `falcongate keys`, a client certificate."""

    issuers: Annotated[tuple[ServiceName, ...], OneOrMany] = ()
    """Issuers, by name, whose tokens are accepted. Empty: all."""

    scopes: Annotated[tuple[str, ...], OneOrMany] = ()
    """Scopes that a token must have, all of them, in `scope` or `scp`; else 403."""

    claims: dict[Claim, Wanted] = {}  # noqa: RUF012  # pydantic copies it
    """Claims that a token or certificate must have, with the values of which it must have one; else 403."""

    allow: tuple[Cidr, ...] = ()
    """Addresses or networks that callers must come from. Empty: any."""

    deny: tuple[Cidr, ...] = ()
    """Addresses or networks that callers must not come from."""

    @model_validator(mode="after")
    def _has_effect(self) -> AccessSettings:
        asks = self.issuers or self.scopes or self.claims
        if asks and self.identity == "off":
            raise ValueError("issuers, scopes and claims need identity = optional or required")
        if self.scopes and "token" not in self.accept:
            raise ValueError("scopes need accept to have token")
        if self.claims and set(self.accept) == {"api_key"}:
            raise ValueError("claims need accept to have token or certificate")
        if self.identity == "off" and not (self.allow or self.deny):
            raise ValueError("asks for nothing; set identity, allow or deny")
        return self
