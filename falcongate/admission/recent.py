"""What was noted last by key, as much as there is room for."""

from __future__ import annotations

from typing import Final, Generic, TypeVar

_Key = TypeVar("_Key")
_Value = TypeVar("_Value")

_MOST: Final = 10_000


class Recent(Generic[_Key, _Value]):
    """Remembers at least the last `most` keys and at most twice as many.

    PERF: two dicts, of which the older is forgotten when the newer is full; callers choose the keys,
    and an order by use would cost more than all that is asked here.
    """

    __slots__ = ("_most", "_new", "_old")

    def __init__(self, most: int = _MOST) -> None:
        self._most = most
        self._new: dict[_Key, _Value] = {}
        self._old: dict[_Key, _Value] = {}

    def __len__(self) -> int:
        """How many entries, those noted twice counted twice."""
        return len(self._new) + len(self._old)

    def __setitem__(self, key: _Key, value: _Value) -> None:
        if len(self._new) >= self._most:
            self._old, self._new = self._new, {}
        self._new[key] = value

    def get(self, key: _Key) -> _Value | None:
        """What was noted last, or None."""
        value = self._new.get(key)
        return self._old.get(key) if value is None else value

    def pop(self, key: _Key) -> _Value | None:
        """The same, and forget it."""
        old = self._old.pop(key, None)
        return self._new.pop(key, old)
