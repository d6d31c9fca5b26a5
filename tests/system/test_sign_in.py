"""Single sign-on at a real provider: as users meet it, and as those who attack it do."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import parse_qsl, urlencode, urlsplit

import pytest

from falcongate.config.admin import SignInSettings
from falcongate.resources import operator_sessions
from falcongate.resources.operator_sessions import OperatorSessions
from tests.support.callers import Answer
from tests.support.processes import until
from tests.support.sign_in import (
    User,
    has_provider,
    identity_provider,
    settings_of,
)
from tests.support.upstreams import refusing_port
from tests.support.world import Plan, Site, echoed, running

pytestmark = pytest.mark.skipif(not has_provider(), reason="npm cannot install oidc-provider")

OPS = "https://ops.example.com"
AS_JSON = ("Content-Type", "application/json")
OWN = ("Origin", OPS)
ORDER = f"{OPS}/circuit-breaker/reset/honest"


@dataclass
class Place:
    """A gateway and its provider. Nobody may anything by address."""

    site: Site
    issuer: str

    def user(self) -> User:
        """Somebody who has not been here yet."""
        return User({"ops.example.com": self.site.gateway.address})

    def operator(self) -> User:
        """Somebody who is signed in."""
        user = self.user()
        answer = user.get(callback_of(user))
        assert (answer.status, answer.get("Location")) == (303, "/admin/")
        return user


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    directory = tmp_path_factory.mktemp("sign-in")
    with identity_provider(directory / "provider", OPS) as issuer:
        admin = {"read_from": [], "change_from": [], "sign_in": settings_of(issuer)}
        plan = Plan("sign-in", {"public_url": OPS, "admin": admin}, 0, workers=2)
        with running(plan, directory / "gateway") as site:
            yield Place(site, issuer)


def callback_of(user: User, login: str = "ada", *, start: str = "/admin/", **changed: str) -> str:
    """Sign in as far as the way back; `changed` are parameters that did not arrive as they were sent."""
    url = user.follow(OPS + start, until_path="/auth")
    parts = urlsplit(url)
    query = urlencode(dict(parse_qsl(parts.query)) | changed)
    return user.sign_in(parts._replace(query=query).geturl(), login)


def assert_refused(answer: Answer, problem: str = "sign-in-failed") -> None:
    assert answer.json()["type"] == f"/problems/{problem}"
    assert not [line for line in answer.all("Set-Cookie") if "falcongate_session=" in line]


def test_who_is_an_operator_signs_in_looks_changes_and_signs_out(place: Place) -> None:
    user = place.operator()
    page = user.get(f"{OPS}/admin/")
    assert b"You are <strong>ada" in page.content
    assert "default-src 'none'" in (page.get("Content-Security-Policy") or "")
    for path in ("/metrics", "/circuit-breaker/status", "/health/"):
        assert user.get(OPS + path).status == 200
    assert "dependencies" in user.get(f"{OPS}/health").json()
    # Both workers know the session.
    for _ in range(10):
        changed = user.send("POST", ORDER, OWN, AS_JSON, body=b'{"reason": "signed in"}')
        assert changed.status == 200
        assert str(changed.json()["by"]).startswith("ada")

    done = user.send("POST", f"{OPS}/admin/sign-out", OWN, body=b"")
    assert b"signed out" in done.content
    assert "falcongate_session" not in str(user.cookies["ops.example.com"])
    assert user.send("POST", ORDER, OWN, AS_JSON, body=b"{}").status == 401
    assert user.get(f"{OPS}/admin/").get("Location") == "/admin/sign-in"


def test_the_session_is_kept_from_pages_and_from_services(place: Place) -> None:
    user = place.user()
    answer = user.get(callback_of(user))
    (line,) = [line for line in answer.all("Set-Cookie") if "falcongate_session=" in line]
    assert line.startswith("__Host-falcongate_session=")
    assert line.endswith("; Path=/; HttpOnly; SameSite=Lax; Secure")
    assert "ada" not in line
    user.cookies["ops.example.com"]["theme"] = "dark"
    assert echoed(user.get(f"{OPS}/api/honest/echo")).get("Cookie") == "theme=dark"


def test_who_is_no_operator_is_told_so(place: Place) -> None:
    user = place.user()
    answer = user.get(callback_of(user, "eve"))
    assert answer.status == 403
    assert_refused(answer)
    assert "not as somebody who operates" in str(answer.json()["detail"])
    assert user.send("POST", ORDER, OWN, AS_JSON, body=b"{}").status == 401


def test_a_callback_without_its_cookie_is_refused(place: Place) -> None:
    url = callback_of(place.user())
    assert_refused(place.user().get(url))


def test_a_callback_that_is_another_sign_in_s_is_refused(place: Place) -> None:
    """As if somebody sent a victim the address with which to be signed in as somebody else."""
    victim, stranger = place.user(), place.user()
    callback_of(victim)
    assert_refused(victim.get(callback_of(stranger)))


@pytest.mark.parametrize(
    "change",
    [
        {"state": "forged"}, {"state": ""}, {"iss": "https://other.example.com"}, {"iss": ""},
        {"code": "forged"}, {"code": ""}, {"error": "access_denied"},
    ],
)  # fmt: skip
def test_a_callback_that_was_changed_is_refused(place: Place, change: dict[str, str]) -> None:
    user = place.user()
    parts = urlsplit(callback_of(user))
    changed = dict(parse_qsl(parts.query)) | change
    assert_refused(user.get(parts._replace(query=urlencode(changed)).geturl()))


def test_a_callback_that_says_things_twice_is_refused(place: Place) -> None:
    user = place.user()
    url = callback_of(user)
    assert_refused(user.get(f"{url}&state=again"))


def test_a_code_is_good_once(place: Place) -> None:
    user = place.user()
    url = callback_of(user)
    kept = dict(user.cookies["ops.example.com"])
    assert user.get(url).status == 303
    # Who has recorded both, the cookie and the address.
    recorder = place.user()
    recorder.cookies["ops.example.com"] = kept
    assert_refused(recorder.get(url))


@pytest.mark.parametrize("changed", [{"nonce": "another"}, {"code_challenge": "A" * 43}])
def test_a_sign_in_that_was_changed_on_its_way_is_refused(place: Place, changed: dict[str, str]) -> None:
    user = place.user()
    assert_refused(user.get(callback_of(user, **changed)))


@pytest.mark.parametrize(
    "name", ["falcongate_sign_in", "__Host-falcongate_sign_in", "__Host-falcongate_session"]
)
def test_cookies_that_somebody_made_up_are_none(place: Place, name: str) -> None:
    user = place.user()
    url = callback_of(user)
    stranger = place.user()
    stranger.cookies["ops.example.com"] = {name: "gAAAAABforged"}
    assert_refused(stranger.get(url))
    assert stranger.send("POST", ORDER, OWN, AS_JSON, body=b"{}").status == 401


def test_a_session_that_is_over_is_refused(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    sessions = OperatorSessions(SignInSettings.model_validate(settings_of(place.issuer)), OPS)
    user = place.user()
    now = datetime.now(UTC).timestamp()
    for begun, status in ((now, 200), (now - 28_800, 401)):
        monkeypatch.setattr(operator_sessions, "_now_s", lambda begun=begun: begun)
        name, _, value = sessions.begin("ada").partition(";")[0].partition("=")
        user.cookies["ops.example.com"] = {name: value}
        assert user.send("POST", ORDER, OWN, AS_JSON, body=b"{}").status == status
        assert user.get(f"{OPS}/metrics").status == status


@pytest.mark.parametrize(
    "fields",
    [
        [AS_JSON], [("Origin", "https://evil.example"), AS_JSON], [("Origin", "null"), AS_JSON],
        [("Origin", "https://app.ops.example.com"), ("Sec-Fetch-Site", "same-site"), AS_JSON],
        [OWN, ("Content-Type", "application/x-www-form-urlencoded")], [OWN, ("Content-Type", "text/plain")],
        [OWN], [OWN, ("Sec-Fetch-Site", "cross-site"), AS_JSON],
    ],
)  # fmt: skip
def test_what_another_page_could_send_changes_nothing(place: Place, fields: list[tuple[str, str]]) -> None:
    user = place.operator()
    answer = user.send("POST", ORDER, *fields, body=b"{}")
    assert answer.status == 403
    assert answer.json()["type"] == "/problems/forbidden"


def test_another_page_reads_nothing_and_signs_nobody_out(place: Place) -> None:
    user = place.operator()
    evil = ("Origin", "https://evil.example")
    assert user.get(f"{OPS}/metrics", evil).status == 403
    assert user.get(f"{OPS}/health/", evil).json().keys() == {"status"}
    for fields in ([evil], [("Origin", "null")], []):
        assert user.send("POST", f"{OPS}/admin/sign-out", *fields, body=b"").status == 403
    assert user.get(f"{OPS}/admin/sign-out").status == 405
    assert user.get(f"{OPS}/metrics").status == 200


@pytest.mark.parametrize(
    ("then", "leads_to"),
    [
        ("/metrics", "/metrics"), ("/circuit-breaker/status/honest/", "/circuit-breaker/status/honest/"),
        ("//evil.example", "/admin/"), ("/\\evil.example", "/admin/"), ("https://evil.example/", "/admin/"),
        ("/admin/../../evil", "/admin/"), ("/metrics\r\nSet-Cookie: a=b", "/admin/"), ("", "/admin/"),
        ("/api/honest/x", "/admin/"), ("javascript:alert(1)", "/admin/"),
    ],
)  # fmt: skip
def test_the_way_on_is_one_of_our_own(place: Place, then: str, leads_to: str) -> None:
    user = place.user()
    answer = user.get(callback_of(user, start="/admin/sign-in?" + urlencode({"next": then})))
    assert answer.status == 303
    if leads_to == "/admin/" and then.startswith("/admin/"):
        assert (answer.get("Location") or "").startswith("/admin/")
    else:
        assert answer.get("Location") == leads_to


def test_what_happened_is_in_the_log_and_no_secret_is(place: Place) -> None:
    user = place.user()
    url = callback_of(user)
    user.get(url)
    gateway = place.site.gateway
    until(lambda: "sign-in by ada" in gateway.stderr(), "it is noted")
    written = gateway.stderr() + gateway.stdout()
    secrets = [dict(parse_qsl(urlsplit(url).query))["code"], *user.cookies["ops.example.com"].values()]
    assert not [secret for secret in [*secrets, "odd/signs"] if secret in written]


def test_sign_ins_can_be_limited(place: Place, tmp_path: Path) -> None:
    settings = {
        "public_url": OPS,
        "admin": {"sign_in": settings_of(place.issuer)},
        "limits": {"sign-in": {"rate": "3/m", "paths": ["/admin/**"]}},
    }
    with running(Plan("limited", settings, 0), tmp_path) as site:
        user = User({"ops.example.com": site.gateway.address})
        statuses = [user.get(f"{OPS}/admin/{path}").status for path in ("sign-in", "callback", "sign-in")]
        assert statuses == [303, 403, 303]
        assert user.get(f"{OPS}/admin/sign-in").status == 429
        assert user.get(f"{OPS}/admin/callback?code=x&state=y").status == 429


def test_while_the_provider_is_away_nobody_signs_in_and_sessions_go_on(tmp_path: Path) -> None:
    with refusing_port() as port:
        issuer = f"http://localhost:{port}"
        admin = {"read_from": [], "sign_in": settings_of(issuer)}
        with running(Plan("away", {"public_url": OPS, "admin": admin}, 0), tmp_path) as site:
            user = User({"ops.example.com": site.gateway.address})
            refused = user.get(f"{OPS}/admin/sign-in")
            assert refused.status == 503
            assert refused.get("Retry-After") == "5"
            assert_refused(refused, "provider-unavailable")
            assert str(port) not in json.dumps(refused.json())
            sessions = OperatorSessions(SignInSettings.model_validate(settings_of(issuer)), OPS)
            name, _, value = sessions.begin("ada").partition(";")[0].partition("=")
            user.cookies["ops.example.com"] = {name: value}
            assert user.get(f"{OPS}/metrics").status == 200
