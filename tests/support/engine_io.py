"""A server of Engine.IO sessions as far as their routing goes: it knows those that it has begun."""

from __future__ import annotations

import itertools
import json
import re
import threading
from collections import Counter

from tests.support.upstreams import Conversation, ScriptedUpstream, ok
from tests.support.wire import Body

_SID = re.compile(r"[?&]sid=([\w-]+)")
UNKNOWN = {"code": 1, "message": "Session ID unknown"}


class EngineServer:
    """Begins sessions called `NAME-0`, `NAME-1`, ...; answers each poll with what was posted last.

    The body of a handshake comes in two pieces, well after its head. `asked` counts requests by session,
    "" for handshakes. `hold` lets polls hang until `let_go`.
    """

    def __init__(self, name: str) -> None:
        self.asked: Counter[str] = Counter()
        self._name = name
        self._numbers = itertools.count()
        self._last: dict[str, bytes] = {}
        self._may_answer = threading.Event()
        self._may_answer.set()
        self._upstream = ScriptedUpstream().serve(self._play)
        self.url = self._upstream.url

    def hold(self) -> None:
        """Let polls hang from now on."""
        self._may_answer.clear()

    def let_go(self) -> None:
        """Answer polls, those that hang and those that come."""
        self._may_answer.set()

    def break_off(self) -> None:
        """End every connection in the middle of what it does."""
        for conversation in self._upstream.conversations:
            conversation.close()

    def stop(self) -> None:
        """End it and every connection; fails if one went wrong. Harmless if repeated."""
        self.let_go()
        self._upstream.stop()

    def _play(self, conversation: Conversation) -> None:
        while True:
            head, body = conversation.read_request()
            found = _SID.search(head.start)
            self.asked[found[1] if found else ""] += 1
            if found is None:
                self._begin(conversation)
            elif found[1] not in self._last:
                said = json.dumps(UNKNOWN).encode()
                conversation.send(
                    b"HTTP/1.1 400 Bad Request\r\nContent-Length: %d\r\n\r\n%b" % (len(said), said)
                )
            else:
                conversation.send(ok(self._answer(head.start, found[1], body)))

    def _begin(self, conversation: Conversation) -> None:
        sid = f"{self._name}-{next(self._numbers)}"
        self._last[sid] = b""
        said = json.dumps({"sid": sid, "upgrades": [], "pingInterval": 25_000, "pingTimeout": 20_000})
        raw = ok(b"0" + said.encode())
        end = raw.index(b"\r\n\r\n") + 4
        for part in (raw[:end], raw[end : end + 9], raw[end + 9 :]):
            conversation.send(part)

    def _answer(self, request_line: str, sid: str, body: Body) -> bytes:
        if request_line.startswith("POST"):
            self._last[sid] = body.content
            return b"ok"
        self._may_answer.wait(60)
        return self._last[sid]
