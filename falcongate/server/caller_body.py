"""A request's body as the application is given it: `wsgi.input` with its channel beside it."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

from falcongate.errors import CallerLeft
from falcongate.refusals import CallerTimedOut
from falcongate.wire.body import BodyCutShort
from falcongate.wire.channel import TimedOut

if TYPE_CHECKING:
    from collections.abc import Iterator

    from falcongate.wire.body import Body

_CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"


class _NoInput:
    """`wsgi.input` of a request without a body."""

    body = None

    def read(self, size: int = -1) -> bytes:
        """The end, at once."""
        del size
        return b""


NO_INPUT: Final = _NoInput()


class CallerBody:
    """Nothing is read from the caller before the application asks for it.

    `body` may be moved without passing through `read`; `begin` must be called first then.
    """

    __slots__ = ("_awaits_continue", "_idle_timeout_s", "_surplus", "body")

    def __init__(self, body: Body, idle_timeout_s: float, *, awaits_continue: bool) -> None:
        self.body = body
        self._idle_timeout_s = idle_timeout_s
        self._awaits_continue = awaits_continue
        self._surplus = b""

    def begin(self) -> None:
        """Tell a caller who sent `Expect: 100-continue` to go on (RFC 9110, 10.1.1)."""
        if self._awaits_continue:
            self._awaits_continue = False
            if not self.body.channel.buffer:
                with _as_caller_errors():
                    self.body.channel.send_all(_CONTINUE, self._idle_timeout_s)

    def read(self, size: int = -1) -> bytes:
        """As WSGI has it: `size` bytes, or all; fewer only at the end of the body.

        Raises CallerTimedOut and CallerLeft.
        """
        self.begin()
        parts = [self._surplus]
        have = len(self._surplus)
        while (size < 0 or have < size) and not self.body.is_complete:
            parts.append(self._receive())
            have += len(parts[-1])
        data = b"".join(parts)
        end = have if size < 0 else size
        self._surplus = data[end:]
        return data[:end]

    def _receive(self) -> bytes:
        with _as_caller_errors():
            while (piece := self.body.receive_now()) is None:
                self.body.channel.wait_readable(self._idle_timeout_s)
        return piece


@contextmanager
def _as_caller_errors() -> Iterator[None]:
    try:
        yield
    except TimedOut:
        raise CallerTimedOut from None
    except (BodyCutShort, OSError) as error:
        raise CallerLeft(str(error)) from error
