"""OpenID Connect as the gateway needs it: a user is sent to the provider and comes back with a code.

Authorization code with PKCE (OpenID Connect Core 1.0, 3.1; RFC 7636; RFC 9700). The provider is asked when
somebody signs in and at no other time.
"""

from __future__ import annotations

import base64
import secrets
from hashlib import sha256
from hmac import compare_digest
from time import monotonic
from typing import TYPE_CHECKING, Any, Final, NamedTuple, Protocol
from urllib.parse import quote, urlencode

from falcongate.admission.access import has_claims
from falcongate.config.values import is_protected
from falcongate.denials import SignInFailed
from falcongate.exchange import Caller
from falcongate.outages import ProviderUnavailable
from falcongate.resources.id_token import NotValid, verified_claims
from falcongate.resources.operator_sessions import client_secret_of
from falcongate.resources.operators import one_line
from falcongate.upstream.fetch import FetchFailed

if TYPE_CHECKING:
    from collections.abc import Mapping

    from falcongate.config.admin import SignInSettings

_WELL_KNOWN: Final = "/.well-known/openid-configuration"
_METADATA_S: Final = 3_600.0
_AFTER_FAILURE_S: Final = 5.0
_NAMES: Final = ("email", "preferred_username", "name", "sub")
_ENDPOINTS: Final = ("authorization_endpoint", "token_endpoint", "jwks_uri")


class Documents(Protocol):
    """Who fetches the provider's documents. Raises FetchFailed."""

    def get(self, url: str, *, headers: Mapping[str, str] | None = None) -> dict[str, Any]: ...  # noqa: D102

    def post(  # noqa: D102
        self, url: str, fields: Mapping[str, str], *, headers: Mapping[str, str] | None = None
    ) -> dict[str, Any]: ...


class Departure(NamedTuple):
    """What must be known of a user again who comes back; nobody else may know or change it."""

    state: str
    nonce: str
    verifier: str
    then: str


