"""Issuers that change their keys, or are gone, while callers with good tokens go on."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Self

import pytest

from tests.support.callers import Caller, request_bytes
from tests.support.hosts import ask, hosts, plan_on
from tests.support.issuer import IssuerServer
from tests.support.processes import until
from tests.support.redis_servers import SERVER, RedisServer
from tests.support.tokens import Signer, claims
from tests.support.world import Plan, Site

pytestmark = pytest.mark.skipif(SERVER is None, reason="redis-server is not installed")

OLD, NEW = Signer("old"), Signer("new", number=2)


@pytest.fixture
def issuer() -> Iterator[IssuerServer]:
    issuer = IssuerServer(OLD)
    yield issuer
    issuer.stop()


def plan_for(server: RedisServer, issuer: IssuerServer, **more: Any) -> Plan:  # noqa: ANN401 - as in a file
    return plan_on(
        server.url,
        issuers={"auth": issuer.settings(**more)},
        access={"all": {"identity": "required"}},
    )


class Load:
    """Callers who ask without a pause; `statuses` counts what they were answered.

    Each request has a token of its own, signed by `signer`, so that it must be proven.
    """

    def __init__(self, site: Site, signer: Signer, *, callers: int = 4) -> None:
        self.signer = signer
        self.statuses: Counter[int] = Counter()
        self._site = site
        self._over = threading.Event()
        self._threads = [threading.Thread(target=self._ask, args=(number,)) for number in range(callers)]

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        for thread in self._threads:
            thread.join(30)

    def more(self, count: int = 100) -> None:
        """Wait until so many more were answered."""
        wanted = self.statuses.total() + count
        until(lambda: self.statuses.total() >= wanted, f"{count} more answers", within_s=60)

    def _ask(self, number: int) -> None:
        turn = 0
        while not self._over.is_set():
            with Caller(self._site.gateway.address) as caller:
                for _ in range(10):
                    turn += 1
                    token = self.signer.sign(claims(jti=f"{number}-{turn}"))
                    caller.send(request_bytes("GET", "/api/honest/x", [("Authorization", f"Bearer {token}")]))
                    self.statuses[caller.answer(within_s=20).status] += 1


def test_keys_are_changed_under_load_and_no_good_token_is_refused(
    server: RedisServer, issuer: IssuerServer, tmp_path: Path
) -> None:
    """The new key is published beside the old one, tokens are signed with it, the old one is taken away."""
    plan = plan_for(server, issuer, refresh_s=2, cooldown_s=1)
    with hosts(tmp_path, plan) as (site,), Load(site, OLD) as load:
        load.more()
        issuer.signers = [OLD, NEW]
        load.signer = NEW
        load.more()
        issuer.signers = [NEW]
        load.more()
        refused = OLD.sign(claims())
        until(lambda: status(site, refused) == 401, "the old key is not good any more")

    assert set(load.statuses) == {200}


@pytest.mark.parametrize("how", ["down", "stalled"])
def test_an_issuer_that_is_gone_under_load_is_not_missed(
    server: RedisServer, issuer: IssuerServer, tmp_path: Path, how: str
) -> None:
    """The issuer breaks off, or stalls, for several refreshes; then workers are started anew."""
    plan = plan_for(server, issuer, refresh_s=1, cooldown_s=1)
    with hosts(tmp_path, plan) as (site,):
        with Load(site, OLD) as load:
            load.more()
            asked = len(issuer.asked)
            if how == "down":
                issuer.is_down = True
            else:
                issuer.stall()
            until(lambda: len(issuer.asked) > asked, "they have asked in vain", within_s=20)
            load.more(200)
        assert set(load.statuses) == {200}
        site.gateway.allow_deaths()
        site.gateway.reload()
        with Load(site, OLD) as load:
            load.more()
        assert set(load.statuses) == {200}
        # With a key that nobody has seen, nobody can say.
        unknown = ask(site, "/api/honest/x", [("Authorization", f"Bearer {NEW.sign(claims())}")])
        assert (unknown.status, unknown.json()["type"]) == (503, "/problems/keys-unavailable")
        assert unknown.get("Retry-After")
        issuer.is_down, issuer.signers = False, [OLD, NEW]
        issuer.let_go()
        until(lambda: status(site, NEW.sign(claims())) == 200, "the new key is known", within_s=30)


def test_while_no_keys_are_known_at_all_that_is_said(
    server: RedisServer, issuer: IssuerServer, tmp_path: Path
) -> None:
    """The issuer is down from the beginning, and comes up later."""
    issuer.is_down = True
    with hosts(tmp_path, plan_for(server, issuer, refresh_s=1, cooldown_s=1)) as (site,):
        token = OLD.sign(claims())
        answers = [ask(site, "/api/honest/x", [("Authorization", f"Bearer {token}")]) for _ in range(20)]
        assert {answer.status for answer in answers} == {503}
        assert all(answer.get("Retry-After") for answer in answers)
        assert len(issuer.asked) <= 6
        issuer.is_down = False
        until(lambda: status(site, token) == 200, "the keys are known", within_s=30)


def status(site: Site, token: str) -> int:
    return ask(site, "/api/honest/x", [("Authorization", f"Bearer {token}")]).status
