"""How the gateway speaks to a provider, and what it does not take from one."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from hashlib import sha256
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from falcongate.config.admin import SignInSettings
from falcongate.denials import SignInFailed
from falcongate.outages import ProviderUnavailable
from falcongate.resources import openid
from falcongate.resources.openid import Departure, Provider
from falcongate.upstream.fetch import FetchFailed
from tests.unit.resources.test_id_token import CLIENT, ISSUER, KEYS, NONCE, token

METADATA = {
    "issuer": ISSUER,
    "authorization_endpoint": f"{ISSUER}/auth?tenant=1",
    "token_endpoint": f"{ISSUER}/token",
    "jwks_uri": f"{ISSUER}/keys",
    "userinfo_endpoint": f"{ISSUER}/me",
    "end_session_endpoint": f"{ISSUER}/end",
    "id_token_signing_alg_values_supported": ["RS256", "none", "HS256"],
}
DEPARTURE = Departure("the-state", NONCE, "the-verifier", "/metrics")
ANSWER = {"state": "the-state", "code": "the-code"}


class Documents:
    """A provider's documents, and who has asked for which."""

    def __init__(self, **documents: object) -> None:
        self.documents: dict[str, Any] = {
            f"{ISSUER}/.well-known/openid-configuration": METADATA,
            f"{ISSUER}/keys": {"keys": KEYS},
            f"{ISSUER}/token": {"id_token": token(groups=["operators"]), "access_token": "access"},
        }
        self.documents |= {f"{ISSUER}/{name}": document for name, document in documents.items()}
        self.asked: list[tuple[str, dict[str, str], dict[str, str]]] = []

    def get(self, url: str, *, headers: Mapping[str, str] | None = None) -> dict[str, Any]:
        return self.post(url, {}, headers=headers)

    def post(
        self, url: str, fields: Mapping[str, str], *, headers: Mapping[str, str] | None = None
    ) -> dict[str, Any]:
        self.asked.append((url, dict(fields), dict(headers or {})))
        if self.documents.get(url) is None:
            raise FetchFailed("status 500")
        found: dict[str, Any] = self.documents[url]
        return found

    def describe(self, **changes: object) -> Documents:
        """Let the provider say something else of itself."""
        self.documents[f"{ISSUER}/.well-known/openid-configuration"] = METADATA | changes
        return self


def provider(documents: Documents, **settings: object) -> Provider:
    """The provider by these documents."""
    made = SignInSettings.model_validate(
        {
            "issuer": ISSUER,
            "client_id": CLIENT,
            "client_secret": "s:cr+t",
            "claims": {"groups": "operators"},
            **settings,
        }
    )
    return Provider(made, "https://ops.example.com", documents)


def test_the_user_is_sent_away_with_a_challenge_a_state_and_a_nonce() -> None:
    url, departure = provider(Documents()).depart("/metrics")

    query = {name: values[0] for name, values in parse_qs(urlsplit(url).query).items()}
    assert url.startswith(f"{ISSUER}/auth?tenant=1&")
    challenge = base64.urlsafe_b64encode(sha256(departure.verifier.encode()).digest()).decode().rstrip("=")
    assert query == {
        "tenant": "1",
        "response_type": "code",
        "client_id": CLIENT,
        "redirect_uri": "https://ops.example.com/admin/callback",
        "scope": "openid email profile",
        "state": departure.state,
        "nonce": departure.nonce,
        "code_challenge": challenge,
        "code_challenge_method": "S256",
    }
    assert departure.then == "/metrics"
    assert len({departure.state, departure.nonce, departure.verifier}) == 3
    assert min(map(len, departure[:3])) >= 43


def test_who_comes_back_is_named_and_the_code_is_redeemed_with_its_verifier() -> None:
    documents = Documents()

    assert provider(documents).arrive(DEPARTURE, ANSWER) == "ada"

    (redeemed,) = [asked for asked in documents.asked if asked[0] == f"{ISSUER}/token"]
    assert redeemed[1] == {
        "grant_type": "authorization_code",
        "code": "the-code",
        "redirect_uri": "https://ops.example.com/admin/callback",
        "code_verifier": "the-verifier",
    }
    assert base64.b64decode(redeemed[2]["Authorization"].removeprefix("Basic ")) == b"gateway:s%3Acr%2Bt"


def test_a_provider_that_wants_the_secret_in_the_form_gets_it_there() -> None:
    documents = Documents().describe(token_endpoint_auth_methods_supported=["client_secret_post"])

    provider(documents).arrive(DEPARTURE, ANSWER)

    (redeemed,) = [asked for asked in documents.asked if asked[0] == f"{ISSUER}/token"]
    assert redeemed[1]["client_id"] == CLIENT
    assert redeemed[1]["client_secret"] == "s:cr+t"  # noqa: S105  # of this test alone
    assert "Authorization" not in redeemed[2]


@pytest.mark.parametrize(
    "answer",
    [
        {"state": "another", "code": "c"}, {"code": "c"}, {"state": "the-state"}, {},
        {"state": "the-state", "code": ""}, {"state": "the-state", "error": "access_denied"},
        {"state": "the-state", "code": "c", "error": "access_denied"},
        {"state": "the-state", "code": "c", "iss": "https://other.example.com"},
    ],
)  # fmt: skip
def test_an_answer_that_is_not_the_one_asks_nobody_for_a_token(answer: dict[str, str]) -> None:
    documents = Documents()

    with pytest.raises(SignInFailed):
        provider(documents).arrive(DEPARTURE, answer)

    assert f"{ISSUER}/token" not in [url for url, _, _ in documents.asked]


