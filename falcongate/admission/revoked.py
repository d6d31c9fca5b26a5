"""Which tokens have been revoked, as one worker knows it: all of them, pushed by the shared state."""

from __future__ import annotations

import hashlib
from time import monotonic
from typing import TYPE_CHECKING, Final, NamedTuple

from falcongate.state.tokens import MOST_REVOKED

if TYPE_CHECKING:
    from collections.abc import Mapping

    from falcongate.state.store import SharedState
    from falcongate.state.tokens import Revocation

ANY_ISSUER: Final = "*"
_MAX_LENGTH: Final = 256


class Marks(NamedTuple):
    """What a token can be revoked by: the names that it or its subject has, and when it was issued."""

    token: str
    subjects: tuple[str, ...]
    issued_s: float


def token_mark(token_id: str) -> str:
    """How a token is called in a revocation, by its `jti`."""
    return f"jti:{_short(token_id)}"


def subject_mark(subject: str, issuer: str) -> str:
    """How all tokens of a subject are called; the issuer by its name in the settings, or any."""
    return f"sub:{issuer}:{_short(subject)}"


def marks_of(issuer: str, claims: Mapping[str, object]) -> Marks:
    """What a token of an issuer can be revoked by."""
    token_id, subject, issued = claims.get("jti"), claims.get("sub"), claims.get("iat")
    return Marks(
        token_mark(token_id) if isinstance(token_id, str) else "",
        tuple(subject_mark(subject, of) for of in (issuer, ANY_ISSUER)) if isinstance(subject, str) else (),
        # One that does not say when is as old as can be.
        float(issued) if isinstance(issued, int | float) else 0.0,
    )


class Revoked:
    """Everything that is revoked now. `version` changes whenever that does."""

    def __init__(self, store: SharedState) -> None:
        self.version = 0
        self._store = store
        self._held: dict[str, tuple[float, float]] = {}
        store.subscribe_revocations(self._hear, self._read_all)

    def has(self, marks: Marks) -> bool:
        """Whether a token is void. Does not wait."""
        held = self._held
        if not held:
            return False
        now = monotonic()
        if held.get(marks.token, (0.0, 0.0))[1] > now:
            return True
        for subject in marks.subjects:
            at_s, ends = held.get(subject, (0.0, 0.0))
            if ends > now and marks.issued_s <= at_s:
                return True
        return False

    def _hear(self, news: Revocation) -> None:
        self._note(self._held, news)
        if len(self._held) > MOST_REVOKED:
            now = monotonic()
            self._held = {member: told for member, told in self._held.items() if told[1] > now}
        self.version += 1

    def _read_all(self) -> None:
        """Some news may have been missed. Raises StoreAway."""
        held: dict[str, tuple[float, float]] = {}
        for revocation in self._store.revocations():
            self._note(held, revocation)
        self._held = held
        self.version += 1

    @staticmethod
    def _note(held: dict[str, tuple[float, float]], told: Revocation) -> None:
        left_s = told.ends_s - told.now_s
        if left_s <= 0:
            held.pop(told.member, None)
        else:
            held[told.member] = (told.at_s, monotonic() + left_s)


def _short(name: str) -> str:
    if len(name) <= _MAX_LENGTH:
        return name
    return "sha256:" + hashlib.sha256(name.encode("utf-8", "surrogatepass")).hexdigest()
