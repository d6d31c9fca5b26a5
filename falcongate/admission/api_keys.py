"""API keys as credentials: whose a key is, from memory where that is sure, else from the shared state.

Each worker is told of every change, so what it remembers is true; what it may have missed it asks again.
How keys look is `wire/api_key.py`, how they are kept `state/api_keys.py`.
"""

from __future__ import annotations

import logging
from contextlib import suppress
from hmac import compare_digest
from time import monotonic
from typing import TYPE_CHECKING, Final, NamedTuple

import gevent
from gevent.event import AsyncResult

from falcongate.admission.recent import Recent
from falcongate.config.policies import parse_rate
from falcongate.denials import Unauthorized
from falcongate.errors import StoreAway
from falcongate.exchange import Caller
from falcongate.outages import CredentialsUnknown
from falcongate.wire.api_key import PREFIX, KeyText, key_in_bearer, parse_key

if TYPE_CHECKING:
    from falcongate.config.settings import GatewaySettings
    from falcongate.exchange import Exchange
    from falcongate.state.api_keys import ApiKey, KeyStore

_log = logging.getLogger("falcongate")

_MAX_KNOWN: Final = 10_000
# News are pushed; this is for the news that nobody knows were lost.
_SURE_FOR_S: Final = 30.0
_UNKNOWN_FOR_S: Final = 5.0
_OTHER_SECRET_AGAIN_S: Final = 1.0
_WITHOUT_STORE_S: Final = 900.0
_RETRY_AFTER_S: Final = 1
# SECURITY: the same for all, so that nobody learns which keys there are, or were.
_NOT_VALID: Final = "the key is not valid"
_ENDED: Final = "the key has expired"


class _Known(NamedTuple):
    """A key as it was at `since` (monotonic seconds): the digest of each good secret, and who has it."""

    since: float
    secrets: tuple[tuple[bytes, Caller], ...]


