"""The shared state in Redis, for all workers of all hosts."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from falcongate.state.clock import whole_ms
from falcongate.state.heartbeat import Host
from falcongate.state.keys import HOSTS, plain
from falcongate.state.redis_api_keys import RedisApiKeys
from falcongate.state.redis_audit import RedisAudit
from falcongate.state.redis_breaker import RedisBreakers
from falcongate.state.redis_call import Script
from falcongate.state.redis_decisions import RedisDecisions
from falcongate.state.redis_limits import RedisLimits
from falcongate.state.redis_sessions import RedisSessions
from falcongate.state.redis_tokens import RedisTokens
from falcongate.state.redis_totals import RedisTotals

if TYPE_CHECKING:
    from collections.abc import Sequence

_HOSTS: Final = Script("hosts")


class RedisState(
    RedisLimits,
    RedisBreakers,
    RedisSessions,
    RedisApiKeys,
    RedisTokens,
    RedisAudit,
    RedisDecisions,
    RedisTotals,
):
    """A `SharedState`: limits, places, breakers and all else from its parts, and who is alive.

    With `is_cluster`, what belongs to different callers or breakers may lie on different servers.
    """

    @property
    def is_degraded(self) -> bool:
        """As `SharedState` says."""
        return self._line.is_degraded

    def beat(self, host: str, *, says: str, ttl_s: float) -> Sequence[Host]:
        """As `SharedState` says."""
        return self._ask_hosts(plain(host), whole_ms(ttl_s), says)

    def hosts(self) -> Sequence[Host]:
        """As `SharedState` says."""
        return self._ask_hosts("", 0, "")

    def _ask_hosts(self, name: str, ttl_ms: int, says: str) -> Sequence[Host]:
        told = self._line.call(_HOSTS, [HOSTS], [name, ttl_ms, says])
        return tuple(Host(*pair) for pair in sorted(zip(told[::2], told[1::2], strict=True)))
