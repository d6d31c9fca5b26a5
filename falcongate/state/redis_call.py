"""One question to Redis, from its asking to its answer, and the bytes that carry it."""

from __future__ import annotations

import hashlib
import re
from pathlib import Path
from time import monotonic
from typing import TYPE_CHECKING, Any, Final, NamedTuple, Protocol

import hiredis
from gevent import get_hub, getcurrent

from falcongate.errors import StoreAway

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

SCRIPTS: Final = Path(__file__).parent / "scripts"
_MAX_JOINED: Final = 128
_ASKING: Final[bytes] = hiredis.pack_command(("ASKING",))
REDIRECTION: Final = re.compile(r"(MOVED|ASK) \d+ (\S+)")
"""The answer of a cluster's server that does not hold the slot: the kind and who does."""

CANNOT: Final = re.compile(
    r"(?:^|-)(READONLY|LOADING|OOM|MISCONF|MASTERDOWN|CLUSTERDOWN|NOREPLICAS|BUSY|NOAUTH|NOPERM|WRONGPASS)\b"
)
"""What a server says that is there and cannot help. Before Redis 7 the word stands within the text."""

# A script that writes, as all that matters does.
_PROBE: Final = "return redis.call('SET', KEYS[1], 'ok', 'PX', 60000)"


class Script:
    """A Lua script of `state/scripts`, known to the server by its hash.

    With `joins`, calls that wait at the same time are sent as one. The script then gets: ARGV[1] the
    number of calls; for each call the number of its keys, the number of its arguments and these; KEYS
    all keys in that order. It answers a list with one answer for each call.
    """

    __slots__ = ("joins", "name", "sha", "text")

    def __init__(self, name: str, *, joins: bool = False) -> None:
        self.name = name
        self.joins = joins
        self.text = (SCRIPTS / f"{name}.lua").read_bytes()
        self.sha = hashlib.sha1(self.text, usedforsecurity=False).hexdigest()


class Line(Protocol):
    """Who asks for those that know keys and scripts. `RedisLine` is one, and says the rest."""

    @property
    def is_degraded(self) -> bool: ...  # noqa: D102
    def call(self, script: Script, keys: Sequence[str], arguments: Sequence[str | int]) -> Any: ...  # noqa: D102
    def tell(self, script: Script, keys: Sequence[str], arguments: Sequence[str | int]) -> None: ...  # noqa: D102
    def command(self, *parts: str | int) -> Any: ...  # noqa: D102
    def subscribe(  # noqa: D102
        self, channel: str, on_message: Callable[[str], None], *, on_subscribed: Callable[[], None]
    ) -> None: ...


class _Packed(NamedTuple):
    """The keys and arguments of one call among joined ones, as they are sent, and how many these are."""

    keys: bytes
    arguments: bytes
    keys_count: int
    parts_count: int


class Kept(list["str | int"]):
    """Arguments for a script that joins, to be used again with the same keys.

    PERF: what is sent is made of them once.
    """

    packed: _Packed | None = None


class Call:
    """A question and the greenlet that waits for its answer, if one does.

    With no script, `arguments` are a whole command. Answers are texts, integers, None and lists of them.
    `asked` is when, in monotonic seconds; `is_redirected` says that the slot is on its way to another
    server of the cluster; `is_told` that nobody waits.
    """

    __slots__ = ("_waiter", "arguments", "asked", "is_redirected", "is_told", "keys", "script", "slot")

    def __init__(
        self,
        script: Script | None,
        keys: Sequence[str],
        arguments: Sequence[str | int],
        slot: int = -1,
    ) -> None:
        self.script = script
        self.keys = keys
        self.arguments = arguments
        self.slot = slot
        self.asked = monotonic()
        self.is_redirected = False
        self.is_told = False
        self._waiter: Any = None

    def wait(self) -> Any:
        """The answer. Waits as long as it takes; raises StoreAway."""
        self._waiter = getcurrent()
        try:
            answer = get_hub().switch()
        finally:
            # Who was thrown out of its waiting must not be woken by the answer.
            self._waiter = None
        if type(answer) is StoreAway:
            raise answer
        return answer

    @property
    def is_waited_for(self) -> bool:
        """Whether somebody still waits for the answer."""
        return self._waiter is not None

    def answer(self, answer: Any) -> None:
        """Wake who waits, if anybody does. In the hub only: from a greenlet, that one would be lost."""
        waiter = self._waiter
        if waiter is not None:
            self._waiter = None
            waiter.switch(answer)

    def fail_soon(self, reason: str) -> None:
        """Let who waits get StoreAway, in the next turn of the loop."""
        if self._waiter is not None:
            get_hub().loop.run_callback(self.answer, StoreAway(reason))


