"""API keys as all workers and hosts know them: never a secret, only what it is known by again."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

KEPT_S: Final = 30 * 24 * 3600
"""For how long a key that has ended or was revoked can still be looked at."""


@dataclass(frozen=True, slots=True)
class ApiKey:
    """A key as it was at `now_s`. Times are seconds of the store's clock, 0 for never.

    `digest` is the SHA-256 of its secret in hex. After a rotation the secret before it, by `old_digest`,
    is good until `old_ends_s`. `services` are those that it may ask, empty for all; `rates` its own limits.
    `why` is the reason of its revocation.
    """

    id: str
    name: str
    digest: str
    created_s: float
    by: str
    ends_s: float = 0.0
    services: tuple[str, ...] = ()
    rates: tuple[str, ...] = ()
    rotated_s: float = 0.0
    old_digest: str = ""
    old_ends_s: float = 0.0
    revoked_s: float = 0.0
    why: str = ""
    now_s: float = 0.0


class KeyStore(Protocol):
    """The part of the shared state that knows API keys; see `SharedState`."""

    def create_key(
        self,
        key_id: str,
        digest: str,
        *,
        name: str,
        by: str,
        for_s: float = 0.0,
        services: Sequence[str] = (),
        rates: Sequence[str] = (),
    ) -> ApiKey | None:
        """A new key that holds for `for_s` seconds, 0 for until it is revoked; None if the id is taken."""
        ...

    def find_key(self, key_id: str) -> ApiKey | None:
        """The key of this id, also if it has ended or was revoked; None if there is none any more."""
        ...

    def list_keys(self) -> Sequence[ApiKey]:
        """All keys that `find_key` would find, the oldest first. Not one step: keys may come and go."""
        ...

    def rotate_key(
        self, key_id: str, digest: str, *, grace_s: float, for_s: float | None = None
    ) -> ApiKey | None:
        """Give it another secret; the present one is good for `grace_s` seconds more, older ones end now.

        It holds for `for_s` seconds from now, 0 without an end; None: its end stays as it is. None if there
        is no such key or it was revoked.
        """
        ...

    def revoke_key(self, key_id: str, *, why: str) -> ApiKey | None:
        """End it at once, for good; what was said first stays. None if there is no such key."""
        ...

    def subscribe_keys(self, on_change: Callable[[str], None], on_gap: Callable[[], None]) -> None:
        """Be told the id of each key that is created or changed from now on. Does not wait.

        `on_gap` is called at the beginning and whenever some may have been missed.
        """
        ...


class MemoryKeys:
    """Keys in this process; `KeyStore` says the rest. Nothing here waits; `now_ms` is the store's time."""

    def __init__(self) -> None:
        self._keys: dict[str, ApiKey] = {}
        self._listeners: list[Callable[[str], None]] = []

    def create(self, key: ApiKey, *, for_s: float, now_ms: int) -> ApiKey | None:
        """Keep it, with the times that its creation gives it."""
        if self.find(key.id, now_ms) is not None:
            return None
        now_s = now_ms / 1000
        return self._save(replace(key, created_s=now_s, ends_s=now_s + for_s if for_s else 0.0), now_s)

    def find(self, key_id: str, now_ms: int) -> ApiKey | None:
        """The key as it is now."""
        key = self._keys.get(key_id)
        if key is None or _forgotten_s(key) <= now_ms / 1000:
            return None
        return replace(key, now_s=now_ms / 1000)

    def all(self, now_ms: int) -> Sequence[ApiKey]:
        """Those that are not forgotten, the oldest first."""
        found = (self.find(key_id, now_ms) for key_id in self._keys)
        return sorted((key for key in found if key), key=lambda key: (key.created_s, key.id))

    def rotate(
        self, key_id: str, digest: str, *, grace_s: float, for_s: float | None, now_ms: int
    ) -> ApiKey | None:
        """Another secret."""
        key = self.find(key_id, now_ms)
        if key is None or key.revoked_s:
            return None
        now_s = now_ms / 1000
        ends_s = key.ends_s if for_s is None else now_s + for_s if for_s else 0.0
        old = (key.digest, now_s + grace_s) if grace_s else ("", 0.0)
        changed = replace(
            key, digest=digest, ends_s=ends_s, rotated_s=now_s, old_digest=old[0], old_ends_s=old[1]
        )
        return self._save(changed, now_s)

    def revoke(self, key_id: str, *, why: str, now_ms: int) -> ApiKey | None:
        """The end of it."""
        key = self.find(key_id, now_ms)
        if key is None or key.revoked_s:
            return key
        return self._save(replace(key, revoked_s=now_ms / 1000, why=why), now_ms / 1000)

    def subscribe(self, on_change: Callable[[str], None]) -> None:
        """Tell each change from now on."""
        self._listeners.append(on_change)

    def _save(self, key: ApiKey, now_s: float) -> ApiKey:
        self._keys[key.id] = key
        for listener in self._listeners:
            listener(key.id)
        return replace(key, now_s=now_s)


def _forgotten_s(key: ApiKey) -> float:
    ends_s = key.revoked_s or key.ends_s
    return ends_s + KEPT_S if ends_s else float("inf")
