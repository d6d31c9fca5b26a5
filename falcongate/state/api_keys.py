"""API keys as all workers and hosts know them: never a secret, only what it is known by again."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final, NamedTuple, Protocol

from falcongate.state.in_process import InProcess, asked

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


class NewKey(NamedTuple):
    """A key that is to be made: it holds for `for_s` seconds, 0 for until it is revoked."""

    id: str
    digest: str
    name: str
    by: str
    for_s: float = 0.0
    services: tuple[str, ...] = ()
    rates: tuple[str, ...] = ()


class KeyStore(Protocol):
    """The part of the shared state that knows API keys; see `SharedState`."""

    def create_key(self, new: NewKey) -> ApiKey | None:
        """Make it; None if the id is taken."""
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


class MemoryKeys(InProcess):
    """A `KeyStore` in this process."""

    def __init__(self, *how: Any, **also: Any) -> None:
        super().__init__(*how, **also)
        self._keys: dict[str, ApiKey] = {}
        self._key_listeners: list[Callable[[str], None]] = []

    @asked
    def create_key(self, new: NewKey) -> ApiKey | None:
        """As `KeyStore` says."""
        now_s = self._clock() / 1000
        if self._kept_key(new.id, now_s) is not None:
            return None
        ends_s = now_s + new.for_s if new.for_s else 0.0
        made = ApiKey(new.id, new.name, new.digest, now_s, new.by, ends_s, new.services, new.rates)
        return self._save_key(made, now_s)

    @asked
    def find_key(self, key_id: str) -> ApiKey | None:
        """As `KeyStore` says."""
        return self._kept_key(key_id, self._clock() / 1000)

    @asked
    def list_keys(self) -> Sequence[ApiKey]:
        """As `KeyStore` says."""
        now_s = self._clock() / 1000
        found = (self._kept_key(key_id, now_s) for key_id in self._keys)
        return sorted((key for key in found if key), key=lambda key: (key.created_s, key.id))

    @asked
    def rotate_key(
        self, key_id: str, digest: str, *, grace_s: float, for_s: float | None = None
    ) -> ApiKey | None:
        """As `KeyStore` says."""
        now_s = self._clock() / 1000
        key = self._kept_key(key_id, now_s)
        if key is None or key.revoked_s:
            return None
        ends_s = key.ends_s if for_s is None else now_s + for_s if for_s else 0.0
        old = (key.digest, now_s + grace_s) if grace_s else ("", 0.0)
        changed = replace(
            key, digest=digest, ends_s=ends_s, rotated_s=now_s, old_digest=old[0], old_ends_s=old[1]
        )
        return self._save_key(changed, now_s)

    @asked
    def revoke_key(self, key_id: str, *, why: str) -> ApiKey | None:
        """As `KeyStore` says."""
        now_s = self._clock() / 1000
        key = self._kept_key(key_id, now_s)
        if key is None or key.revoked_s:
            return key
        return self._save_key(replace(key, revoked_s=now_s, why=why), now_s)

    def subscribe_keys(self, on_change: Callable[[str], None], on_gap: Callable[[], None]) -> None:
        """As `KeyStore` says."""
        self._key_listeners.append(on_change)
        on_gap()

    def _kept_key(self, key_id: str, now_s: float) -> ApiKey | None:
        """The key as it is now."""
        key = self._keys.get(key_id)
        return None if key is None or _forgotten_s(key) <= now_s else replace(key, now_s=now_s)

    def _save_key(self, key: ApiKey, now_s: float) -> ApiKey:
        self._keys[key.id] = key
        for listener in self._key_listeners:
            listener(key.id)
        return replace(key, now_s=now_s)


def _forgotten_s(key: ApiKey) -> float:
    ends_s = key.revoked_s or key.ends_s
    return ends_s + KEPT_S if ends_s else float("inf")
