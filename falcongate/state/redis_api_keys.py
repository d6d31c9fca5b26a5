"""API keys in Redis: which keys, which script, and what its answer means."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from falcongate.state.api_keys import KEPT_S, ApiKey
from falcongate.state.keys import API_KEY_CHANGES, API_KEYS, api_key_key
from falcongate.state.redis_call import Script

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from falcongate.state.api_keys import NewKey
    from falcongate.state.redis_call import Line

_CREATE: Final = Script("api_key_create")
_FIND: Final = Script("api_key_find")
_INDEX: Final = Script("api_key_index")
_ROTATE: Final = Script("api_key_rotate")
_REVOKE: Final = Script("api_key_revoke")
_AT_ONCE: Final = 500


class RedisApiKeys:
    """The `KeyStore` of all workers and hosts. In a cluster each key may lie on another server."""

    _line: Line
    _is_cluster: bool

    def create_key(self, new: NewKey) -> ApiKey | None:
        """As `KeyStore` says."""
        # First, as nobody could find a key that is on no list; one that is only listed is passed over.
        self._index(new.id, new.for_s and new.for_s + KEPT_S)
        told = (API_KEY_CHANGES, new.id, new.digest, new.name, new.by)
        lists = (" ".join(new.services), " ".join(new.rates))
        return self._one(_CREATE, new.id, *told, *lists, repr(new.for_s), KEPT_S)

    def find_key(self, key_id: str) -> ApiKey | None:
        """As `KeyStore` says."""
        return next(self._found([key_id]), None)

    def list_keys(self) -> Sequence[ApiKey]:
        """As `KeyStore` says."""
        ids = self._line.command("ZRANGE", API_KEYS, 0, -1)
        step = 1 if self._is_cluster else _AT_ONCE
        found = [key for at in range(0, len(ids), step) for key in self._found(ids[at : at + step])]
        return sorted(found, key=lambda key: (key.created_s, key.id))

    def rotate_key(
        self, key_id: str, digest: str, *, grace_s: float, for_s: float | None = None
    ) -> ApiKey | None:
        """As `KeyStore` says."""
        length = "" if for_s is None else repr(for_s)
        key = self._one(_ROTATE, key_id, API_KEY_CHANGES, key_id, digest, repr(grace_s), length, KEPT_S)
        if key is not None and for_s is not None:
            self._index(key_id, for_s and for_s + KEPT_S)
        return key

    def revoke_key(self, key_id: str, *, why: str) -> ApiKey | None:
        """As `KeyStore` says."""
        key = self._one(_REVOKE, key_id, API_KEY_CHANGES, key_id, why, KEPT_S)
        if key is not None:
            self._index(key_id, KEPT_S)
        return key

    def subscribe_keys(self, on_change: Callable[[str], None], on_gap: Callable[[], None]) -> None:
        """As `KeyStore` says."""
        self._line.subscribe(API_KEY_CHANGES, on_change, on_subscribed=on_gap)

    def _index(self, key_id: str, for_s: float) -> None:
        self._line.call(_INDEX, [API_KEYS], [key_id, repr(for_s)])

    def _one(self, script: Script, key_id: str, *arguments: str | int) -> ApiKey | None:
        told = self._line.call(script, [api_key_key(key_id)], arguments)
        return _key(key_id, *told) if told else None

    def _found(self, ids: Sequence[str]) -> Iterator[ApiKey]:
        now_s, *all_fields = self._line.call(_FIND, [api_key_key(key_id) for key_id in ids], [])
        for key_id, fields in zip(ids, all_fields, strict=True):
            if fields:
                yield _key(key_id, now_s, fields)


def _key(key_id: str, now_s: str, fields: list[str]) -> ApiKey:
    told: dict[str, Any] = dict(zip(fields[::2], fields[1::2], strict=True))

    def moment(field: str) -> float:
        return float(told.get(field, 0))

    return ApiKey(
        key_id,
        told["name"],
        told["digest"],
        moment("created_s"),
        told["by"],
        ends_s=moment("ends_s"),
        services=tuple(told["services"].split()),
        rates=tuple(told["rate"].split()),
        rotated_s=moment("rotated_s"),
        old_digest=told.get("old_digest", ""),
        old_ends_s=moment("old_ends_s"),
        revoked_s=moment("revoked_s"),
        why=told.get("why", ""),
        now_s=float(now_s),
    )
