"""Tokens of tenants, each of which has keys at an address of its own that a claim names."""

from __future__ import annotations

import math
from contextlib import suppress

import pytest

from falcongate.outages import KeysUnavailable
from falcongate.state.memory_store import MemoryState
from tests.support.tokens import Signer, claims
from tests.unit.admission.proving import BY_TENANT, URL, Published, make_tokens, why_not

FIRST, SECOND = Signer("k1"), Signer("k2", number=2)
PATTERNS = {"jwks_url": BY_TENANT, "claim_patterns": {"tenant_id": "[a-z0-9./{}-]+"}, "max_key_sets": 2}


def test_tenants_have_sets_of_their_own_of_which_few_are_kept() -> None:
    published = Published(FIRST)
    tokens = make_tokens(published, issuer=PATTERNS)
    of_tenants = [FIRST.sign(claims(tenant_id=f"t{number}")) for number in range(4)]
    for token in of_tenants:
        assert why_not(tokens, token) == ""

    assert published.asked == [f"http://auth:8001/api/jwks/t{number}/" for number in range(4)]
    (issuer,) = tokens._issuers._all  # noqa: SLF001 - how much is kept shows nowhere else
    assert len(issuer._sets) == 2  # type: ignore[attr-defined]  # noqa: SLF001

    # What is proven with a set that is not kept any more is proven anew.
    published.signers = [SECOND]
    assert why_not(tokens, of_tenants[3]) == ""
    tokens_of_another_worker = make_tokens(published, issuer=PATTERNS)
    assert why_not(tokens_of_another_worker, of_tenants[0]) == "its key is not one of its issuer's"


@pytest.mark.parametrize(
    "tenant", ["..", ".", "T1", "t1\n", "", None, 1.5, True, ["t1"], {"a": 1}, "x" * 257, "\u0661", "t 1"]
)
def test_a_tenant_that_is_not_as_it_must_be_is_not_asked_for(tenant: object) -> None:
    published = Published(FIRST)
    tokens = make_tokens(published, issuer=PATTERNS)

    assert why_not(tokens, FIRST.sign({**claims(), "tenant_id": tenant}))
    assert published.asked == []


@pytest.mark.parametrize(
    ("tenant", "path"),
    [("a/../b", "a%2F..%2Fb"), ("{sub}", "%7Bsub%7D"), (7, "7"), ("a..b", "a..b")],
)
def test_a_tenant_stays_one_segment_of_the_address(tenant: object, path: str) -> None:
    published = Published(FIRST)

    assert why_not(make_tokens(published, issuer=PATTERNS), FIRST.sign(claims(tenant_id=tenant))) == ""
    assert published.asked == [f"http://auth:8001/api/jwks/{path}/"]


def test_made_up_tenants_do_not_flood_the_issuer() -> None:
    published = Published(FIRST)
    published.missing = {f"http://auth:8001/api/jwks/t{number}/" for number in range(200)}
    tokens = make_tokens(published, issuer=PATTERNS)
    told = []
    for number in range(200):
        try:
            told.append(why_not(tokens, FIRST.sign(claims(tenant_id=f"t{number}"))))
        except KeysUnavailable:
            told.append("unavailable")

    assert set(told) == {"its issuer has no keys for it", "unavailable"}
    assert 20 <= len(published.asked) < 60


def test_made_up_tenants_push_out_none_that_there_are(proofs: list[str]) -> None:
    tokens = make_tokens(Published(FIRST), issuer=PATTERNS)
    real = [FIRST.sign(claims(tenant_id=f"real{number}")) for number in range(2)]
    for token in real:
        assert why_not(tokens, token) == ""
    for number in range(9):
        forged = Signer("k1", number=2).sign(claims(tenant_id=f"t{number}"))
        assert why_not(tokens, forged) == "its signature is not valid"
    proofs.clear()

    assert [why_not(tokens, token) for token in real] == ["", ""]
    assert proofs == []


def test_the_keys_of_made_up_tenants_are_soon_forgotten() -> None:
    now_ms = 1_700_000_000_000
    store = MemoryState(lambda: now_ms)
    tokens = make_tokens(Published(FIRST), issuer=PATTERNS, store=store)
    why_not(tokens, Signer("k1", number=2).sign(claims(tenant_id="forged")))
    why_not(tokens, FIRST.sign(claims(tenant_id="real")))
    known = [store.find_keys(BY_TENANT.format(tenant_id=tenant)) for tenant in ("forged", "real")]
    assert None not in known
    now_ms += 61_000

    assert store.find_keys(BY_TENANT.format(tenant_id="forged")) is None
    assert store.find_keys(BY_TENANT.format(tenant_id="real")) is not None


def test_a_tenant_whose_keys_others_know_is_not_refused_for_a_flood() -> None:
    published, store = Published(FIRST), MemoryState()
    assert why_not(make_tokens(published, issuer=PATTERNS, store=store), FIRST.sign(claims())) == ""
    tokens = make_tokens(published, issuer=PATTERNS, store=store)
    forger = Signer("k1", number=2)
    # A flood of a second: signing takes longer on a busy machine.
    for forged in [forger.sign(claims(tenant_id=f"x{number}")) for number in range(200)]:
        with suppress(KeysUnavailable):
            why_not(tokens, forged)
    with pytest.raises(KeysUnavailable):
        why_not(tokens, FIRST.sign(claims(tenant_id="another")))

    assert why_not(tokens, FIRST.sign(claims())) == ""


def test_keys_that_were_forgotten_while_they_were_fetched_prove_nothing_for_long() -> None:
    tokens = make_tokens(Published(FIRST), issuer=PATTERNS)
    (issuer,) = tokens._issuers._all  # noqa: SLF001 - no request can be made to lose this race
    forgotten, kept = (issuer._new_set(URL, are_proven=False) for _ in range(2))  # type: ignore[attr-defined]  # noqa: SLF001
    for keys in (kept, forgotten):
        keys.load()
        issuer.keep(keys)

    assert kept.generation == 1
    assert math.isnan(forgotten.generation)
