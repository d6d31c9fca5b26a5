"""Revocations and published keys in Redis: which keys, which script, and what its answer means."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Final

from falcongate.state.clock import whole_ms
from falcongate.state.keys import REVOCATIONS, REVOKED, key_set_key
from falcongate.state.redis_call import Script
from falcongate.state.tokens import MOST_REVOKED, KeyDocument, Revocation

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from falcongate.state.redis_call import Line

_REVOKE: Final = Script("revoke")
_RESTORE: Final = Script("restore")
_LIST: Final = Script("revocations")
_NOTE: Final = Script("keys_note")
_FIND: Final = Script("keys_find")


class RedisTokens:
    """The `TokenStore` of all workers and hosts."""

    _line: Line

    def revoke(self, member: str, *, for_s: float, by: str, why: str) -> Revocation | None:
        """As `TokenStore` says."""
        arguments: list[str | int] = [REVOCATIONS, MOST_REVOKED, member, whole_ms(for_s), by, why]
        told = self._line.call(_REVOKE, REVOKED, arguments)
        return _revocation(told) if told else None

    def restore(self, member: str) -> bool:
        """As `TokenStore` says."""
        return bool(self._line.call(_RESTORE, REVOKED, [REVOCATIONS, member]) == 1)

    def revocations(self) -> Sequence[Revocation]:
        """As `TokenStore` says."""
        now_s, *told = self._line.call(_LIST, REVOKED, [])
        return tuple(_revocation(one)._replace(now_s=float(now_s)) for one in told)

    def subscribe_revocations(
        self, on_news: Callable[[Revocation], None], on_gap: Callable[[], None]
    ) -> None:
        """As `TokenStore` says."""
        self._line.subscribe(REVOCATIONS, lambda told: on_news(_revocation(told)), on_subscribed=on_gap)

    def note_keys(self, url: str, text: str, *, for_s: int, age_s: float = 0) -> None:
        """As `TokenStore` says."""
        self._line.call(_NOTE, [key_set_key(url)], [text, for_s, whole_ms(age_s)])

    def find_keys(self, url: str) -> KeyDocument | None:
        """As `TokenStore` says."""
        found = self._line.call(_FIND, [key_set_key(url)], [])
        return KeyDocument(found[0], found[1] / 1000) if found else None


def _revocation(told: str) -> Revocation:
    return Revocation(**json.loads(told))
