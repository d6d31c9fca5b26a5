"""The streams of decisions in Redis: which key, which script, and what its answer means."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from falcongate.state.decisions import LIFE_S, MAX_OF_ONE, Decision, newest_first
from falcongate.state.keys import DECISIONS, ORDINARY_DECISIONS
from falcongate.state.redis_call import Script

if TYPE_CHECKING:
    from collections.abc import Sequence

    from falcongate.state.redis_call import Line

_KEEP: Final = Script("decisions_keep")
_FIND: Final = Script("decisions_find")
# PERF: looking through so many takes Redis 0.7 ms, in which nobody else is answered.
_LOOKED_THROUGH_AT_ONCE: Final = 100
_READ_AT_ONCE: Final = 50


class RedisDecisions:
    """The `DecisionLog` of all workers and hosts."""

    _line: Line

    def keep_decisions(self, decisions: Sequence[tuple[str, str]], *, most: int, are_wrong: bool) -> None:
        """As `DecisionLog` says."""
        flat = [part for decision in decisions for part in decision]
        if flat:
            self._line.call(_KEEP, [_key(are_wrong=are_wrong)], [most, LIFE_S, *flat])

    def decisions(self, count: int, *, are_wrong: bool) -> Sequence[Decision]:
        """As `DecisionLog` says."""
        found: list[Decision] = []
        before = "+"
        while len(found) < count:
            wanted = min(count - len(found), _READ_AT_ONCE)
            told = self._line.command("XREVRANGE", _key(are_wrong=are_wrong), before, "-", "COUNT", wanted)
            found += [_decision(fields) for _, fields in told]
            if len(told) < wanted:
                break
            before = f"({told[-1][0]}"
        return tuple(found)

    def find_decisions(self, request_id: str) -> Sequence[Decision]:
        """As `DecisionLog` says."""
        found = [*self._looked_up(DECISIONS, request_id), *self._looked_up(ORDINARY_DECISIONS, request_id)]
        return tuple(newest_first(found)[:MAX_OF_ONE])

    def _looked_up(self, key: str, request_id: str) -> list[Decision]:
        found: list[Decision] = []
        before = "+"
        while before and len(found) < MAX_OF_ONE:
            before, *told = self._line.call(_FIND, [key], [request_id, before, _LOOKED_THROUGH_AT_ONCE])
            found += [_decision(fields) for fields in told]
        return found


def _key(*, are_wrong: bool) -> str:
    return DECISIONS if are_wrong else ORDINARY_DECISIONS


def _decision(fields: Sequence[str]) -> Decision:
    told = dict(zip(fields[::2], fields[1::2], strict=True))
    return Decision(float(told["at_s"]), told["id"], told["text"])
