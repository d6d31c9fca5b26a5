"""Tokens that are proven: by whom, how often, for how long, and what is known of their callers."""

from __future__ import annotations

from time import monotonic

import pytest

from falcongate.admission import tokens as tokens_module
from falcongate.admission.tokens import Tokens
from falcongate.denials import Unauthorized
from falcongate.outages import KeysUnavailable
from falcongate.state.in_process import Fault
from falcongate.state.memory_store import MemoryState
from tests.support.tokens import Signer, claims
from tests.unit.admission.proving import URL, Published, bearing, make_tokens, why_not
from tests.unit.making import make_exchange

FIRST, SECOND = Signer("k1"), Signer("k2", number=2)
SECRET = "a secret of more than thirty-two bytes"  # noqa: S105 - of this test


def test_what_is_known_of_the_caller() -> None:
    tokens = make_tokens(
        Published(FIRST), tokens={"headers": {"X-User-ID": "sub", "X-Tenant-ID": "tenant_id"}}
    )
    said = claims("jane", lives_s=60, roles=["a"])
    caller = bearing(tokens, FIRST.sign(said))

    assert caller is not None
    assert (caller.kind, caller.name, caller.issuer, caller.claims) == ("token", "jane", "main", said)
    assert caller.headers == b"X-User-ID: jane\r\nX-Tenant-ID: t1\r\n"
    # Its leeway is part of its life.
    assert caller.ends_at == pytest.approx(monotonic() + 90, abs=3)
    assert caller.services is None


def test_without_issuers_nothing_is_a_token() -> None:
    tokens = make_tokens(issuers={})

    assert bearing(tokens, "whatever") is None


def test_a_request_without_a_token_has_none() -> None:
    assert make_tokens().find(make_exchange()) is None


def test_a_token_that_comes_again_is_not_proven_again(proofs: list[str]) -> None:
    published = Published(FIRST)
    tokens, token = make_tokens(published), FIRST.sign(claims())
    first = bearing(tokens, token)

    assert all(bearing(tokens, token) is first for _ in range(5))
    assert (len(proofs), published.asked) == (1, [URL])


def test_a_token_that_is_known_still_ends(proofs: list[str]) -> None:
    tokens, token = make_tokens(Published(FIRST)), FIRST.sign(claims())
    caller = bearing(tokens, token)
    assert caller is not None
    later = make_exchange(f"Authorization: Bearer {token}")
    later.started = caller.ends_at

    with pytest.raises(Unauthorized, match="it has expired"):
        tokens.find(later)
    assert len(proofs) == 1


