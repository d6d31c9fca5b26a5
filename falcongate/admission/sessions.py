"""Which target keeps a caller's session, on whichever worker of whichever host the caller comes by."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

from falcongate.admission.recent import Recent
from falcongate.errors import StoreAway
from falcongate.state.sessions import Session

if TYPE_CHECKING:
    from falcongate.state.sessions import SessionStore


class Sessions:
    """Sessions that the services of this gateway have begun, as the shared state knows them.

    What this worker has seen itself stands in while the shared state is away, or has lost its memory.
    """

    def __init__(self, store: SessionStore) -> None:
        self._store = store
        self._seen: Recent[tuple[str, str], Session] = Recent()

    def begin(self, service: str, sid: str, *, target: str, life_s: int) -> None:
        """Remember the target of a new session, for `life_s` seconds after each use.

        Waits for the shared state: the caller's next request may come to another host.
        """
        session = Session(target, life_s)
        self._seen[service, sid] = session
        with suppress(StoreAway):
            self._store.note_session(service, sid, session)

    def find(self, service: str, sid: str, *, asks: bool = True) -> str:
        """Url of the target that keeps it, "" if that is not known.

        Waits for the shared state if it `asks`.
        """
        seen = self._seen.get((service, sid))
        session = self._ask(service, sid, seen) if asks else None
        session = session or seen
        if session is None:
            return ""
        self._seen[service, sid] = session
        return session.target

    def _ask(self, service: str, sid: str, seen: Session | None) -> Session | None:
        with suppress(StoreAway):
            session = self._store.find_session(service, sid)
            if session is None and seen is not None:
                self._store.note_session(service, sid, seen)
            return session
        return None

    def end(self, service: str, sid: str) -> None:
        """It is over: the target does not know it, or is gone."""
        self._seen.pop((service, sid))
        with suppress(StoreAway):
            self._store.forget_session(service, sid)
