"""Tokens at the edge: who passes, who does not, what services are told, and what operators see."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.support.callers import Answer
from tests.support.hosts import ask, hosts, plan_on
from tests.support.issuer import IssuerServer
from tests.support.processes import until
from tests.support.redis_servers import SERVER, RedisServer, ended
from tests.support.tokens import Signer, claims
from tests.support.world import Site, echoed

pytestmark = pytest.mark.skipif(SERVER is None, reason="redis-server is not installed")

KEY = Signer()
MALLORY = Signer("k1", number=1)
SECRET = "a secret of more than thirty-two bytes"  # noqa: S105 - of this test
PLAIN = ("watched", "optional", "required", "scoped", "counted", "open")


@pytest.fixture(scope="module")
def issuer() -> Iterator[IssuerServer]:
    issuer = IssuerServer(KEY)
    yield issuer
    issuer.stop()


@pytest.fixture(scope="module")
def site(issuer: IssuerServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    server = RedisServer(tmp_path_factory.mktemp("redis"))
    access = {
        "watched": {"services": ["watched"], "identity": "required", "mode": "shadow"},
        "optional": {"services": ["optional"], "identity": "optional"},
        "required": {"services": ["required", "counted", "messaging"], "identity": "required"},
        "scoped": {
            "services": ["scoped"],
            "identity": "required",
            "scopes": ["hr.read", "hr.write"],
            "claims": {"role": ["admin", "editor"]},
        },
    }
    plan = plan_on(
        server.url,
        issuers={"auth": issuer.settings()},
        tokens={
            "cookie": "jwt",
            "query": "token",
            "headers": {"X-User-ID": "sub", "X-Tenant-ID": "tenant_id"},
        },
        access=access,
        limits={"each": {"rate": "2/h", "key": ["claim:sub"], "services": ["counted"]}},
        public_paths=["/api/required/public/**"],
        services={**{name: {} for name in PLAIN}, "messaging": {"paths": ["/socket.io"], "websocket": True}},
    )
    with ended(server), hosts(tmp_path_factory.mktemp("hosts"), plan) as (site,):
        yield site


def sending(site: Site, service: str, token: str = "", *fields: tuple[str, str]) -> Answer:
    bearer = [("Authorization", f"Bearer {token}")] if token else []
    return ask(site, f"/api/{service}/x", [*bearer, *fields])


def test_a_good_token_passes_and_the_service_is_told_whose_it_is(site: Site) -> None:
    echo = echoed(sending(site, "required", KEY.sign(claims("jan\xe9 doe"))))

    assert (echo.get("X-User-ID"), echo.get("X-Tenant-ID")) == ("jan%C3%A9 doe", "t1")
    assert (echo.get("Authorization") or "").startswith("Bearer eyJ")


@pytest.mark.parametrize("service", PLAIN)
def test_what_callers_say_of_themselves_never_arrives(site: Site, service: str) -> None:
    forged = [
        ("X-User-ID", "root"),
        ("x-user-id", "root"),
        ("X.User.ID", "root"),
        ("X_User_ID", "root"),
        ("X-Tenant-ID", "t9"),
    ]
    token = KEY.sign(claims(f"of {service}", scope="hr.read hr.write", role="admin"))
    echo = echoed(sending(site, service, token, *forged))

    told = [f"of {service}"] if service != "open" else []
    assert echo.all("X-User-ID") == told
    assert not [value for _, value in echo.fields if value in ("root", "t9")]


def test_hop_by_hop_tricks_do_not_take_away_what_is_told(site: Site) -> None:
    hop = ("Connection", "close, X-User-ID, Authorization")
    echo = echoed(sending(site, "required", KEY.sign(claims()), hop))

    assert echo.get("X-User-ID") == "jane"
    assert echo.get("Authorization")


def test_a_rule_that_watches_refuses_nobody_and_reports_whom_it_would_have(site: Site) -> None:
    good, bad, none = (
        sending(site, "watched", token) for token in (KEY.sign(claims()), MALLORY.sign(claims()), "")
    )
    assert [answer.status for answer in (good, bad, none)] == [200, 200, 200]

    lines = [site.gateway.logged(answer.get("X-Request-ID") or "") for answer in (good, bad, none)]
    assert [line.get("would_refuse") for line in lines] == [None, ["watched"], ["watched"]]
    # What was not proven is passed on as it came, for services to judge as they did before.
    assert echoed(bad).get("X-User-ID") is None
    assert echoed(bad).get("Authorization")


def test_who_may_have_a_token_and_has_none_passes_and_who_has_a_bad_one_does_not(site: Site) -> None:
    assert sending(site, "optional").status == 200
    assert sending(site, "optional", KEY.sign(claims())).status == 200
    assert sending(site, "optional", MALLORY.sign(claims())).status == 401


@pytest.mark.parametrize(
    ("token", "why"),
    [
        ("", None),
        ("rubbish", "it is not a signed token of three parts"),
        (MALLORY.sign(claims()), "its signature is not valid"),
        (KEY.sign(claims(lives_s=-60)), "it has expired"),
        (KEY.sign(claims(nbf=4_000_000_000)), "it is not valid yet"),
        (KEY.sign(claims(aud="other")), "it is for another audience"),
        (KEY.sign(claims(), kid="other"), "its key is not one of its issuer's"),
        (KEY.sign(claims(tenant_id="none")), "its issuer has no keys for it"),
        (KEY.sign(claims(tenant_id="../t1")), "its tenant_id is not as it must be"),
        (KEY.sign(claims(tenant_id=None)), "it lacks the claim tenant_id"),
    ],
)
def test_who_must_have_one_is_told_what_is_wrong(site: Site, token: str, why: str | None) -> None:
    answer = sending(site, "required", token)
    error = f', error="invalid_token", error_description="{why}"' if why else ""

    assert answer.status == 401
    assert answer.get("WWW-Authenticate") == f'Bearer realm="falcongate"{error}'
    assert answer.json()["type"] == "/problems/unauthorized"
    line = site.gateway.logged(str(answer.json()["request_id"]))
    assert line["refused_by"] == ["required"]


def test_a_token_that_lacks_a_scope_or_a_claim_is_not_enough(site: Site) -> None:
    def status(**said: object) -> int:
        return sending(site, "scoped", KEY.sign(claims(**said))).status

    assert status(scope="hr.read hr.write x", role="admin") == 200
    assert status(scp=["hr.read", "hr.write"], role=["x", "editor"]) == 200
    assert status(scope="hr.read hr.write", role="guest") == 403
    assert status(scope="hr.read hr.write") == 403
    lacking = sending(site, "scoped", KEY.sign(claims(scope="hr.read", role="admin")))
    assert (lacking.status, lacking.json()["type"]) == (403, "/problems/not-permitted")
    assert lacking.get("WWW-Authenticate") == (
        'Bearer realm="falcongate", error="insufficient_scope", scope="hr.read hr.write"'
    )


def test_on_public_paths_nobody_is_asked(site: Site) -> None:
    answer = ask(
        site,
        "/api/required/public/x",
        [("Authorization", "Bearer rubbish"), ("X-User-ID", "root"), ("Cookie", "jwt=a; x=y")],
    )
    echo = echoed(answer)

    assert (echo.get("Authorization"), echo.get("X-User-ID"), echo.get("Cookie")) == (None, None, "x=y")


def test_a_subject_is_counted_wherever_it_comes_from(site: Site) -> None:
    def status(subject: str, address: str) -> int:
        return sending(site, "counted", KEY.sign(claims(subject, jti=address))).status

    assert [status("john", str(number)) for number in range(4)] == [200, 200, 429, 429]
    assert status("jack", "1") == 200


def test_a_cookie_may_hold_the_token(site: Site) -> None:
    cookie = ("Cookie", f"theme=dark; jwt={KEY.sign(claims('joan'))}")

    assert echoed(sending(site, "required", "", cookie)).get("X-User-ID") == "joan"
    both = sending(site, "required", KEY.sign(claims("jane")), cookie)
    assert echoed(both).get("X-User-ID") == "jane"
    assert sending(site, "required", MALLORY.sign(claims()), cookie).status == 401


def test_the_query_of_socket_io_may_hold_it_and_no_other(site: Site) -> None:
    token = KEY.sign(claims("jill"))
    answer = ask(site, f"/socket.io/?EIO=4&token={token}&transport=polling&%74oken={token}")
    echo = echoed(answer)

    assert echo.target == "/socket.io/?EIO=4&transport=polling"
    assert echo.get("Authorization") == f"Bearer {token}"
    assert echo.get("X-User-ID") == "jill"
    assert ask(site, f"/api/required/x?token={token}").status == 401
    beside = echoed(
        ask(site, f"/socket.io/?EIO=4&token={token}", [("Cookie", f"jwt={KEY.sign(claims('joan'))}")])
    )
    assert (beside.target, beside.get("Authorization")) == ("/socket.io/?EIO=4", None)
    assert beside.get("X-User-ID") == "joan"
    line = site.gateway.logged(echo.get("X-Request-ID") or "")
    assert token not in str(line)
    assert token not in site.gateway.stdout() + site.gateway.stderr()


def test_no_log_holds_a_token_and_no_answer_does(site: Site) -> None:
    bad = MALLORY.sign(claims("a secret subject"))
    answer = sending(site, "required", bad)
    site.gateway.logged(str(answer.json()["request_id"]))

    for part in bad.split("."):
        assert part not in site.gateway.stdout() + site.gateway.stderr()
        assert part.encode() not in answer.head.raw + answer.content


def test_made_up_keys_and_tenants_lead_to_few_questions(site: Site, issuer: IssuerServer) -> None:
    assert sending(site, "required", KEY.sign(claims())).status == 200
    before = len(issuer.asked)
    for number in range(60):
        assert sending(site, "required", KEY.sign(claims(), kid=f"made-up-{number}")).status == 401
    # One at once, one each three seconds, whichever worker is asked.
    assert len(issuer.asked) - before <= 1 + 30 / 3
    assert sending(site, "required", KEY.sign(claims())).status == 200


def test_workers_know_what_one_of_them_has_fetched(site: Site, issuer: IssuerServer) -> None:
    token = KEY.sign(claims(tenant_id="shared"))
    for _ in range(24):
        assert sending(site, "required", token).status == 200

    assert issuer.asked.count("/api/jwks/shared/") == 1
    until(lambda: len(site.gateway.children()) == 2, "both workers run")