def test_what_is_not_valid_is_not_tried_again_and_again(
    proofs: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    tokens, token = make_tokens(Published(FIRST)), FIRST.sign(claims(), kid="k1")[:-8] + "AAAAAAAA"

    assert [why_not(tokens, token) for _ in range(3)] == ["its signature is not valid"] * 3
    assert len(proofs) == 1

    monkeypatch.setattr(tokens_module, "monotonic", lambda: monotonic() + 6)
    why_not(tokens, token)
    assert len(proofs) == 2


def test_a_key_that_is_taken_out_of_its_set_ends_what_it_has_proven() -> None:
    published = Published(FIRST, SECOND)
    tokens, token = make_tokens(published, issuer={"cooldown_s": 0.01}), FIRST.sign(claims())
    assert why_not(tokens, token) == ""
    published.signers = [SECOND]

    # Somebody asks for a key that is not known, so that all are fetched.
    why_not(tokens, Signer("k3").sign(claims()))

    assert why_not(tokens, token) == "its key is not one of its issuer's"
    assert why_not(tokens, SECOND.sign(claims())) == ""


def test_a_key_that_is_new_is_found_at_once() -> None:
    published = Published(FIRST)
    tokens = make_tokens(published)
    bearing(tokens, FIRST.sign(claims()))
    published.signers.append(SECOND)

    assert why_not(tokens, SECOND.sign(claims())) == ""
    assert len(published.asked) == 2


def test_a_token_that_names_no_key_is_tried_with_those_that_fit() -> None:
    published = Published(FIRST, SECOND)
    tokens = make_tokens(published)

    assert why_not(tokens, Signer("", number=2).sign(claims())) == ""
    assert why_not(tokens, Signer("", number=3).sign(claims())) == "its signature is not valid"


def test_a_token_that_names_no_key_finds_a_new_one_too() -> None:
    published = Published(FIRST)
    tokens = make_tokens(published)
    bearing(tokens, FIRST.sign(claims()))
    published.signers = [SECOND]

    assert why_not(tokens, Signer("", number=2).sign(claims())) == ""


def test_while_no_keys_can_be_had_nobody_is_told_that_a_token_is_bad() -> None:
    published = Published(FIRST)
    published.is_away = True
    tokens = make_tokens(published)

    for _ in range(3):
        with pytest.raises(KeysUnavailable) as refused:
            bearing(tokens, FIRST.sign(claims()))
    assert refused.value.retry_after_s
    assert len(published.asked) == 1


def two_issuers(published: Published, **more: object) -> Tokens:
    """One that is named and signs with RSA, one that is not and signs with a secret."""
    issuers = {
        "new": {"issuer": "https://auth.test", "algorithms": "RS256", "jwks_url": URL, **more},
        "old": {"algorithms": "HS256", "secret": SECRET},
    }
    return make_tokens(published, issuers=issuers)


def shared_secret(**said: object) -> str:
    import jwt  # noqa: PLC0415 - the one token here that no key of a pair signs

    return jwt.encode(claims(**said), SECRET, "HS256")


def test_a_token_belongs_to_the_issuer_that_it_names_else_to_one_without_a_name() -> None:
    tokens = two_issuers(Published(FIRST))
    named, old = FIRST.sign(claims(iss="https://auth.test")), shared_secret()

    assert [bearing(tokens, token).issuer for token in (named, old)] == ["new", "old"]  # type: ignore[union-attr]
    assert why_not(tokens, FIRST.sign(claims())) == "its algorithm is not its issuer's"
    assert why_not(tokens, shared_secret(iss="https://auth.test")) == "its algorithm is not its issuer's"
    assert (
        why_not(tokens, FIRST.sign(claims(iss="https://auth.test/"))) == "its algorithm is not its issuer's"
    )
    assert why_not(tokens, shared_secret(iss="https://other.test")) == ""


def test_an_issuer_that_all_must_name() -> None:
    tokens = make_tokens(Published(FIRST), issuer={"issuer": "https://auth.test"})

    assert why_not(tokens, FIRST.sign(claims())) == "its issuer is not known here"
    assert why_not(tokens, FIRST.sign(claims(iss=["https://auth.test"]))) == "its issuer is not known here"


def test_the_audience_and_the_claims_that_an_issuer_asks_for() -> None:
    asked = {"audience": ["shop", "admin"], "required_claims": ["exp", "jti"]}
    tokens = make_tokens(Published(FIRST), issuer=asked)

    assert why_not(tokens, FIRST.sign(claims(aud="admin", jti="1"))) == ""
    assert why_not(tokens, FIRST.sign(claims(aud=["x", "shop"], jti="1"))) == ""
    assert why_not(tokens, FIRST.sign(claims(aud="other", jti="1"))) == "it is for another audience"
    assert why_not(tokens, FIRST.sign(claims(jti="1"))) == "it lacks the claim aud"
    assert why_not(tokens, FIRST.sign(claims(aud="shop"))) == "it lacks the claim jti"


def test_without_the_shared_state_tokens_are_proven_all_the_same() -> None:
    tokens = make_tokens(Published(FIRST), store=MemoryState(fault=Fault.AWAY))

    assert why_not(tokens, FIRST.sign(claims())) == ""


def test_who_does_not_wait_learns_what_known_keys_prove() -> None:
    published = Published(FIRST)
    tokens = make_tokens(published)
    asking = make_exchange(f"Authorization: Bearer {FIRST.sign(claims())}")
    for sender in (FIRST, SECOND):
        with pytest.raises(KeysUnavailable):
            tokens.find(make_exchange(f"Authorization: Bearer {sender.sign(claims())}"), waits=False)
    assert published.asked == []
    bearing(tokens, FIRST.sign(claims("somebody else")))

    assert tokens.find(asking, waits=False) is not None
    with pytest.raises(KeysUnavailable):
        tokens.find(make_exchange(f"Authorization: Bearer {SECOND.sign(claims())}"), waits=False)
    assert published.asked == [URL]


def test_issuers_with_the_same_keys_and_other_claims_are_all_asked() -> None:
    common = {"issuer": "https://auth.test", "algorithms": "RS256", "jwks_url": URL}
    issuers = {"shop": {**common, "audience": "shop"}, "admin": {**common, "audience": "admin"}}
    tokens = make_tokens(Published(FIRST), issuers=issuers)

    for_admin = bearing(tokens, FIRST.sign(claims(iss="https://auth.test", aud="admin")))
    assert for_admin is not None
    assert for_admin.issuer == "admin"
    for_nobody = FIRST.sign(claims(iss="https://auth.test", aud="x"))
    assert why_not(tokens, for_nobody) == "it is for another audience"
