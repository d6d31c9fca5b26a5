"""Tokens as credentials: found, proven once, and known from then on until they end.

What a token is proven with are the issuers' keys (`issuers.py`); what it may do is `access.py`'s.
"""

from __future__ import annotations

from datetime import UTC, datetime
from hashlib import sha256
from time import monotonic
from typing import TYPE_CHECKING, Any, Final

import jwt

from falcongate.admission.issuers import FixedIssuer, Issuers, PublishedIssuer
from falcongate.admission.recent import Recent
from falcongate.admission.revoked import Revoked, marks_of
from falcongate.admission.token_places import TokenPlaces
from falcongate.admission.token_text import read_token
from falcongate.admission.told_claims import told_lines
from falcongate.denials import Unauthorized
from falcongate.exchange import Caller
from falcongate.outages import KeysUnavailable

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from falcongate.admission.issuers import Issuer
    from falcongate.admission.key_sets import Fetch, FixedKeys, KeySet
    from falcongate.admission.revoked import Marks
    from falcongate.admission.token_text import Unproven
    from falcongate.config.settings import GatewaySettings
    from falcongate.exchange import Exchange
    from falcongate.state.store import SharedState

_MOST_KNOWN: Final = 4_096
_MOST_REFUSED: Final = 4_096
_REFUSED_S: Final = 5.0
_NEVER: Final = float("inf")


class _Known:
    """A token that was proven, and under which generation of its keys."""

    __slots__ = ("caller", "generation", "keys", "marks", "version")

    def __init__(self, caller: Caller, keys: KeySet | FixedKeys, marks: Marks) -> None:
        self.caller = caller
        self.keys = keys
        self.generation = keys.generation
        self.marks = marks
        self.version = -1


class Tokens:
    """The tokens of all issuers of one configuration. `owner` is this worker's name among all.

    `places` are where they stand. `fetch_with` makes what fetches keys, trusting the authorities in a file.
    Without issuers nothing is a token here.
    """

    kind = "token"

    def __init__(
        self,
        settings: GatewaySettings,
        store: SharedState,
        fetch_with: Callable[[str | None], Fetch],
        *,
        owner: str,
    ) -> None:
        def made(name: str) -> Issuer:
            issuer = settings.issuers[name]
            if issuer.jwks_url is None:
                return FixedIssuer(name, issuer)
            return PublishedIssuer(name, issuer, fetch_with(issuer.ca_file), store, owner=owner)

        self._issuers = Issuers([made(name) for name in settings.issuers])
        self._has_issuers = bool(settings.issuers)
        self.places = TokenPlaces(settings.tokens)
        self._headers = settings.tokens.headers
        self._known: Recent[bytes, _Known] = Recent(_MOST_KNOWN)
        self._refused: Recent[bytes, tuple[float, str]] = Recent(_MOST_REFUSED)
        self._revoked = Revoked(store) if settings.issuers else None

    def find(self, exchange: Exchange, *, waits: bool = True) -> Caller | None:
        """Whose token the request has. Raises Unauthorized, or KeysUnavailable if nobody can say now.

        Unless it `waits`, it is proven with keys that are known, or nobody can say.
        """
        if not self._has_issuers:
            return None
        text = self.places.find(exchange)
        if text is None:
            return None
        # PERF: callers send a token again and again. What is kept is no secret.
        digest = sha256(text.encode("latin-1")).digest()
        known = self._known.get(digest)
        if known is None or known.generation != known.keys.generation:
            known = self._prove(text, digest, waits=waits)
            self._known[digest] = known
        caller = known.caller
        if caller.ends_at <= exchange.started:
            raise Unauthorized("it has expired")
        known.keys.used_at = exchange.started
        revoked = self._revoked
        if revoked is not None and known.version != revoked.version:
            version = revoked.version
            if revoked.has(known.marks):
                raise Unauthorized("it has been revoked")
            known.version = version
        return caller

    def is_void(self, caller: Caller) -> bool:
        """Whether a caller's token was revoked since it was let pass. Does not wait."""
        if self._revoked is None or caller.kind != "token":
            return False
        return self._revoked.has(marks_of(caller.issuer, caller.claims))

    def _prove(self, text: str, digest: bytes, *, waits: bool) -> _Known:
        now = monotonic()
        until, why = self._refused.get(digest) or (0.0, "")
        if until > now:
            raise Unauthorized(why)
        token = read_token(text)
        issuers = self._issuers.of(token)
        try:
            return self._prove_with(issuers, text, token, waits=waits)
        except _Void as void:
            self._refused[digest] = (monotonic() + _REFUSED_S, void.why)
            raise Unauthorized(void.why) from None

    def _prove_with(self, issuers: Iterator[Issuer], text: str, token: Unproven, *, waits: bool) -> _Known:
        """Let one issuer after the other try. Raises as `find`, and _Void for what no new key can help."""
        refusal: Unauthorized | KeysUnavailable | None = None
        void: _Void | None = None
        for issuer in issuers:
            try:
                known = self._prove_by(issuer, text, token, waits=waits)
            except (Unauthorized, KeysUnavailable) as refused:
                # That nobody can say outweighs that one says no.
                refusal = refusal if isinstance(refusal, KeysUnavailable) else refused
                continue
            except _Void as refused:
                # Another may sign with the same keys and ask for other claims.
                void = void or refused
                continue
            if known is not None:
                return known
        if void is not None and refusal is None:
            raise void
        if void is not None and not isinstance(refusal, KeysUnavailable):
            raise Unauthorized(void.why)
        raise refusal or _Void("its signature is not valid")

    def _prove_by(self, issuer: Issuer, text: str, token: Unproven, *, waits: bool) -> _Known | None:
        """None if it is not signed with a key of this issuer's that it names."""
        keys = issuer.keys_for(token.claims, waits=waits)
        was_tried = False
        while True:
            generation = keys.generation
            for key in keys.candidates(token.algorithm, token.key_id):
                was_tried = True
                try:
                    claims = issuer.prove(text, token, key)
                except jwt.InvalidSignatureError:
                    continue
                except Unauthorized as refused:
                    # It is this issuer's, and no other key will make it say something else.
                    raise _Void(refused.why) from None
                issuer.keep(keys)
                known = _Known(self._caller(issuer, claims), keys, marks_of(issuer.name, claims))
                known.generation = generation
                return known
            if was_tried and token.key_id is not None:
                return None
            if not waits:
                raise KeysUnavailable
            if not keys.look(token.key_id):
                break
        if was_tried:
            return None
        raise Unauthorized("its key is not one of its issuer's")

    def _caller(self, issuer: Issuer, claims: dict[str, Any]) -> Caller:
        ends_at, exp = _NEVER, claims.get("exp")
        if exp is not None:
            # The one place where hosts must agree with others about what time it is.
            left_s = exp + issuer.settings.leeway_s - datetime.now(UTC).timestamp()
            ends_at = monotonic() + left_s
        subject = claims.get("sub", "")
        return Caller(
            kind="token",
            name=subject,
            issuer=issuer.name,
            claims=claims,
            ends_at=ends_at,
            headers=told_lines(self._headers, claims),
        )


class _Void(Exception):
    """A token that is refused whatever keys come, so that it can be refused again without trying."""

    def __init__(self, why: str) -> None:
        super().__init__(why)
        self.why = why
