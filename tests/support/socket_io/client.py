"""Someone who chats, as `client.mjs` does, by python-socketio: `client.py URL TRANSPORT,... NAME [again]`."""

from __future__ import annotations

import json
import os
import sys
import threading
import time
import traceback
from contextlib import suppress
from typing import Any

import socketio
from engineio.payload import Payload
from socketio import exceptions

SAY_S = 0.025
LEAVE_S = 40
# Of 16, which are the default, a pause of a tenth of a second makes more, and then it gives up.
Payload.max_decode_packets = 1_000


class Chatter:
    """Says numbered things, and notes what it hears."""

    def __init__(self, *, comes_again: bool) -> None:
        self.said = 0
        self.seen: dict[str, Any] = {"answers": [], "servers": [], "wrong": 0, "ticks": [], "ends": []}
        self.client = socketio.Client(
            reconnection=comes_again, reconnection_delay=0.05, reconnection_delay_max=0.2
        )
        self._is_leaving = False
        self.client.on("connect", lambda: _print("connected"))
        self.client.on("tick", self.seen["ticks"].append)
        self.client.on("disconnect", self._heard_end)
        _hear_in_order(self.client.eio)

    def chat(self, leaving: threading.Event) -> None:
        """Say something again and again while it is connected."""
        while not leaving.wait(SAY_S):
            # While it is between two connections nothing is said.
            with suppress(exceptions.BadNamespaceError):
                self._say(self.said)
                self.said += 1

    def leave(self) -> dict[str, Any]:
        """What it has seen, and what the server has."""
        ticks, got = self._ask_to_leave()
        self._is_leaving = True
        seen = self.seen | {"sent_ticks": ticks, "got": got}
        return seen | {"said": self.said, "transport": self.client.transport()}

    def _ask_to_leave(self) -> tuple[int, list[int]]:
        """Ask once it is connected, and again if it was cut off before the answer."""
        deadline = time.monotonic() + LEAVE_S
        while True:
            try:
                ticks, got = self.client.call("leave", timeout=5)
            except (exceptions.BadNamespaceError, exceptions.TimeoutError):
                if time.monotonic() > deadline:
                    raise
                time.sleep(SAY_S)
            else:
                return ticks, got

    def _say(self, number: int) -> None:
        data = bytes([number % 256]) * (number % 7 * 1000)

        def answered(back_number: int, back: bytes, server: str) -> None:
            self.seen["answers"].append(back_number)
            if server not in self.seen["servers"]:
                self.seen["servers"].append(server)
            self.seen["wrong"] += back != data

        self.client.emit("say", (number, data), callback=answered)

    def _heard_end(self, reason: str) -> None:
        if not self._is_leaving:
            self.seen["ends"].append(reason)


def _hear_in_order(client: Any) -> None:  # noqa: ANN401  # it has no types
    """Have each message taken up before the next one, in place of each in a thread of its own."""
    trigger = client._trigger_event  # noqa: SLF001  # there is no setting for it

    def in_order(event: str, *values: object, run_async: bool = False, **named: object) -> object:
        return trigger(event, *values, run_async=run_async and event != "message", **named)

    client._trigger_event = in_order  # noqa: SLF001


def _print(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


def _wait_for_end(leaving: threading.Event) -> None:
    sys.stdin.read()
    leaving.set()


def _main(url: str, transports: str, name: str, again: str = "") -> None:
    chatter = Chatter(comes_again=again == "again")
    chatter.client.connect(url, transports=transports.split(","), auth={"name": name})
    leaving = threading.Event()
    threading.Thread(target=_wait_for_end, args=(leaving,), daemon=True).start()
    chatter.chat(leaving)
    _print(json.dumps(chatter.leave()))


if __name__ == "__main__":
    try:
        _main(*sys.argv[1:])
    except BaseException:
        traceback.print_exc()
        raise
    finally:
        # Python would wait for threads of the client's that wait for a server which is gone.
        os._exit(0)
