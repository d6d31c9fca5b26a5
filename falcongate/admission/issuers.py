"""Who signs tokens: which issuer's a token may be, where its keys are, and what its claims must say."""

from __future__ import annotations

import re
from pathlib import Path
from time import monotonic
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import quote

import gevent
import jwt

from falcongate.admission.key_sets import FixedKeys, KeySet, Pace
from falcongate.admission.recent import Recent
from falcongate.admission.token_keys import Key
from falcongate.config.identity import claims_in
from falcongate.config.public_keys import algorithms_of, load_public_key
from falcongate.denials import Unauthorized
from falcongate.outages import KeysUnavailable

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from falcongate.admission.key_sets import Fetch
    from falcongate.admission.token_text import Unproven
    from falcongate.config.identity import IssuerSettings
    from falcongate.state.store import SharedState

_TICK_S: Final = 1.0
_MOST_UNKNOWN: Final = 500
_MOST_NEW: Final = 20.0
_NEW_PER_S: Final = 5.0
_MAX_VALUE_LENGTH: Final = 256
_NO_REASON: Final = "its claims are not as they must be"


class Issuer:
    """One issuer in one worker."""

    def __init__(self, name: str, settings: IssuerSettings) -> None:
        self.name = name
        self.settings = settings
        self.algorithms = frozenset(settings.algorithms)

    def keys_for(self, claims: Mapping[str, Any], *, waits: bool) -> KeySet | FixedKeys:
        """The keys that a token with these claims must be signed with.

        Raises Unauthorized if there are none, KeysUnavailable if they cannot be had now, or not without
        waiting where that is not wished.
        """
        raise NotImplementedError

    def keep(self, keys: KeySet | FixedKeys) -> None:
        """A token has been proven with these. Waits at most for the shared state."""

    def prove(self, text: str, token: Unproven, key: Key) -> dict[str, Any]:
        """The claims of a token that was signed with a key and says what it must.

        Raises `jwt.InvalidSignatureError` for another key's, Unauthorized for what it says.
        """
        settings = self.settings
        try:
            claims: dict[str, Any] = jwt.decode(
                text,
                key.key,
                # SECURITY: the token has chosen among what this issuer's settings and this key allow.
                algorithms=[token.algorithm],
                audience=settings.audience or None,
                issuer=settings.issuer or None,
                leeway=settings.leeway_s,
                options={"require": list(settings.required_claims)},
            )
        except jwt.InvalidSignatureError:
            raise
        except jwt.PyJWTError as error:
            raise Unauthorized(_reason(error)) from None
        return claims


class FixedIssuer(Issuer):
    """One whose keys a file or a secret holds."""

    def __init__(self, name: str, settings: IssuerSettings) -> None:
        super().__init__(name, settings)
        if settings.secret is not None:
            key = Key("", settings.secret.get_secret_value().encode(), self.algorithms)
        else:
            public = load_public_key(Path(settings.public_key_file or "").read_bytes())
            key = Key("", public, algorithms_of(public))
        self._keys = FixedKeys((key,))

    def keys_for(self, claims: Mapping[str, Any], *, waits: bool) -> FixedKeys:
        """The one."""
        del claims, waits
        return self._keys


