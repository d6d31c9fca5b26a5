"""What the shared state knows of tokens: which are revoked, and the keys that issuers have published."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple, Protocol

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


class MemoryTokens:
    """The same in this process. Nothing here waits; `now_ms` is the store's time."""

    def __init__(self) -> None:
        self._revoked: dict[str, Revocation] = {}
        self._listeners: list[Callable[[Revocation], None]] = []
        self._keys: dict[str, tuple[str, int, int]] = {}

    def revoke(self, asked: Revocation, now_ms: int) -> Revocation | None:
        """`ends_s` of what is asked are the seconds that it lasts."""
        self._forget(now_ms)
        known = self._revoked.get(asked.member)
        if known is None and len(self._revoked) >= MOST_REVOKED:
            return None
        now_s = now_ms / 1000
        ends_s = max(now_s + asked.ends_s, known.ends_s if known else 0)
        made = asked._replace(at_s=now_s, now_s=now_s, ends_s=ends_s)
        self._revoked[asked.member] = made
        self._tell(made)
        return made

    def restore(self, member: str, now_ms: int) -> bool:
        """Whether there was one to take back."""
        self._forget(now_ms)
        if self._revoked.pop(member, None) is None:
            return False
        self._tell(Revocation(member, 0, 0, now_ms / 1000))
        return True

    def revocations(self, now_ms: int) -> Sequence[Revocation]:
        """All that hold."""
        self._forget(now_ms)
        known = sorted(self._revoked.values(), key=lambda one: (one.ends_s, one.member))
        return tuple(one._replace(now_s=now_ms / 1000) for one in known)

    def subscribe(self, listener: Callable[[Revocation], None]) -> None:
        """Tell it each from now on."""
        self._listeners.append(listener)

    def note_keys(self, url: str, text: str, *, for_ms: int, age_ms: int, now_ms: int) -> None:
        """Remember them, unless what is known was fetched later."""
        known, at_ms, ends_ms = self._kept(url, now_ms)
        if now_ms - age_ms >= at_ms:
            known, at_ms = text, now_ms - age_ms
        self._keys[url] = (known, at_ms, max(ends_ms, now_ms + for_ms))

    def find_keys(self, url: str, now_ms: int) -> KeyDocument | None:
        """What was noted."""
        text, at_ms, _ = self._kept(url, now_ms)
        return KeyDocument(text, (now_ms - at_ms) / 1000) if text else None

    def _kept(self, url: str, now_ms: int) -> tuple[str, int, int]:
        kept = self._keys.get(url, _NO_KEYS)
        return kept if kept[2] > now_ms else _NO_KEYS

    def _forget(self, now_ms: int) -> None:
        self._revoked = {name: one for name, one in self._revoked.items() if one.ends_s > now_ms / 1000}

    def _tell(self, news: Revocation) -> None:
        for listener in self._listeners:
            listener(news)
