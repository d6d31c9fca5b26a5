"""What lies in a Redis, read as it is."""

from __future__ import annotations

from tests.contract.stores import Opened


def fields(opened: Opened, key: str) -> dict[str, str]:
    """A hash."""
    found = opened.line.command("HGETALL", key)
    return dict(zip(found[::2], found[1::2], strict=True))


def lifetime_s(opened: Opened, key: str) -> float:
    """How long a key lives."""
    return opened.line.command("PTTL", key) / 1000


def keys(opened: Opened) -> set[str]:
    """All keys that there are."""
    return set(opened.line.command("KEYS", "falcongate:*"))