class PublishedIssuer(Issuer):
    """One that publishes its keys, at one address or at one for each value of a claim."""

    def __init__(
        self, name: str, settings: IssuerSettings, fetch: Fetch, store: SharedState, *, owner: str
    ) -> None:
        super().__init__(name, settings)
        self._url = settings.jwks_url or ""
        self._patterns = {claim: re.compile(settings.claim_patterns[claim]) for claim in claims_in(self._url)}
        self._fetch = fetch
        self._store = store
        self._owner = owner
        self._pace = Pace(settings.refresh_s, settings.cooldown_s)
        self._sets: dict[str, KeySet] = {}
        self._unknown: Recent[str, KeySet] = Recent(_MOST_UNKNOWN)
        self._tokens, self._counted_at = _MOST_NEW, monotonic()
        if not self._patterns:
            self._sets[self._url] = self._new_set(self._url, are_proven=True)
        gevent.spawn(self._keep_fresh)

    def keys_for(self, claims: Mapping[str, Any], *, waits: bool) -> KeySet:
        """As `Issuer` says."""
        url = self._url_for(claims) if self._patterns else self._url
        found = self._sets.get(url)
        if not waits:
            if found is None or not found.is_known:
                raise KeysUnavailable
            return found
        if found is None:
            found = self._unknown.get(url) or self._first(url)
            if found.is_known:
                # Nobody else sees to it that those that are not kept are up to date.
                found.used_at = monotonic()
                found.refresh_if_due()
        if not found.load():
            raise Unauthorized("its issuer has no keys for it")
        return found

    def keep(self, keys: KeySet | FixedKeys) -> None:
        """As `Issuer` says. SECURITY: only now, or made-up tenants would push out those that there are."""
        if not isinstance(keys, KeySet):
            return
        kept = self._sets.get(keys.url)
        if kept is None:
            self._unknown.pop(keys.url)
            self._make_room()
            self._sets[keys.url] = keys
        elif kept is not keys:
            # It was forgotten while it was fetched: nobody would tell it of keys that are taken away.
            keys.retire()
        keys.used_at = monotonic()
        keys.note_proven()

    def _url_for(self, claims: Mapping[str, Any]) -> str:
        """The address of the keys. SECURITY: nothing of the claims is proven yet."""
        url = self._url
        for claim, pattern in self._patterns.items():
            value = claims.get(claim)
            if isinstance(value, int) and not isinstance(value, bool):
                value = str(value)
            if not isinstance(value, str) or not 0 < len(value) <= _MAX_VALUE_LENGTH:
                raise Unauthorized(f"it lacks the claim {claim}")
            # Dots alone would lead out of the path, whatever the pattern lets pass.
            if not pattern.fullmatch(value) or not value.strip("."):
                raise Unauthorized(f"its {claim} is not as it must be")
            url = url.replace(f"{{{claim}}}", quote(value, safe=""))
        return url

    def _first(self, url: str) -> KeySet:
        """Keys of which nothing is known yet. SECURITY: whoever makes up claims must not flood the issuer."""
        made = self._new_set(url, are_proven=False)
        # What others have fetched asks the issuer nothing.
        if not made.has_shared():
            self._charge()
        self._unknown[url] = made
        return made

    def _charge(self) -> None:
        now = monotonic()
        self._tokens = min(_MOST_NEW, self._tokens + (now - self._counted_at) * _NEW_PER_S)
        self._counted_at = now
        if self._tokens < 1:
            raise KeysUnavailable
        self._tokens -= 1

    def _new_set(self, url: str, *, are_proven: bool) -> KeySet:
        return KeySet(
            url, self._fetch, self._store, pace=self._pace, owner=self._owner, are_proven=are_proven
        )

    def _make_room(self) -> None:
        while len(self._sets) >= self.settings.max_key_sets:
            least = min(self._sets, key=lambda url: self._sets[url].used_at)
            self._sets.pop(least).retire()

    def _keep_fresh(self) -> None:
        while True:
            for keys in tuple(self._sets.values()):
                if not self._patterns:
                    keys.used_at = monotonic()
                keys.refresh_if_due()
            gevent.sleep(_TICK_S)


class Issuers:
    """All issuers of one configuration in one worker."""

    def __init__(self, issuers: Sequence[Issuer]) -> None:
        self._all = tuple(issuers)
        self._named = frozenset(issuer.settings.issuer for issuer in issuers) - {""}

    def of(self, token: Unproven) -> Iterator[Issuer]:
        """Those whose a token may be, in the order of the settings. Raises Unauthorized if none is."""
        said = token.claims.get("iss", "")
        wanted = said if isinstance(said, str) and said in self._named else ""
        fitting = [issuer for issuer in self._all if issuer.settings.issuer == wanted]
        if not fitting:
            raise Unauthorized("its issuer is not known here")
        allowed = [issuer for issuer in fitting if token.algorithm in issuer.algorithms]
        if not allowed:
            raise Unauthorized("its algorithm is not its issuer's")
        return iter(allowed)


_REASONS: Final[Mapping[type[jwt.PyJWTError], str]] = {
    jwt.ExpiredSignatureError: "it has expired",
    jwt.ImmatureSignatureError: "it is not valid yet",
    jwt.InvalidAudienceError: "it is for another audience",
    jwt.InvalidIssuerError: "its issuer is another",
    jwt.InvalidIssuedAtError: "it is not valid yet",
}


def _reason(error: jwt.PyJWTError) -> str:
    """What is wrong, in words that nobody but the operator and we have chosen."""
    if isinstance(error, jwt.MissingRequiredClaimError):
        return f"it lacks the claim {error.claim}"
    return _REASONS.get(type(error), _NO_REASON)