def probe(key: str) -> Call:
    """A question that is answered only by a server that can do what it is there for."""
    return Call(None, (), ("EVAL", _PROBE, 1, key))


def render(calls: Iterable[Call], unknown: set[str]) -> list[tuple[bytes, list[Call]]]:
    """The commands for these calls, each with the calls it asks for; none for the word before a redirected.

    Calls of one script that joins, and of one slot, are one command. A script whose hash is in `unknown`
    is sent as text and taken out: what follows on the same connection will find it known.
    """
    commands: list[tuple[bytes, list[Call]]] = []
    for group in _grouped(calls):
        if group[0].is_redirected:
            commands.append((_ASKING, []))
        script = group[0].script
        if script is None:
            commands.append((_pack(group[0].arguments), group))
        elif script.sha in unknown:
            unknown.discard(script.sha)
            commands.append((_invocation(("EVAL", script.text), group), group))
        else:
            commands.append((_invocation(("EVALSHA", script.sha), group), group))
    return commands


def _grouped(calls: Iterable[Call]) -> list[list[Call]]:
    groups: list[list[Call]] = []
    joined: dict[tuple[str, int], list[Call]] = {}
    for call in calls:
        script = call.script
        if script is None or not script.joins or call.is_redirected:
            groups.append([call])
            continue
        group = joined.get((script.sha, call.slot))
        if group is None or len(group) >= _MAX_JOINED:
            group = joined[script.sha, call.slot] = []
            groups.append(group)
        group.append(call)
    return groups


def _invocation(how: tuple[str, str | bytes], calls: list[Call]) -> bytes:
    first = calls[0]
    if first.script is None or not first.script.joins:
        return _pack((*how, len(first.keys), *first.keys, *first.arguments))
    all_packed = [_packed(call.keys, call.arguments) for call in calls]
    key_count = sum([packed.keys_count for packed in all_packed])
    count = 4 + sum([packed.parts_count for packed in all_packed])
    return b"".join(
        (
            b"*%d\r\n" % count,
            *map(_bulk, (*how, key_count)),
            *[packed.keys for packed in all_packed],
            _bulk(len(calls)),
            *[packed.arguments for packed in all_packed],
        )
    )


def _packed(keys: Sequence[str], arguments: Sequence[str | int]) -> _Packed:
    if type(arguments) is Kept and arguments.packed is not None:
        return arguments.packed
    packed = _Packed(
        b"".join(map(_bulk, keys)),
        b"".join(map(_bulk, (len(keys), len(arguments), *arguments))),
        len(keys),
        len(keys) + 2 + len(arguments),
    )
    if type(arguments) is Kept:
        arguments.packed = packed
    return packed


def _bulk(part: str | int | bytes) -> bytes:
    data = part if isinstance(part, bytes) else str(part).encode("utf-8", "surrogatepass")
    return b"$%d\r\n%b\r\n" % (len(data), data)


def _pack(parts: Sequence[str | int | bytes]) -> bytes:
    packed: bytes = hiredis.pack_command(tuple(parts))  # type: ignore[arg-type]
    return packed
