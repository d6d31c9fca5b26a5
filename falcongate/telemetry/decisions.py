"""Chooses the requests whose decisions are remembered, and hands these on without making a request wait.

What goes wrong is always chosen and the rest by chance, but of each kind only so many a second: whoever
has himself refused ten thousand times a second must neither fill the store nor push out all others.
"""

from __future__ import annotations

import json
import random
from time import monotonic
from typing import TYPE_CHECKING, Any, Final, Generic, TypeVar

import gevent

from falcongate.errors import StoreAway
from falcongate.telemetry.metrics import DECISIONS_DROPPED

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from falcongate.telemetry.record import Record

_T = TypeVar("_T")

# A second, and at once after a while without any; in one worker.
_ALIKE: Final = (10, 100)
_ALL: Final = (50, 200)
_MAX_PENDING: Final = 500
# PERF: what is sent at once delays what is asked next on the same connection to the store.
_MAX_BATCH_LENGTH: Final = 65_536
_MAX_LENGTH: Final = 8_192
_MAX_TEXT: Final = 300
# Of all kinds of what is kept, that of requests in which nothing went wrong.
_ORDINARY: Final = ("", "")


class Decisions(Generic[_T]):
    """Keeps decisions on requests: of those answered in order the share `ratio`, all others.

    `facts_of` tells what is known of what has ended beside its Record, as values that JSON knows; it is
    asked for the chosen ones only. `send` takes request ids with texts, and whether these went wrong; it
    may wait, in a greenlet of its own, and raises StoreAway. `draw` is a number from 0 to 1.
    """

    __slots__ = ("_alike", "_all", "_draw", "_facts_of", "_is_sending", "_now", "_pending", "_ratio", "_send")

    def __init__(
        self,
        ratio: float,
        *,
        facts_of: Callable[[_T], Mapping[str, Any]],
        send: Callable[[Sequence[tuple[str, str]], bool], None],
        draw: Callable[[], float] = random.random,
        now: Callable[[], float] = monotonic,
    ) -> None:
        self._ratio = ratio
        self._facts_of = facts_of
        self._send = send
        self._draw = draw
        self._now = now
        self._all = _Allowance(*_ALL, now())
        self._alike: dict[tuple[str, str], _Allowance] = {}
        self._pending: list[tuple[bool, str, str]] = []
        self._is_sending = False

    def take(self, ended: Sequence[_T], records: Sequence[Record]) -> None:
        """Choose among these and hand the chosen on. Does not wait."""
        draw, ratio, now = self._draw, self._ratio, self._now()
        left_out = 0
        for one, record in zip(ended, records, strict=True):
            if went_wrong(record):
                kind = (record.service, record.problem or str(record.status))
                left_out += not self._keep(one, record, kind, now=now)
            elif draw() < ratio:
                left_out += not self._keep(one, record, _ORDINARY, now=now)
        if left_out:
            DECISIONS_DROPPED.labels("too_many").inc(left_out)
        if self._pending and not self._is_sending:
            self._is_sending = True
            gevent.spawn(self._send_all)

    def _keep(self, one: _T, record: Record, kind: tuple[str, str], *, now: float) -> bool:
        """Keep the decision, unless that would be too many."""
        # Services, problems and statuses are not endless, so neither are these.
        alike = self._alike.get(kind)
        if alike is None:
            alike = self._alike[kind] = _Allowance(*_ALIKE, now)
        has_room = len(self._pending) < _MAX_PENDING
        if not (has_room and alike.has_room(now) and self._all.has_room(now)):
            alike.left_out += 1
            return False
        alike.room -= 1
        self._all.room -= 1
        is_wrong = kind != _ORDINARY
        text = render_decision(record, self._facts_of(one), left_out=alike.left_out)
        alike.left_out = 0
        self._pending.append((is_wrong, record.request_id, text))
        return True

    def _send_all(self) -> None:
        try:
            while self._pending:
                are_wrong, batch = self._next_batch()
                try:
                    self._send(batch, are_wrong)
                except StoreAway:
                    DECISIONS_DROPPED.labels("state_away").inc(len(batch))
        finally:
            self._is_sending = False

    def _next_batch(self) -> tuple[bool, list[tuple[str, str]]]:
        """The first of those that wait, as far as they are of one kind."""
        are_wrong = self._pending[0][0]
        length = count = 0
        for is_wrong, _, text in self._pending:
            length += len(text)
            if is_wrong != are_wrong or (count and length > _MAX_BATCH_LENGTH):
                break
            count += 1
        batch, self._pending = self._pending[:count], self._pending[count:]
        return are_wrong, [(request_id, text) for _, request_id, text in batch]


class _Allowance:
    """So many a second, and a few more after a while without any."""

    __slots__ = ("_a_second", "_at", "_most", "left_out", "room")

    def __init__(self, a_second: float, most: float, now: float) -> None:
        self._a_second = a_second
        self._most = self.room = most
        self._at = now
        self.left_out = 0

    def has_room(self, now: float) -> bool:
        """Whether one more may be now."""
        self.room = min(self._most, self.room + (now - self._at) * self._a_second)
        self._at = now
        return self.room >= 1


def went_wrong(record: Record) -> bool:
    """Whether the gateway refused it or failed, the service failed, an attempt did, or its caller left.

    What a service answers with 4xx is an answer in order.
    """
    status = record.status
    if record.reason and status != 101:
        # Who leaves in the middle of an answer has been sent a status in order.
        return True
    if 100 <= status < 400 and not record.problem and len(record.tried) < 2:
        return bool(record.tried) and bool(record.tried[0].failure)
    return (
        not 100 <= status < 500
        or record.answered_by != "service"
        or any(attempt.failure for attempt in record.tried)
    )


def render_decision(record: Record, facts: Mapping[str, Any], *, left_out: int) -> str:
    """The JSON of one decision, of bounded length.

    `left_out` are those of its kind that were not kept since the last that was, by the same worker.
    """
    told = {
        "at_s": round(record.ended, 3),
        "request_id": record.request_id,
        "trace_id": record.trace_id,
        "method": _clipped(record.method),
        "path": _clipped(record.path),
        "service": record.service,
        "status": record.status,
        "answered_by": record.answered_by,
        "problem": record.problem,
        "reason": _clipped(record.reason),
        "refused_by": record.refused_by,
        "would_refuse": record.would_refuse,
        "caller": _clipped(record.caller),
        "identity": _clipped(record.identity),
        "duration_ms": _ms(record.duration_s),
        "first_byte_ms": _ms(record.first_byte_s),
        "service_ms": _ms(record.service_s),
        "received_bytes": record.received_bytes,
        "sent_bytes": record.sent_bytes,
        "left_out": left_out,
        "is_wrong": went_wrong(record),
    }
    text = json.dumps({**told, **facts}, separators=(",", ":"))
    if len(text) > _MAX_LENGTH:
        text = json.dumps({**told, "is_cut": True}, separators=(",", ":"))
    return text


def _ms(seconds: float) -> float:
    return round(seconds * 1000, 1)


def _clipped(text: str) -> str:
    return text if len(text) <= _MAX_TEXT else f"{text[: _MAX_TEXT - 3]}..."
