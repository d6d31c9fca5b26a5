"""What a look at something has shown, and what to do about it, as values."""

from __future__ import annotations

from enum import StrEnum
from typing import NamedTuple


class Level(StrEnum):
    """How much a finding matters: a problem will fail requests or break a promise, a warning may."""

    OK = "ok"
    WARNING = "warning"
    PROBLEM = "problem"


class Finding(NamedTuple):
    """One thing that was looked at: what was found, and what to do; "" if there is nothing to do."""

    level: Level
    found: str
    remedy: str = ""


def ok(found: str) -> Finding:
    """All is well with it."""
    return Finding(Level.OK, found)


def warning(found: str, remedy: str) -> Finding:
    """It works, and may not for long, or promises less than it seems to."""
    return Finding(Level.WARNING, found, remedy)


def problem(found: str, remedy: str) -> Finding:
    """It does not work, or a promise of the gateway is not kept."""
    return Finding(Level.PROBLEM, found, remedy)
