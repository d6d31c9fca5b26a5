"""A worker process with a line to Redis and callers that never stop asking; told what to do by JSON lines.

Each caller asks for an answer that only its own question has, so that a mixed-up answer is seen.
"""

from gevent import monkey

monkey.patch_all()

import json  # noqa: E402
import logging  # noqa: E402
import sys  # noqa: E402
from pathlib import Path  # noqa: E402
from time import monotonic  # noqa: E402
from typing import Any  # noqa: E402

import gevent  # noqa: E402
from gevent.fileobject import FileObject  # noqa: E402

from falcongate.config.redis import RedisSettings  # noqa: E402
from falcongate.errors import StoreAway  # noqa: E402
from falcongate.state import redis_call  # noqa: E402
from falcongate.state.redis_call import Script  # noqa: E402
from falcongate.state.redis_line import RedisLine  # noqa: E402

_CALLERS = 8
_PAUSE_S = 0.004
_SINGLE = """
redis.call('HINCRBY', KEYS[1], 'calls', 1)
redis.call('PEXPIRE', KEYS[1], 60000)
return ARGV[1]
"""
_JOINED = """
local answers, at, key = {}, 2, 1
for call = 1, tonumber(ARGV[1]) do
  redis.call('HINCRBY', KEYS[key], 'calls', 1)
  answers[call] = ARGV[at + 2]
  key, at = key + ARGV[at], at + 2 + ARGV[at + 1]
end
return answers
"""


class Worker:
    """Callers that ask all the time, and what they have seen."""

    def __init__(self, settings: dict[str, Any], scripts: Path) -> None:
        redis_call.SCRIPTS = scripts  # type: ignore[misc]  # scripts of this test's own
        (scripts / "single.lua").write_text(_SINGLE, "ascii")
        (scripts / "joined.lua").write_text(_JOINED, "ascii")
        self._scripts = (Script("single"), Script("joined", joins=True))
        self._line = RedisLine(RedisSettings.model_validate(settings))
        self._messages: list[str] = []
        self._subscribed = 0
        self._changes: list[bool] = []
        self._line.on_change(lambda: self._changes.append(self._line.is_degraded))
        self._line.subscribe("news", self._messages.append, on_subscribed=self._note_subscribed)
        self.forget()
        self._callers = [gevent.spawn(self._ask_on, number) for number in range(_CALLERS)]

    def _note_subscribed(self) -> None:
        self._subscribed += 1

    def forget(self) -> None:
        """Begin the figures anew."""
        self._answers = self._away = self._mixed_up = 0
        self._longest_s = 0.0
        self._reasons: set[str] = set()

    def seen(self) -> dict[str, Any]:
        """The figures since the last `forget`, and how things are."""
        return {
            "answers": self._answers,
            "away": self._away,
            "mixed_up": self._mixed_up,
            "longest_s": self._longest_s,
            "reasons": sorted(self._reasons),
            "is_degraded": self._line.is_degraded,
            "changes": self._changes,
            "dropped": self._line.dropped,
            "messages": self._messages,
            "subscribed": self._subscribed,
            "callers": sum(not caller.dead for caller in self._callers),
        }

    def _ask_on(self, number: int) -> None:
        turn = 0
        while True:
            turn += 1
            script = self._scripts[turn % 2]
            nonce = f"{number}-{turn}"
            began = monotonic()
            try:
                self._mixed_up += self._line.call(script, [f"key:{number % 5}"], [nonce]) != nonce
                self._answers += 1
            except StoreAway as away:
                self._away += 1
                self._reasons.add(str(away))
            self._longest_s = max(self._longest_s, monotonic() - began)
            self._line.tell(script, [f"key:{number % 5}"], ["told"])
            gevent.sleep(_PAUSE_S)


def main() -> None:
    """Serve commands until standard input ends: `seen` and `forget`."""
    logging.basicConfig(stream=sys.stderr, level=logging.INFO)
    worker = Worker(json.loads(sys.argv[1]), Path(sys.argv[2]))
    for line in FileObject(sys.stdin.fileno(), "r"):
        if line.strip() == "forget":
            worker.forget()
        sys.stdout.write(json.dumps(worker.seen()) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
