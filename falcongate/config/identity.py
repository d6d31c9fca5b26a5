"""Settings of who callers are: issuers of tokens, where tokens stand, what is told of them to services."""

from __future__ import annotations

import re
from typing import Annotated, Final, Literal
from urllib.parse import urlsplit

from pydantic import Field, SecretStr, model_validator
from pydantic.functional_validators import AfterValidator

from falcongate.config.model import Settings
from falcongate.config.values import AtLeastOne, EmptyIsUnset, NotBoolean, OneOrMany, Seconds, Token

_CLAIM: Final = re.compile(r"[A-Za-z0-9_.:/-]{1,64}")
_PLACE: Final = re.compile(r"\{([A-Za-z0-9_.-]{1,64})\}")
_QUERY_NAME: Final = re.compile(r"[A-Za-z0-9_.-]{1,64}")
_LEAST_SECRET_BYTES: Final = 32
_HMAC: Final = "HS"


def claims_in(jwks_url: str) -> tuple[str, ...]:
    """The names of the claims whose values stand in a URL of keys, like `tenant_id` for `{tenant_id}`."""
    return tuple(_PLACE.findall(jwks_url))


def _jwks_url(url: str) -> str:
    plain = _PLACE.sub("x", url)
    parts = urlsplit(plain)
    if parts.scheme not in ("http", "https") or not parts.hostname or parts.username is not None:
        raise ValueError("must be like https://host/path, with {claim} in its path if it differs by claim")
    if re.search(r"[{}\s#]", plain) or claims_in(parts.netloc) or "{" in url.split("/", 3)[2]:
        raise ValueError("may name claims in its path and query only, like {tenant_id}, and have no fragment")
    return url


def _claim(name: str) -> str:
    if not _CLAIM.fullmatch(name):
        raise ValueError("must be the name of a claim, like sub or tenant_id")
    return name


def _pattern(text: str) -> str:
    try:
        re.compile(text)
    except re.error:
        raise ValueError("must be a regular expression") from None
    return text


def _query_name(name: str) -> str:
    if not _QUERY_NAME.fullmatch(name):
        raise ValueError("must be the name of a query parameter, like token")
    return name


Claim = Annotated[str, AfterValidator(_claim)]
Algorithm = Literal[
    "RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA",
    "HS256", "HS384", "HS512",
]  # fmt: skip


class IssuerSettings(Settings):
    """Who signs tokens (JWT), with which keys, and what a token of theirs must say."""

    issuer: str = ""
    """What `iss` must be, to the letter. Empty: `iss` is not looked at, and the token is taken for one of
    this issuer if its keys say so."""

    algorithms: Annotated[tuple[Algorithm, ...], AtLeastOne, OneOrMany]
    """Algorithms that its tokens may be signed with, like `RS256`. What a token says of itself decides
    nothing."""

    audience: Annotated[tuple[str, ...], OneOrMany] = ()
    """What `aud` must name one of. Empty: a token that was made for a named audience is refused."""

    required_claims: Annotated[tuple[Claim, ...], OneOrMany] = ("exp",)
    """Claims that a token must have."""

    leeway_s: Annotated[float, Field(ge=0, le=300), NotBoolean] = 30
    """Seconds by which the clock of the issuer may differ."""

    jwks_url: Annotated[Annotated[str, AfterValidator(_jwks_url)] | None, EmptyIsUnset] = None
    """Where its public keys are (RFC 7517). `{tenant_id}` stands for that claim of the token, which must
    match its entry in `claim_patterns`."""

    claim_patterns: dict[Claim, Annotated[str, AfterValidator(_pattern)]] = {}  # noqa: RUF012  # pydantic copies it
    """Regular expressions for the whole value of each claim that `jwks_url` names."""

    max_key_sets: Annotated[int, Field(ge=1, le=100_000), NotBoolean] = 1_000
    """Most sets of keys that a worker keeps, where `jwks_url` names a claim; the least used goes first."""

    refresh_s: Seconds = 300
    """Seconds after which keys are fetched anew, in the background. While that fails the old ones hold."""

    cooldown_s: Seconds = 30
    """Seconds for which a key that was not found is not looked for again, on any host."""

    ca_file: Annotated[str | None, EmptyIsUnset] = None
    """PEM file of the authorities to trust for `jwks_url`. Unset: the system's."""

    public_key_file: Annotated[str | None, EmptyIsUnset] = None
    """PEM file with the public key, instead of `jwks_url`."""

    secret: Annotated[SecretStr | None, EmptyIsUnset] = None
    """Shared secret for HS256, HS384 and HS512, of at least 32 bytes, instead of `jwks_url`."""

    @model_validator(mode="after")
    def _has_one_kind_of_keys(self) -> IssuerSettings:
        given = [self.jwks_url, self.public_key_file, self.secret]
        if sum(key is not None for key in given) != 1:
            raise ValueError("needs exactly one of jwks_url, public_key_file and secret")
        shared = [name for name in self.algorithms if name.startswith(_HMAC)]
        if self.secret is not None and len(shared) != len(self.algorithms):
            raise ValueError("with a secret, algorithms must be of HS256, HS384 and HS512")
        if self.secret is None and shared:
            # SECURITY: a public key taken for a shared secret would let everybody sign.
            raise ValueError(f"{shared[0]} needs a secret: public keys do not go with it")
        if self.secret is not None and len(self.secret.get_secret_value().encode()) < _LEAST_SECRET_BYTES:
            raise ValueError("the secret must have at least 32 bytes (RFC 7518, 3.2)")
        named = set(claims_in(self.jwks_url or ""))
        if named != self.claim_patterns.keys():
            raise ValueError("claim_patterns must have one entry for each claim in jwks_url, and no other")
        return self


class TokenSettings(Settings):
    """Where callers' tokens stand, and what services are told of them."""

    cookie: Annotated[Token | None, EmptyIsUnset] = None
    """Cookie that may hold the token. Unset: none. `Authorization: Bearer` may in any case, and comes
    first."""

    query: Annotated[Annotated[str, AfterValidator(_query_name)] | None, EmptyIsUnset] = None
    """Query parameter that may hold it, of WebSockets and Socket.IO only, whose browser clients can set no
    header. It is taken out of the query, and sent on as `Authorization: Bearer` if no other credential
    counts. Unset: none."""

    max_bytes: Annotated[int, Field(ge=256, le=65_536), NotBoolean] = 8_192
    """Longest token that is looked at; a longer one is refused unread."""

    headers: dict[Token, Claim] = {}  # noqa: RUF012  # pydantic copies it
    """Headers that tell services a claim of a token that was checked, like `X-User-ID = "sub"`. What
    callers say under these names is never passed on."""
