"""What the shared state knows of tokens: which are revoked, and the keys that issuers have published."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final, NamedTuple, Protocol

from falcongate.errors import StoreAway
from falcongate.state.clock import whole_ms
from falcongate.state.in_process import InProcess, asked

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

MOST_REVOKED: Final = 10_000
"""How many revocations there may be: every worker knows them all."""

KEYS_LIFE_S: Final = 7 * 24 * 3600
"""For how long published keys are remembered that nobody has fetched again."""

UNPROVEN_KEYS_LIFE_S: Final = 60
"""The same of keys with which nobody has proven a token yet: whose they are, anybody can make up."""

_NO_KEYS: Final = ("", 0, 0)


class Revocation(NamedTuple):
    """What is not valid any more, as it was at `now_s`. Times are Unix seconds of the store's clock.

    `member` is `jti:ID` or `sub:ISSUER:SUBJECT`. Of a subject only what was issued until `at_s` is void.
    It holds until `ends_s`; one that was taken back ends at once.
    """

    member: str
    at_s: float
    ends_s: float
    now_s: float
    by: str = ""
    why: str = ""


class KeyDocument(NamedTuple):
    """The keys of an issuer as it published them, JSON, and how many seconds ago they were fetched."""

    text: str
    age_s: float


class TokenStore(Protocol):
    """The part of the shared state that tokens need; see `SharedState`."""

    def revoke(self, member: str, *, for_s: float, by: str, why: str) -> Revocation | None:
        """Make it void for that long, and tell all; None if there are as many as there may be.

        One that is void already is so from now, and not for less long than before.
        """
        ...

    def restore(self, member: str) -> bool:
        """Take a revocation back, and tell all; False if there was none."""
        ...

    def revocations(self) -> Sequence[Revocation]:
        """All that hold, those that end first at the beginning."""
        ...

    def subscribe_revocations(
        self, on_news: Callable[[Revocation], None], on_gap: Callable[[], None]
    ) -> None:
        """Be told each from now on. Does not wait for Redis.

        `on_gap` is called at the beginning and whenever some may have been missed: read all `revocations`
        then. If that raises StoreAway it is called again.
        """
        ...

    def note_keys(self, url: str, text: str, *, for_s: int, age_s: float = 0) -> None:
        """Remember for that long what was fetched from an issuer so many seconds ago.

        What was fetched later stays; what is remembered for longer already remains so.
        """
        ...

    def find_keys(self, url: str) -> KeyDocument | None:
        """What any worker has fetched last; None if that is too long ago."""
        ...


class MemoryTokens(InProcess):
    """A `TokenStore` in this process."""

    def __init__(self, *how: Any, **also: Any) -> None:
        super().__init__(*how, **also)
        self._revoked: dict[str, Revocation] = {}
        self._revocation_listeners: list[Callable[[Revocation], None]] = []
        self._published: dict[str, tuple[str, int, int]] = {}

    @asked
    def revoke(self, member: str, *, for_s: float, by: str, why: str) -> Revocation | None:
        """As `TokenStore` says."""
        now_ms = self._forget_revoked()
        known = self._revoked.get(member)
        if known is None and len(self._revoked) >= MOST_REVOKED:
            return None
        now_s = now_ms / 1000
        ends_s = max((now_ms + whole_ms(for_s)) / 1000, known.ends_s if known else 0)
        made = self._revoked[member] = Revocation(member, now_s, ends_s, now_s, by, why)
        self._tell_revocation(made)
        return made

    @asked
    def restore(self, member: str) -> bool:
        """As `TokenStore` says."""
        now_ms = self._forget_revoked()
        if self._revoked.pop(member, None) is None:
            return False
        self._tell_revocation(Revocation(member, 0, 0, now_ms / 1000))
        return True

    @asked
    def revocations(self) -> Sequence[Revocation]:
        """As `TokenStore` says."""
        now_ms = self._forget_revoked()
        known = sorted(self._revoked.values(), key=lambda one: (one.ends_s, one.member))
        return tuple(one._replace(now_s=now_ms / 1000) for one in known)

    def subscribe_revocations(
        self, on_news: Callable[[Revocation], None], on_gap: Callable[[], None]
    ) -> None:
        """As `TokenStore` says; nobody calls again here."""
        self._revocation_listeners.append(on_news)
        with suppress(StoreAway):
            on_gap()

    @asked
    def note_keys(self, url: str, text: str, *, for_s: int, age_s: float = 0) -> None:
        """As `TokenStore` says."""
        now_ms = self._clock()
        fetched_ms = now_ms - whole_ms(age_s)
        known, at_ms, ends_ms = self._kept_keys(url, now_ms)
        if fetched_ms >= at_ms:
            known, at_ms = text, fetched_ms
        self._published[url] = (known, at_ms, max(ends_ms, now_ms + for_s * 1000))

    @asked
    def find_keys(self, url: str) -> KeyDocument | None:
        """As `TokenStore` says."""
        now_ms = self._clock()
        text, at_ms, _ = self._kept_keys(url, now_ms)
        return KeyDocument(text, (now_ms - at_ms) / 1000) if text else None

    def _kept_keys(self, url: str, now_ms: int) -> tuple[str, int, int]:
        kept = self._published.get(url, _NO_KEYS)
        return kept if kept[2] > now_ms else _NO_KEYS

    def _forget_revoked(self) -> int:
        """Forget what has ended; what time it is."""
        now_ms = self._clock()
        self._revoked = {name: one for name, one in self._revoked.items() if one.ends_s > now_ms / 1000}
        return now_ms

    def _tell_revocation(self, news: Revocation) -> None:
        for listener in self._revocation_listeners:
            listener(news)