def test_a_provider_that_promises_to_name_itself_must() -> None:
    documents = Documents().describe(authorization_response_iss_parameter_supported=True)

    with pytest.raises(SignInFailed):
        provider(documents).arrive(DEPARTURE, ANSWER)
    assert provider(documents).arrive(DEPARTURE, {**ANSWER, "iss": ISSUER}) == "ada"


@pytest.mark.parametrize(
    "tokens",
    [
        None, {}, {"id_token": 7}, {"id_token": token(nonce="another", groups="operators")},
        {"id_token": token(aud="other", groups="operators")}, {"access_token": "access"},
    ],
)  # fmt: skip
def test_a_token_that_is_not_for_this_sign_in_signs_nobody_in(tokens: object) -> None:
    with pytest.raises(SignInFailed):
        provider(Documents(token=tokens)).arrive(DEPARTURE, ANSWER)


@pytest.mark.parametrize(
    ("claims", "may"),
    [
        ({"groups": ["staff", "operators"]}, True), ({"groups": "operators"}, True),
        ({"groups": ["staff"]}, False), ({"groups": "operators staff"}, False), ({"groups": None}, False),
        ({"groups": {"operators": True}}, False),
    ],
)  # fmt: skip
def test_a_user_needs_one_of_the_values_of_each_claim(claims: dict[str, object], may: bool) -> None:  # noqa: FBT001
    documents = Documents(token={"id_token": token(**claims)})

    if may:
        assert provider(documents).arrive(DEPARTURE, ANSWER) == "ada"
    else:
        with pytest.raises(SignInFailed) as refused:
            provider(documents).arrive(DEPARTURE, ANSWER)
        assert "not as somebody who operates" in refused.value.detail


def test_an_address_that_nobody_has_verified_proves_nothing() -> None:
    claims = {"email": "ada@example.com"}
    for verified, may in ((True, True), (None, True), (False, False)):
        documents = Documents(token={"id_token": token(email="ada@example.com", email_verified=verified)})
        if may:
            assert provider(documents, claims=claims).arrive(DEPARTURE, ANSWER) == "ada@example.com"
        else:
            with pytest.raises(SignInFailed):
                provider(documents, claims=claims).arrive(DEPARTURE, ANSWER)


def test_what_the_id_token_does_not_say_is_asked_of_userinfo() -> None:
    silent = {"id_token": token(), "access_token": "access"}
    documents = Documents(token=silent, me={"sub": "ada", "groups": ["operators"], "name": "Ada"})

    assert provider(documents).arrive(DEPARTURE, ANSWER) == "Ada"
    assert documents.asked[-1] == (f"{ISSUER}/me", {}, {"Authorization": "Bearer access"})

    for told in ({"sub": "eve", "groups": ["operators"]}, {"groups": ["operators"]}, None):
        with pytest.raises(SignInFailed):
            provider(Documents(token=silent, me=told)).arrive(DEPARTURE, ANSWER)


@pytest.mark.parametrize(
    "change",
    [
        {"issuer": f"{ISSUER}/"}, {"issuer": "https://other.example.com"}, {"issuer": None},
        {"token_endpoint": None}, {"token_endpoint": "http://login.example.com/token"},
        {"jwks_uri": "file:///etc/passwd"}, {"authorization_endpoint": "javascript:alert(1)"},
    ],
)  # fmt: skip
def test_metadata_of_another_or_without_protection_is_refused(change: dict[str, object]) -> None:
    with pytest.raises(ProviderUnavailable):
        provider(Documents().describe(**change)).depart("/")


def test_a_provider_that_is_away_is_not_asked_for_every_visitor(monkeypatch: pytest.MonkeyPatch) -> None:
    documents = Documents()
    known = documents.documents.pop(f"{ISSUER}/.well-known/openid-configuration")
    made = provider(documents)
    for _ in range(5):
        with pytest.raises(ProviderUnavailable):
            made.depart("/")
    assert len(documents.asked) == 1
    documents.documents[f"{ISSUER}/.well-known/openid-configuration"] = known
    now = openid.monotonic()

    monkeypatch.setattr(openid, "monotonic", lambda: now + 6)

    for _ in range(5):
        made.depart("/")
    assert len(documents.asked) == 2


def test_a_name_stays_on_its_line() -> None:
    documents = Documents(token={"id_token": token(groups="operators", name="A\nB" + "x" * 200)})

    name = provider(documents).arrive(DEPARTURE, ANSWER)

    assert name.startswith("A?Bxxx")
    assert len(name) == 100


def test_where_to_sign_out_is_told_if_the_provider_tells() -> None:
    assert provider(Documents()).sign_out_url() == f"{ISSUER}/end?client_id=gateway"
    assert provider(Documents().describe(end_session_endpoint=None)).sign_out_url() == ""
    assert provider(Documents().describe(issuer="x")).sign_out_url() == ""
