"""Why requests were answered as they were, for operators."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import parse_qs

from falcongate.errors import StoreAway
from falcongate.exchange import EXCHANGE
from falcongate.outages import StateUnavailable
from falcongate.refusals import MalformedRequest, NoSuchDecision
from falcongate.state.decisions import last_decisions

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import falcon

    from falcongate.resources.operators import Operators
    from falcongate.state.decisions import Decision, DecisionLog

_LAST: Final = 50
_MOST: Final = 200
_NOT_KEPT: Final = "No decisions are kept here: decisions.keep is 0, or there is no Redis to keep them in."


class Why:
    """`GET /admin/why/<request id>`, and `GET /admin/why?last=50` for the last decisions, the newest first.

    An id with signs that a path cannot have may come as `/admin/why?request_id=...`.
    """

    def __init__(self, log: DecisionLog, operators: Operators, *, is_keeping: bool) -> None:
        self._log = log
        self._operators = operators
        self._is_keeping = is_keeping

    def on_get(self, req: falcon.Request, resp: falcon.Response, request_id: str = "") -> None:
        """The decisions. Waits for the shared state."""
        exchange = req.env[EXCHANGE]
        self._operators.identify_reader(exchange)
        if not self._is_keeping:
            raise NoSuchDecision(_NOT_KEPT)
        resp.cache_control = ("no-store",)
        asked = parse_qs(exchange.target.partition(b"?")[2].decode("latin-1"))
        request_id = request_id or asked.get("request_id", [""])[0]
        if request_id:
            found = _ask(lambda: self._log.find_decisions(request_id))
            if not found:
                raise NoSuchDecision
            # Callers choose ids: the last request is told of, and that there are others.
            resp.media = {**_document(found[0]), "same_id": len(found)}
            return
        count = _count(asked.get("last", [str(_LAST)])[0])
        found = _ask(lambda: last_decisions(self._log, count))
        resp.media = {"decisions": [_document(decision) for decision in found]}

    on_head = on_get


def _ask(question: Callable[[], Sequence[Decision]]) -> Sequence[Decision]:
    try:
        return question()
    except StoreAway:
        refusal = StateUnavailable(retry_after_s=1)
        refusal.suggestion = "Try again after the time in Retry-After."
        raise refusal from None


def _count(text: str) -> int:
    if not text.isascii() or not text.isdigit() or len(text) > 4 or not 1 <= int(text) <= _MOST:
        refusal = MalformedRequest(f'"last" must be a number from 1 to {_MOST}.')
        refusal.suggestion = "Ask for /admin/why?last=50."
        refusal.closes = False
        raise refusal
    return int(text)


def _document(decision: Decision) -> dict[str, Any]:
    document: dict[str, Any] = json.loads(decision.text)
    return document
