"""What the shared state knows of tokens: which are revoked, and the keys that issuers have published."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

MOST_REVOKED: Final = 10_000
"""How many revocations there may be: every worker knows them all."""

KEYS_LIFE_S: Final = 7 * 24 * 3600
"""For how long published keys are remembered that nobody has fetched again."""


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

    def note_keys(self, url: str, text: str) -> None:
        """Remember what was just fetched from an issuer."""
        ...

    def find_keys(self, url: str) -> KeyDocument | None:
        """What any worker has fetched last; None if that is too long ago."""
        ...


class MemoryTokens:
    """The same in this process. Nothing here waits; `now_ms` is the store's time."""

    def __init__(self) -> None:
        self._revoked: dict[str, Revocation] = {}
        self._listeners: list[Callable[[Revocation], None]] = []
        self._keys: dict[str, tuple[str, int]] = {}

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

    def note_keys(self, url: str, text: str, now_ms: int) -> None:
        """Remember them."""
        self._keys[url] = (text, now_ms)

    def find_keys(self, url: str, now_ms: int) -> KeyDocument | None:
        """What was noted."""
        text, at_ms = self._keys.get(url, ("", 0))
        age_s = (now_ms - at_ms) / 1000
        return KeyDocument(text, age_s) if text and age_s < KEYS_LIFE_S else None

    def _forget(self, now_ms: int) -> None:
        self._revoked = {name: one for name, one in self._revoked.items() if one.ends_s > now_ms / 1000}

    def _tell(self, news: Revocation) -> None:
        for listener in self._listeners:
            listener(news)
