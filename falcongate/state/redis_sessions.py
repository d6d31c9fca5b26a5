"""Sessions in Redis: which key, which script, and what its answer means."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from falcongate.state.keys import session_key
from falcongate.state.redis_call import Script
from falcongate.state.sessions import Session

if TYPE_CHECKING:
    from falcongate.state.redis_call import Line

_NOTE: Final = Script("session_note")
_FIND: Final = Script("session_find")
_FORGET: Final = Script("session_forget")


class RedisSessions:
    """The `SessionStore` of all workers and hosts."""

    _line: Line

    def note_session(self, service: str, sid: str, session: Session) -> None:
        """As `SessionStore` says."""
        self._line.call(_NOTE, [session_key(service, sid)], [session.target, session.life_s])

    def find_session(self, service: str, sid: str) -> Session | None:
        """As `SessionStore` says."""
        found = self._line.call(_FIND, [session_key(service, sid)], [])
        return Session(found[0], int(found[1])) if found else None

    def forget_session(self, service: str, sid: str) -> None:
        """As `SessionStore` says."""
        self._line.tell(_FORGET, [session_key(service, sid)], [])