class ApiKeys:
    """The API keys of one worker; a kind of `Credentials`."""

    kind = "api_key"

    def __init__(self, store: KeyStore) -> None:
        self._store = store
        self._known: Recent[str, _Known] = Recent(_MAX_KNOWN)
        self._unknown: Recent[str, float] = Recent(_MAX_KNOWN)
        self._asked: dict[str, AsyncResult[ApiKey | None]] = {}
        self._changes = 0
        self._sure_since = 0.0
        store.subscribe_keys(self._hear, self._doubt)

    def find(self, exchange: Exchange) -> Caller | None:
        """Whose key the request has, None if it has none of ours.

        Raises Unauthorized for one that is not valid, and CredentialsUnknown for one that is not known and
        cannot be asked for. Waits for the shared state only where memory is not sure.
        """
        text = _text_in(exchange)
        if not text:
            return None
        key = parse_key(text)
        if key is None:
            raise Unauthorized(_NOT_VALID)
        now = exchange.started
        known = self._known.get(key.id)
        if known is None or not self._is_sure(known, now):
            known = self._look(exchange, key, known)
        caller = _owner(known, key.digest)
        if caller is None and known.secrets and now - known.since > _OTHER_SECRET_AGAIN_S:
            # It may have been rotated a moment ago; who guesses makes one question a second of this.
            caller = _owner(self._look(exchange, key, None), key.digest)
        if caller is None:
            raise Unauthorized(_NOT_VALID)
        if caller.ends_at <= now:
            raise Unauthorized(_ENDED)
        return caller

    def is_void(self, caller: Caller) -> bool:
        """Whether the key of a caller that was let pass was revoked since, or its secret. Does not wait.

        What is not sure is asked for in the background: ask again a little later.
        """
        if caller.kind != "api_key":
            return False
        now = monotonic()
        known = self._known.get(caller.name)
        if known is None or not self._is_sure(known, now):
            self._look_soon(caller.name)
        if known is None:
            return False
        owner = _owner(known, caller.mark)
        return owner is None or owner.ends_at <= now

    def _is_sure(self, known: _Known, now: float) -> bool:
        return known.since >= self._sure_since and now - known.since <= _SURE_FOR_S

    def _look_soon(self, key_id: str) -> None:
        def look() -> None:
            since, changes = monotonic(), self._changes
            with suppress(StoreAway):
                found = self._ask(key_id)
                if changes == self._changes:
                    self._known[key_id] = _Known(since, _secrets_of(found, since) if found else ())

        if key_id not in self._asked:
            gevent.spawn(look)

    def _look(self, exchange: Exchange, key: KeyText, known: _Known | None) -> _Known:
        """What the shared state says of a key; while it is away `known`, for as long as that may be used."""
        until = self._unknown.get(key.id)
        if until is not None and exchange.started < until:
            raise Unauthorized(_NOT_VALID)
        since, changes = monotonic(), self._changes
        try:
            found = self._ask(key.id)
        except StoreAway:
            exchange.waited_in_vain = True
            if known is not None and since - known.since <= _WITHOUT_STORE_S:
                return known
            raise CredentialsUnknown(retry_after_s=_RETRY_AFTER_S) from None
        # A change may have overtaken the answer: then it is good for this request, and not kept.
        is_lasting = changes == self._changes
        if found is None:
            self._known.pop(key.id)
            if is_lasting:
                self._unknown[key.id] = since + _UNKNOWN_FOR_S
            raise Unauthorized(_NOT_VALID)
        known = _Known(since, _secrets_of(found, since))
        if is_lasting:
            self._known[key.id] = known
        return known

    def _ask(self, key_id: str) -> ApiKey | None:
        """The key, with one question for all who want it at the same time. Raises StoreAway."""
        under_way = self._asked.get(key_id)
        if under_way is not None:
            found: ApiKey | None = under_way.get()
            return found
        answer: AsyncResult[ApiKey | None] = AsyncResult()
        self._asked[key_id] = answer
        try:
            found = self._store.find_key(key_id)
        except BaseException as error:
            # Whatever ended this one's waiting, the others must not wait for ever.
            answer.set_exception(StoreAway(str(error)))
            raise
        finally:
            del self._asked[key_id]
        answer.set(found)
        return found

    def _hear(self, key_id: str) -> None:
        self._changes += 1
        self._known.pop(key_id)
        self._unknown.pop(key_id)

    def _doubt(self) -> None:
        """News may have been missed: nothing is sure any more, and good enough only without the store."""
        self._changes += 1
        self._sure_since = monotonic()


def api_keys_of(settings: GatewaySettings, store: KeyStore) -> tuple[ApiKeys, ...]:
    """The API keys of a configuration that has a rule for which one is good, else none."""
    rules = settings.access.values()
    is_asked = any(rule.identity != "off" and "api_key" in rule.accept for rule in rules)
    return (ApiKeys(store),) if is_asked else ()


def _text_in(exchange: Exchange) -> str:
    """The key that a request has; "" without one. What services call a key is none of ours."""
    text: str = exchange.environ.get("HTTP_X_API_KEY", "")
    return text if text.startswith(PREFIX) else key_in_bearer(exchange.environ.get("HTTP_AUTHORIZATION", ""))


def _owner(known: _Known, digest: bytes) -> Caller | None:
    owner = None
    for good, caller in known.secrets:
        if compare_digest(good, digest):
            owner = caller
    return owner


def _secrets_of(key: ApiKey, since: float) -> tuple[tuple[bytes, Caller], ...]:
    """The good secrets; none of a key that was revoked. `since` is the key's `now_s`, or just before."""
    if key.revoked_s:
        return ()
    ends_s = key.ends_s or float("inf")
    services = frozenset(key.services) or None

    def secret(digest: str, until_s: float) -> tuple[bytes, Caller]:
        ends_at = since + until_s - key.now_s
        mark = bytes.fromhex(digest)
        return mark, Caller("api_key", key.id, ends_at=ends_at, services=services, rates=key.rates, mark=mark)

    try:
        for rate in key.rates:
            parse_rate(rate)
        new = secret(key.digest, ends_s)
        return (new, secret(key.old_digest, min(ends_s, key.old_ends_s))) if key.old_digest else (new,)
    except ValueError:
        _log.warning("The API key %s cannot be read in the shared state, and counts for nothing", key.id)
        return ()
