"""Tokens that were taken back: one, or all that a subject had until then."""

from __future__ import annotations

import hashlib
from time import monotonic

import pytest

from falcongate.admission.revoked import Revoked
from falcongate.state.memory_store import MemoryState
from falcongate.state.tokens import MOST_REVOKED, Revocation
from tests.support.tokens import Signer, claims
from tests.unit.admission.proving import Published, bearing, make_tokens, why_not

FIRST = Signer()


def test_a_revoked_token_stops_working_at_once_and_no_other_does() -> None:
    store = MemoryState()
    tokens = make_tokens(Published(FIRST), store=store)
    one, other = (FIRST.sign(claims(jti=name)) for name in "ab")
    assert (why_not(tokens, one), why_not(tokens, other)) == ("", "")
    store.revoke("jti:a", for_s=60, by="", why="")

    assert (why_not(tokens, one), why_not(tokens, other)) == ("it has been revoked", "")
    store.restore("jti:a")
    assert why_not(tokens, one) == ""


@pytest.mark.parametrize("member", ["sub:main:jane", "sub:*:jane"])
def test_of_a_revoked_subject_what_is_issued_later_is_good(member: str) -> None:
    token = FIRST.sign(claims("jane", iat=1_000))
    store = MemoryState(lambda: 2_000_000)
    tokens = make_tokens(Published(FIRST), store=store)
    store.revoke(member, for_s=60, by="", why="")

    assert why_not(tokens, token) == "it has been revoked"
    assert why_not(tokens, FIRST.sign(claims("jane", iat=2_000))) == "it has been revoked"
    assert why_not(tokens, FIRST.sign(claims("jane", iat=None))) == "it has been revoked"
    assert why_not(tokens, FIRST.sign(claims("jane", iat=2_001))) == ""
    assert why_not(tokens, FIRST.sign(claims("john", iat=1_000))) == ""


def test_a_revocation_of_another_issuers_subject_is_not_meant() -> None:
    store = MemoryState()
    tokens = make_tokens(Published(FIRST), store=store)
    store.revoke("sub:other:jane", for_s=60, by="", why="")

    assert why_not(tokens, FIRST.sign(claims())) == ""


def test_what_was_revoked_before_this_worker_began_is_known() -> None:
    store = MemoryState()
    store.revoke("jti:a", for_s=60, by="", why="")

    assert (
        why_not(make_tokens(Published(FIRST), store=store), FIRST.sign(claims(jti="a")))
        == "it has been revoked"
    )


def test_a_caller_is_void_when_its_token_is_revoked() -> None:
    store = MemoryState()
    tokens = make_tokens(Published(FIRST), store=store)
    caller = bearing(tokens, FIRST.sign(claims(jti="a" * 300)))
    assert caller is not None
    assert not tokens.is_void(caller)
    store.revoke(f"jti:sha256:{hashlib.sha256(b'a' * 300).hexdigest()}", for_s=60, by="", why="")

    assert tokens.is_void(caller)
    assert not tokens.is_void(caller._replace(kind="api_key"))


def test_what_has_ended_is_forgotten_when_there_is_too_much(monkeypatch: pytest.MonkeyPatch) -> None:
    store = MemoryState()
    revoked = Revoked(store)
    for number in range(MOST_REVOKED):
        ends_s = 60 if number == 7 else 0.5
        revoked._hear(Revocation(f"jti:{number}", 0, ends_s, 0))  # noqa: SLF001 - as the shared state calls it
    monkeypatch.setattr("falcongate.admission.revoked.monotonic", lambda: monotonic() + 30)
    revoked._hear(Revocation("jti:new", 0, 60, 0))  # noqa: SLF001 - as the shared state calls it

    assert len(revoked._held) == 2  # noqa: SLF001 - how much is kept shows nowhere else
