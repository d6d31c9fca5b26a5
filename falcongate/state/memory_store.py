"""The shared state in one process: the same answers as Redis gives, and what its scripts are held to.

Nothing is shared with another process. It can be made to fail as the real store fails.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from falcongate.state.api_keys import MemoryKeys
from falcongate.state.audit import MemoryAudit
from falcongate.state.clock import whole_ms
from falcongate.state.decisions import MemoryDecisions
from falcongate.state.heartbeat import Host
from falcongate.state.in_process import asked
from falcongate.state.memory_breaker import MemoryBreakers
from falcongate.state.memory_limits import MemoryLeases, MemoryLimits
from falcongate.state.memory_totals import MemoryTotals
from falcongate.state.sessions import MemorySessions
from falcongate.state.tokens import MemoryTokens

if TYPE_CHECKING:
    from collections.abc import Sequence


class MemoryState(
    MemoryLimits,
    MemoryLeases,
    MemoryBreakers,
    MemorySessions,
    MemoryKeys,
    MemoryTokens,
    MemoryAudit,
    MemoryDecisions,
    MemoryTotals,
):
    """A `SharedState` in this process, from its parts, and who is alive. `InProcess` says how it is made."""

    def __init__(self, *how: Any, **also: Any) -> None:
        super().__init__(*how, **also)
        self._hosts: dict[str, tuple[int, str]] = {}

    @property
    def is_degraded(self) -> bool:
        """As `SharedState` says."""
        return self.fault is not None

    @asked
    def beat(self, host: str, *, says: str, ttl_s: float) -> Sequence[Host]:
        """As `SharedState` says."""
        self._hosts[host] = (self._clock() + whole_ms(ttl_s), says)
        return self._alive()

    @asked
    def hosts(self) -> Sequence[Host]:
        """As `SharedState` says."""
        return self._alive()

    def _alive(self) -> Sequence[Host]:
        now_ms = self._clock()
        self._hosts = {name: said for name, said in self._hosts.items() if said[0] > now_ms}
        return tuple(Host(name, says) for name, (_, says) in sorted(self._hosts.items()))