class Provider:
    """The provider of one configuration. What waits, waits for seconds at most."""

    def __init__(self, settings: SignInSettings, own_url: str, documents: Documents) -> None:
        self._settings = settings
        self._issuer = settings.issuer or ""
        self._secret = client_secret_of(settings)
        self._callback = f"{own_url}/admin/callback"
        self._documents = documents
        self._metadata: dict[str, Any] = {}
        self._holds_until = 0.0
        self._rests_until = 0.0

    def depart(self, then: str) -> tuple[str, Departure]:
        """Where to send a user who wants to see `then`, and what to remember. May wait.

        Raises ProviderUnavailable.
        """
        state, nonce, verifier = (secrets.token_urlsafe(32) for _ in range(3))
        departure = Departure(state, nonce, verifier, then)
        challenge = base64.urlsafe_b64encode(sha256(departure.verifier.encode()).digest()).rstrip(b"=")
        query = {
            "response_type": "code",
            "client_id": self._settings.client_id,
            "redirect_uri": self._callback,
            "scope": " ".join(dict.fromkeys(("openid", *self._settings.scopes))),
            "state": departure.state,
            "nonce": departure.nonce,
            "code_challenge": challenge.decode("ascii"),
            "code_challenge_method": "S256",
        }
        endpoint = str(self._known()["authorization_endpoint"])
        return f"{endpoint}{'&' if '?' in endpoint else '?'}{urlencode(query)}", departure

    def arrive(self, departure: Departure, answer: Mapping[str, str]) -> str:
        """The name of the user who has come back with this answer, and may operate the gateway. Waits.

        Raises SignInFailed and ProviderUnavailable.
        """
        if not compare_digest(answer.get("state", "").encode(), departure.state.encode()):
            raise SignInFailed("the state is another sign-in's")
        metadata = self._known()
        # RFC 9207: else an answer of one provider could be brought to us as another's.
        must_tell = metadata.get("authorization_response_iss_parameter_supported") is True
        if answer.get("iss", "" if must_tell else self._issuer) != self._issuer:
            raise SignInFailed("the answer is not of this provider")
        if "error" in answer or not answer.get("code"):
            raise SignInFailed(f"the provider says {answer.get('error', 'nothing')!r:.60}")
        try:
            tokens = self._redeem(answer["code"], departure.verifier, metadata)
            claims = self._claims(tokens, departure.nonce, metadata)
        except FetchFailed as error:
            raise SignInFailed(f"asking the provider: {error}") from None
        self._check_claims(claims)
        return _name_of(claims)

    def sign_out_url(self) -> str:
        """Where a user can sign out at the provider as well; "" if nowhere. May wait."""
        try:
            endpoint = self._known().get("end_session_endpoint")
        except ProviderUnavailable:
            return ""
        if not isinstance(endpoint, str) or not is_protected(endpoint):
            return ""
        return (
            f"{endpoint}{'&' if '?' in endpoint else '?'}{urlencode({'client_id': self._settings.client_id})}"
        )

    def _known(self) -> dict[str, Any]:
        """What the provider says of itself."""
        now = monotonic()
        if self._metadata and now < self._holds_until:
            return self._metadata
        if now < self._rests_until:
            raise ProviderUnavailable("it was asked a moment ago", retry_after_s=int(_AFTER_FAILURE_S))
        try:
            found = self._documents.get(self._issuer.rstrip("/") + _WELL_KNOWN)
            _check_metadata(found, self._issuer)
        except FetchFailed as error:
            # Whoever wants to sign in can have us ask; the provider must not suffer for that.
            self._rests_until = monotonic() + _AFTER_FAILURE_S
            raise ProviderUnavailable(str(error), retry_after_s=int(_AFTER_FAILURE_S)) from None
        self._metadata, self._holds_until = found, now + _METADATA_S
        return found

    def _redeem(self, code: str, verifier: str, metadata: Mapping[str, Any]) -> dict[str, Any]:
        fields = {
            "grant_type": "authorization_code",
            "code": code,
            "redirect_uri": self._callback,
            "code_verifier": verifier,
        }
        # What a provider does not say is basic (OpenID Connect Discovery 1.0, 3).
        methods = _texts(metadata.get("token_endpoint_auth_methods_supported"))
        client_id = self._settings.client_id
        if "client_secret_basic" not in methods and "client_secret_post" in methods:
            fields |= {"client_id": client_id, "client_secret": self._secret}
            return self._documents.post(metadata["token_endpoint"], fields)
        # Both are encoded as in forms before they are joined (RFC 6749, 2.3.1).
        pair = f"{quote(client_id, safe='')}:{quote(self._secret, safe='')}"
        basic = "Basic " + base64.b64encode(pair.encode()).decode("ascii")
        return self._documents.post(metadata["token_endpoint"], fields, headers={"Authorization": basic})

    def _claims(self, tokens: Mapping[str, Any], nonce: str, metadata: Mapping[str, Any]) -> dict[str, Any]:
        """What the provider says of the user: the ID token first, and userinfo where that is silent."""
        try:
            claims = verified_claims(
                tokens.get("id_token"),
                self._documents.get(metadata["jwks_uri"]).get("keys"),
                issuer=self._issuer,
                client_id=self._settings.client_id,
                algorithms=_texts(metadata.get("id_token_signing_alg_values_supported")) or ("RS256",),
                nonce=nonce,
            )
        except NotValid as error:
            raise SignInFailed(f"the ID token: {error}") from None
        endpoint, access = metadata.get("userinfo_endpoint"), tokens.get("access_token")
        is_silent = not claims.keys() >= self._settings.claims.keys()
        if is_silent and isinstance(endpoint, str) and isinstance(access, str) and is_protected(endpoint):
            told = self._documents.get(endpoint, headers={"Authorization": f"Bearer {access}"})
            if told.get("sub") != claims["sub"]:
                raise SignInFailed("userinfo is of another user (OpenID Connect Core, 5.3.2)")
            claims = {**told, **claims}
        return claims

    def _check_claims(self, claims: Mapping[str, Any]) -> None:
        caller = Caller("token", str(claims["sub"]), claims=claims)
        is_doubtful = "email" in self._settings.claims and claims.get("email_verified") is False
        if is_doubtful or not has_claims(caller, self._settings.claims):
            refusal = SignInFailed(f"{_name_of(claims)} lacks what admin.sign_in.claims asks for")
            refusal.detail = "You are known to the provider, but not as somebody who operates the gateway."
            refusal.suggestion = "Have the claims of your account, or admin.sign_in.claims, changed."
            raise refusal


def _check_metadata(found: Mapping[str, Any], issuer: str) -> None:
    # SECURITY: whoever could answer for the issuer with another's metadata would name our users
    # (OpenID Connect Discovery 1.0, 4.3).
    if found.get("issuer") != issuer:
        raise FetchFailed("its metadata is of another issuer")
    for name in _ENDPOINTS:
        if not isinstance(found.get(name), str) or not is_protected(found[name]):
            raise FetchFailed(f"its metadata has no {name} that begins with https://")


def _texts(said: object) -> list[str]:
    return [text for text in said if isinstance(text, str)] if isinstance(said, list) else []


def _name_of(claims: Mapping[str, Any]) -> str:
    """What a user is called in pages and histories."""
    return one_line(
        next(claims[name] for name in _NAMES if isinstance(claims.get(name), str) and claims[name])
    )
