"""The questions to one server: shared round trips, the budget, and a connection that is replaced.

No step here waits, so each is one for everybody; only `ask` does, and what connects or probes has a
greenlet of its own. Whoever gets an answer runs at once, in the middle of the step, and may ask again
or close the lane: what the step needs afterwards is looked at anew.
"""

from __future__ import annotations

import logging
from collections import deque
from time import monotonic
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import gevent
import hiredis
from gevent import get_hub

from falcongate.errors import StoreAway
from falcongate.state.presence import Presence
from falcongate.state.redis_call import CANNOT, REDIRECTION, Call, probe, render
from falcongate.state.redis_conversation import Conversation

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from falcongate.state.redis_client import Node

_log = logging.getLogger("falcongate")

_MAX_WAITING: Final = 10_000
_TICKS_PER_BUDGET: Final = 10
_YOUNG_S: Final = 1.0


class _Sent(NamedTuple):
    """A command on its way: whose answers it brings, and since when."""

    calls: list[Call]
    since: float


class Lane:
    """One server, one connection to it, and everybody who asks it.

    `on_change` is called when the server is away or back, `on_round_trip` with the seconds one took; they may
    not wait. `probe_key` is written to see whether it is away. `redirect` takes a call for another
    server of the cluster, with the kind (MOVED or ASK) and address, and answers whether it knows that one.
    """

    def __init__(
        self,
        node: Node,
        *,
        budget_s: float,
        probe_key: str,
        on_change: Callable[[], None],
        on_round_trip: Callable[[float], None] = lambda *_: None,
        redirect: Callable[[Call, str, str], bool] | None = None,
    ) -> None:
        self.dropped = 0
        self.presence = Presence(node.name, probe=self._probe, on_change=self._change)
        self._node = node
        self._budget_s = budget_s
        self._probe_key = probe_key
        self._redirect = redirect
        self._on_change, self._on_round_trip = on_change, on_round_trip
        self._waiting: deque[Call] = deque()
        self._sent: deque[_Sent] = deque()
        self._unknown: set[str] = set()
        self._last_refusal, self._connected_at = "", 0.0
        self._conversation: Conversation | None = None
        self._is_connecting = self._is_flush_due = False
        self._tick_s = budget_s / _TICKS_PER_BUDGET
        self._hub = get_hub()
        self._ticker: Any = self._hub.loop.timer(self._tick_s, repeat=self._tick_s)
        self._connect_soon()

    @property
    def is_degraded(self) -> bool:
        """Whether the server is away."""
        return self.presence.is_away

    def ask(self, call: Call) -> Any:
        """The answer to a call. Waits at most the budget; raises StoreAway."""
        if self.presence.is_away:
            raise StoreAway(self.presence.reason)
        self._put(call)
        return call.wait()

    def tell(self, call: Call) -> None:
        """Send a call whose answer nobody waits for; counted in `dropped` if that is not possible."""
        call.is_told = True
        if self.presence.is_away or len(self._waiting) >= _MAX_WAITING:
            self.dropped += 1
        else:
            self._put(call)

    def take_over(self, call: Call) -> None:
        """Send a call that another server has sent here, before all others."""
        if self.presence.is_away:
            self._fail((call,), self.presence.reason)
        else:
            self._waiting.appendleft(call)
            self._work()

    def close(self) -> None:
        """End the connection; who waits gets StoreAway. Harmless if repeated."""
        self.presence.end()
        self._drop()
        self._ticker.stop()

    def _put(self, call: Call) -> None:
        self._waiting.append(call)
        if not self._is_flush_due:
            self._work()

    def _work(self) -> None:
        """See to it that what waits will be sent, or given up in time."""
        if not self._ticker.active:
            self._ticker.again(self._tick)
        if self._conversation is None:
            self._connect_soon()
        elif not self._sent:
            self._flush_soon()

    def _flush_soon(self) -> None:
        # At the end of this turn of the loop, so that whoever asks in the same turn goes along.
        if not self._is_flush_due:
            self._is_flush_due = True
            self._hub.loop.run_callback(self._flush)

    def _flush(self) -> None:
        """Send everything that waits, in one write."""
        self._is_flush_due = False
        if self._conversation is None or not self._waiting:
            return
        commands, now = render(self._waiting, self._unknown), monotonic()
        self._waiting.clear()
        self._sent.extend([_Sent(calls, now) for _, calls in commands])
        self._conversation.send(b"".join([data for data, _ in commands]))

    def _take(self, answers: list[Any]) -> None:
        """Hand out answers, in the order of the questions."""
        self.presence.note_answer()
        conversation = self._conversation
        if answers:
            self._on_round_trip(monotonic() - self._sent[0].since)
        for answer in answers:
            calls = self._sent.popleft().calls
            if type(answer) is hiredis.ReplyError:
                self._take_error(calls, str(answer))
            elif calls and calls[0].script is not None and calls[0].script.joins:
                self._hand_out(calls, answer)
            elif calls:
                calls[0].answer(answer)
            if self._conversation is not conversation:
                return  # an answer has ended the connection, and what else was asked on it has failed
        if self._waiting and not self._sent:
            self._flush_soon()

    def _hand_out(self, calls: list[Call], answers: Any) -> None:
        if type(answers) is list and len(answers) == len(calls):
            for call, answer in zip(calls, answers, strict=True):
                call.answer(answer)
        else:
            self._refuse(calls, f"{len(calls)} calls were answered as if they were not as many")

    def _take_error(self, calls: list[Call], text: str) -> None:
        """What a server says instead of an answer. It has not done what was asked."""
        if not calls:
            return
        if text.startswith("NOSCRIPT") and calls[0].script is not None:
            self._unknown.add(calls[0].script.sha)
            self._waiting.extendleft(reversed(calls))
        elif redirection := REDIRECTION.match(text):
            self._send_elsewhere(calls, redirection[1], redirection[2])
        elif cannot := CANNOT.search(text):
            # It will go on saying so; and after a failover this is no longer the right server.
            self.presence.go_away(f"it says {cannot[1]}")
            self._fail(calls, text)
        else:
            self._refuse(calls, text)

    def _send_elsewhere(self, calls: list[Call], kind: str, address: str) -> None:
        is_late = calls[0].asked <= monotonic() - self._budget_s
        for call in calls:
            # Two servers that each name the other must not play for longer than anybody waits.
            if is_late or self._redirect is None or not self._redirect(call, kind, address):
                self._fail((call,), f"{kind} to {address}")

    def _refuse(self, calls: list[Call], text: str) -> None:
        """A mistake of ours or of the operator's: nothing that would pass by waiting."""
        if text != self._last_refusal:  # each request would say it again
            self._last_refusal = text
            name = calls[0].script.name if calls[0].script else "a command"
            _log.error("Redis at %s, %s: %s", self._node.name, name, text)
        self._fail(calls, text)

    def _tick(self) -> None:
        """Give up what would be late, and send on if a round trip takes long."""
        if self._conversation is not None:
            # A worker that was busy for long must not take itself for a slow server.
            self._conversation.read()
        latest = monotonic() + self._tick_s - self._budget_s
        reason = f"no answer within {self._budget_s * 1000:.0f} ms"
        is_silent = self._give_up(latest, reason)
        if self._sent and self._sent[0].since <= latest:
            # Its answers would come when nobody knows any more what was asked.
            self._lose(reason)
        elif is_silent:
            self.presence.note_silence(reason)
        if self._waiting and self._conversation is not None:
            # PERF: one round trip at a time makes the largest batches; one that lasts longer than a
            # tick is the network's, and the next need not wait for it.
            self._flush_soon()
        elif not self._waiting and not self._sent:
            self._ticker.stop()

    def _give_up(self, latest: float, reason: str) -> bool:
        """Fail the calls asked before `latest`; whether there were any."""
        late = [call for sent in self._sent for call in sent.calls if call.is_waited_for]
        late = [call for call in late if call.asked <= latest]
        while self._waiting and self._waiting[0].asked <= latest:
            late.append(self._waiting.popleft())
        self._fail(late, reason)
        return bool(late)

    def _fail(self, calls: Sequence[Call], reason: str) -> None:
        for call in calls:
            self.dropped += call.is_told
            call.fail_soon(reason)

    def _lose(self, reason: str) -> None:
        """The connection is of no more use: what was sent on it fails, what waits is sent on the next."""
        lost = self._drop_connection()
        # Who closes idle connections is no failure; who closes them at once is.
        if lost or monotonic() - self._connected_at < _YOUNG_S:
            self.presence.note_silence(reason)
        self._fail(lost, reason)
        if not self.presence.is_away:
            self._connect_soon()

    def _change(self) -> None:
        if self.presence.is_away:
            self._drop()
        self._on_change()

    def _drop(self) -> None:
        """End the connection and fail everybody."""
        failed = [*self._drop_connection(), *self._waiting]
        self._waiting.clear()
        self._fail(failed, self.presence.reason)

    def _drop_connection(self) -> list[Call]:
        """End the connection; answer the calls that were sent on it."""
        lost = [call for sent in self._sent for call in sent.calls]
        self._sent.clear()
        if self._conversation is not None:
            conversation, self._conversation = self._conversation, None
            conversation.close()
        return lost

    def _connect_soon(self) -> None:
        if not self._is_connecting:
            self._is_connecting = True
            gevent.spawn(self._connect)

    def _connect(self) -> None:
        try:
            self._open()
        except StoreAway as error:
            if self._conversation is None:
                self.presence.go_away(str(error))
        finally:
            self._is_connecting = False
        if self.presence.is_away:
            self._drop()
        elif self._waiting:
            self._flush_soon()

    def _open(self) -> None:
        """Make the connection, unless somebody else does meanwhile. Waits; raises StoreAway."""
        connection = self._node.connect()
        if self._conversation is not None:
            connection.disconnect()
            return
        self._connected_at = monotonic()
        self._conversation = Conversation(connection, self._take, self._lose)

    def _probe(self) -> None:
        """Ask for a sign of life. Waits; raises StoreAway."""
        self._open()
        call = probe(self._probe_key)
        try:
            self._put(call)
            call.wait()
        except StoreAway:
            self._drop()
            raise
