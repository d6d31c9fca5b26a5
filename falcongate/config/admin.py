"""Settings of who may look into the gateway, and who may change what it does."""

from __future__ import annotations

import re
from typing import Annotated, Final
from urllib.parse import urlsplit

from pydantic import Field, SecretStr, model_validator
from pydantic.functional_validators import AfterValidator

from falcongate.config.access import Wanted  # noqa: TC001  # pydantic needs it
from falcongate.config.identity import Claim  # noqa: TC001  # pydantic needs it
from falcongate.config.model import Settings
from falcongate.config.values import (
    Cidr,
    EmptyIsUnset,
    NotBoolean,
    OneOrMany,
    PublicUrl,
    ServiceName,
    is_protected,
)

_BIND: Final = re.compile(r"(?:[A-Za-z0-9.-]+|\[[0-9A-Fa-f:]+\]):([0-9]{1,5})")
_LOOPBACK: Final = ("127.0.0.0/8", "::1/128")
_PRIVATE: Final = ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "fc00::/7", "fe80::/10")


SESSION_COOKIE: Final = "falcongate_session"
"""Who is signed in, sealed; on https its name begins with `__Host-`."""
SIGN_IN_COOKIE: Final = "falcongate_sign_in"
"""What a browser must bring back that is just signing in."""
OWN_COOKIES: Final = tuple(
    before + name for name in (SESSION_COOKIE, SIGN_IN_COOKIE) for before in ("", "__Host-")
)
"""What is for the gateway alone; no service is told."""


def place_of(bind: str) -> tuple[str, int]:
    """The host and port of an address like `127.0.0.1:9000` or `[::1]:9000`."""
    host, _, port = bind.rpartition(":")
    return host.strip("[]"), int(port)


def _bind(text: str) -> str:
    found = _BIND.fullmatch(text)
    if found is None or not 1 <= int(found[1]) <= 65_535:
        raise ValueError("must be like 127.0.0.1:9000")
    return text


def _provider(url: str) -> str:
    if not is_protected(url):
        # SECURITY: whoever is between could name the user (OpenID Connect Core, 16.17).
        raise ValueError("must begin with https://; only a provider on this machine may do without")
    parts = urlsplit(url)
    if not parts.hostname or parts.username is not None or parts.query or parts.fragment:
        raise ValueError("must be the provider's issuer, like https://login.example.com/realm")
    return url


class SignInSettings(Settings):
    """Signing in at `/admin/` by OpenID Connect: authorization code with PKCE."""

    issuer: Annotated[Annotated[str, AfterValidator(_provider)] | None, EmptyIsUnset] = None
    """The provider, whose settings are found below it at `/.well-known/openid-configuration`. Unset:
    nobody signs in."""

    client_id: str = ""
    """What the gateway is called at the provider, where `<admin.url>/admin/callback`, or that of
    `public_url`, must be registered."""

    client_secret: Annotated[SecretStr | None, EmptyIsUnset] = None
    """Its secret there. Sessions are sealed with a key that is made from it, so all hosts know them."""

    scopes: Annotated[tuple[str, ...], OneOrMany] = ("openid", "email", "profile")
    """What is asked for; `openid` is always."""

    claims: dict[Claim, Wanted] = {}  # noqa: RUF012  # pydantic copies it
    """Claims that a user must have, with the values of which it must have one. At least one must be said:
    not everybody whom the provider knows is an operator here."""

    session_s: Annotated[int, Field(ge=60, le=604_800), NotBoolean] = 28_800
    """Seconds until an operator has to sign in again."""

    ca_file: Annotated[str | None, EmptyIsUnset] = None
    """PEM file of the authorities to trust for the provider. Unset: the system's."""

    @model_validator(mode="after")
    def _is_whole(self) -> SignInSettings:
        if self.issuer and not (self.client_id and self.client_secret and self.claims):
            raise ValueError("needs client_id, client_secret and claims beside issuer")
        return self


class AdminSettings(Settings):
    """Who may look into the gateway, and who may change what it does.

    Who has `FALCONGATE_ADMIN_TOKEN`, or is signed in, may both from anywhere. An address is that of the
    caller; whoever comes through a proxy that is not declared as trusted comes from outside.
    """

    read_from: tuple[Cidr, ...] = (*_LOOPBACK, *_PRIVATE)
    """Addresses or networks that see details of `/health/`, `/metrics/` and breakers."""

    change_from: tuple[Cidr, ...] = _LOOPBACK
    """Addresses or networks that may change things."""

    token_issuer: Annotated[ServiceName | None, EmptyIsUnset] = None
    """Issuer, by its name in `[issuers]`, whose tokens may administer if they have `token_scope`."""

    token_scope: str = "falcongate:admin"  # noqa: S105  # no secret
    """Scope that such a token must have."""

    bind: Annotated[Annotated[str, AfterValidator(_bind)] | None, EmptyIsUnset] = None
    """A port of its own for administration, like `127.0.0.1:9000`: what is for operators answers there and
    nowhere else. Unset: it answers where callers do."""

    url: PublicUrl = ""
    """Where operators reach `/admin/`, like `https://ops.example.com`. Empty: at `public_url`."""

    sign_in: SignInSettings = SignInSettings()
