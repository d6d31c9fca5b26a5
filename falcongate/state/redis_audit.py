"""The audit stream in Redis: which key, which script, and what its answer means."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from falcongate.state.audit import MAX_CHANGES, Change, Noted
from falcongate.state.keys import AUDIT
from falcongate.state.redis_call import Script

if TYPE_CHECKING:
    from collections.abc import Sequence

    from falcongate.state.redis_call import Line

_NOTE: Final = Script("audit_note")


class RedisAudit:
    """The `AuditLog` of all workers and hosts."""

    _line: Line

    def note_change(self, change: Change) -> None:
        """As `AuditLog` says."""
        self._line.call(_NOTE, [AUDIT], [MAX_CHANGES, *change])

    def changes(self, count: int) -> Sequence[Noted]:
        """As `AuditLog` says."""
        told = self._line.command("XREVRANGE", AUDIT, "+", "-", "COUNT", count)
        return tuple(_noted(dict(zip(fields[::2], fields[1::2], strict=True))) for _, fields in told)


def _noted(told: dict[str, str]) -> Noted:
    change = Change(told["who"], told["from"], told["did"], told["on"], told["why"])
    return Noted(float(told["at_s"]), change)
