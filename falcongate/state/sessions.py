"""Sessions that only one target of a service knows, and which one that is."""

from __future__ import annotations

from typing import Any, NamedTuple, Protocol

from falcongate.state.in_process import InProcess, asked, told

_SWEEP_EVERY = 256


class Session(NamedTuple):
    """The target that keeps a session, and for how many seconds it is remembered without being used."""

    target: str
    life_s: int


class SessionStore(Protocol):
    """The part of the shared state that leads callers back to their sessions; see `SharedState`.

    A session is called by its service and the id that the service gave it.
    """

    def note_session(self, service: str, sid: str, session: Session) -> None:
        """Remember which target keeps it."""
        ...

    def find_session(self, service: str, sid: str) -> Session | None:
        """What was noted of it, which is then remembered for another `life_s`; None if nothing is."""
        ...

    def forget_session(self, service: str, sid: str) -> None:
        """It has ended. Harmless if repeated. Does not wait."""
        ...


class MemorySessions(InProcess):
    """A `SessionStore` in this process."""

    def __init__(self, *how: Any, **also: Any) -> None:
        super().__init__(*how, **also)
        self._sessions: dict[tuple[str, str], tuple[int, Session]] = {}
        self._notes_until_sweep = _SWEEP_EVERY

    @asked
    def note_session(self, service: str, sid: str, session: Session) -> None:
        """As `SessionStore` says."""
        now_ms = self._clock()
        self._notes_until_sweep -= 1
        if self._notes_until_sweep <= 0:
            self._notes_until_sweep = _SWEEP_EVERY
            self._sessions = {key: known for key, known in self._sessions.items() if known[0] > now_ms}
        self._sessions[service, sid] = (now_ms + session.life_s * 1000, session)

    @asked
    def find_session(self, service: str, sid: str) -> Session | None:
        """As `SessionStore` says."""
        now_ms = self._clock()
        ends_ms, session = self._sessions.get((service, sid), (0, None))
        if session is None or ends_ms <= now_ms:
            return None
        self._sessions[service, sid] = (now_ms + session.life_s * 1000, session)
        return session

    @told
    def forget_session(self, service: str, sid: str) -> None:
        """As `SessionStore` says."""
        self._sessions.pop((service, sid), None)
