"""Who else may look and change: tokens, sessions; and what the others are told."""

from __future__ import annotations

import logging
from urllib.parse import unquote

import pytest

from falcongate.config.admin import SignInSettings
from falcongate.denials import Forbidden, Unauthorized
from falcongate.resources.operator_sessions import OperatorSessions
from falcongate.resources.operators import log_note
from tests.unit.making import make_exchange
from tests.unit.resources.policies import OURS, SESSIONS, SIGN_IN, TOKEN, Notes, cookie, operators, rights


@pytest.mark.parametrize(
    ("line", "may"),
    [
        (f"Authorization: Bearer {TOKEN}", "read change"),
        (f"authorization: bEARER   {TOKEN} ", "read change"),
        (f"Authorization: Bearer {TOKEN}x", ""),
        (f"Authorization: Bearer {TOKEN[:-1]}", ""),
        (f"Authorization: Basic {TOKEN}", ""),
        (f"Authorization: Bearer {TOKEN}\r\nAuthorization: Bearer x", ""),
        (f"X-Authorization: Bearer {TOKEN}", ""),
        ("Authorization: Bearer", ""),
    ],
)
def test_who_has_the_token_may_both_from_anywhere(line: str, may: str) -> None:
    lines = [*line.split("\r\n"), "X-Forwarded-For: 1.1.1.1", "Origin: https://elsewhere.example"]

    assert rights(operators(token=TOKEN), *lines, peer="203.0.113.1", host="api.example.com") == may


def test_a_wrong_token_is_worse_than_none() -> None:
    assert rights(operators(token=TOKEN), "Authorization: Bearer wrong") == ""
    assert rights(operators(), "Authorization: Bearer wrong") == ""


@pytest.mark.parametrize(
    ("given", "may"),
    [
        ("ours/falcongate:admin", "read change"),
        ("ours/other+falcongate:admin", "read change"),
        ("ours/other", ""),
        ("ours/", ""),
        ("theirs/falcongate:admin", ""),
        ("forged/falcongate:admin", ""),
    ],
)
def test_a_token_of_the_named_issuer_needs_the_scope(given: str, may: str) -> None:
    policy = operators(token_issuer="ours")  # noqa: S106  # a name

    assert rights(policy, f"Authorization: Bearer {given}", peer="203.0.113.1") == may
    assert rights(operators(), f"Authorization: Bearer {given}", peer="203.0.113.1") == ""


def test_who_asks_for_health_is_not_kept_waiting_for_the_keys_of_an_issuer() -> None:
    policy, _ = operators(token_issuer="ours")  # noqa: S106  # a name
    asking = make_exchange("Authorization: Bearer ours/falcongate:admin")

    assert policy.identify_reader(asking)
    assert not policy.may_read(asking)


@pytest.mark.parametrize(
    ("lines", "may"),
    [
        ([], "read"),
        (["Content-Type: application/json"], "read"),
        ([f"Origin: {OURS}", "Content-Type: application/json"], "read change"),
        ([f"Origin: {OURS}", "X-Requested-With: x"], "read change"),
        (["Sec-Fetch-Site: same-origin", "X-Requested-With: x"], "read change"),
        ([f"Origin: {OURS}", "Sec-Fetch-Site: same-origin", "Content-Type: text/plain"], "read"),
        ([f"Origin: {OURS}", "Content-Type: application/x-www-form-urlencoded"], "read"),
        ([f"Origin: {OURS}", "Sec-Fetch-Site: same-site", "X-Requested-With: x"], ""),
        (["Origin: null", "Content-Type: application/json"], ""),
        (["Origin: http://ops.example.com", "Content-Type: application/json"], ""),
        (["Origin: https://ops.example.com:8443", "Content-Type: application/json"], ""),
        (["Origin: https://app.example.com", "Sec-Fetch-Site: same-site", "X-Requested-With: x"], ""),
        (["Sec-Fetch-Site: cross-site", "Content-Type: application/json"], ""),
        (["Sec-Fetch-Site: cross-site", "Sec-Fetch-Mode: navigate"], "read"),
        (["Sec-Fetch-Site: none", "X-Requested-With: x"], "read"),
    ],
)
def test_a_session_changes_things_from_pages_of_the_gateway_only(lines: list[str], may: str) -> None:
    policy = operators(sessions=SESSIONS)

    assert rights(policy, cookie(), *lines, peer="203.0.113.1", host="ops.example.com") == may


def test_a_session_of_another_configuration_is_none() -> None:
    for change in (
        {"client_secret": "another-secret"}, {"claims": {"groups": "admins"}}, {"client_id": "other"},
        {"issuer": "https://other.example.com"},
    ):  # fmt: skip
        other = OperatorSessions(
            SignInSettings.model_validate({**SIGN_IN.model_dump(exclude_unset=True), **change}), OURS
        )
        assert rights(operators(sessions=SESSIONS), cookie(other), peer="203.0.113.1") == ""


@pytest.mark.parametrize(
    ("policy", "peer", "lines", "names"),
    [
        ({}, "203.0.113.1", [], ["admin.change_from", "FALCONGATE_ADMIN_TOKEN", "admin.sign_in"]),
        ({}, "127.0.0.1", ["Via: 1.1 a"], ["server.trusted_proxies", "FALCONGATE_ADMIN_TOKEN"]),
        ({}, "127.0.0.1", ["Origin: null"], ["localhost", "FALCONGATE_ADMIN_TOKEN"]),
        ({"token": TOKEN}, "203.0.113.1", [], ["admin.change_from", "Bearer"]),
        ({"sessions": SESSIONS}, "203.0.113.1", [], [f"{OURS}/admin/"]),
    ],
)
def test_a_refusal_says_which_setting_would_help(
    policy: dict[str, object], peer: str, lines: list[str], names: list[str]
) -> None:
    made, proxies = operators(**policy)  # type: ignore[arg-type]
    exchange = make_exchange("Host: localhost", *lines, peer=peer, method="POST")
    proxies.identify(exchange)

    with pytest.raises(Unauthorized if policy else Forbidden) as refused:
        made.identify_changer(exchange)

    assert all(name in refused.value.suggestion for name in names)


def test_refused_changes_are_noted_and_refused_looks_are_not() -> None:
    notes = Notes()
    policy = operators(note=notes)

    assert rights(policy, peer="203.0.113.1") == ""

    assert notes == [
        ("", "203.0.113.1", "refused: POST /", "This is only for those who operate the gateway.")
    ]


@pytest.mark.parametrize(
    ("lines", "peer", "host", "may"),
    [
        ((), "127.0.0.1", "localhost", True),
        (("Sec-Fetch-Site: same-origin",), "127.0.0.1", "localhost", False),
        (("Accept-Language: de",), "127.0.0.1", "localhost", False),
        (("Origin: http://localhost",), "127.0.0.1", "localhost", False),
        ((), "10.0.0.1", "10.0.0.9", False),
        ((f"Authorization: Bearer {TOKEN}",), "203.0.113.1", "ops.example.com", True),
        (("Authorization: Bearer wrong", cookie()), "127.0.0.1", "localhost", False),
        ((cookie(), "Sec-Fetch-Site: same-origin"), "203.0.113.1", "ops.example.com", True),
        (("Cookie: __Host-falcongate_session=forged",), "203.0.113.1", "ops.example.com", False),
    ],
    ids=["local", "page", "browser", "socket of a page", "near", "token", "wrong token", "session", "forged"],
)
def test_who_looks_is_told_whether_it_may_change(
    lines: tuple[str, ...],
    peer: str,
    host: str,
    may: bool,  # noqa: FBT001
) -> None:
    notes = Notes()
    policy, proxies = operators(token=TOKEN, sessions=SESSIONS, note=notes)
    asking = make_exchange(f"Host: {host}", *lines, peer=peer)
    proxies.identify(asking)

    assert policy.may_change(asking) is may
    assert not notes, "nobody has tried anything"


def test_nobody_waits_to_be_told_whether_it_may_change() -> None:
    policy, _ = operators(token_issuer="ours")  # noqa: S106  # a name

    assert not policy.may_change(make_exchange("Authorization: Bearer ours/falcongate:admin"))


def test_what_strangers_send_cannot_steer_the_terminal_that_shows_the_log(
    caplog: pytest.LogCaptureFixture,
) -> None:
    path = unquote("/circuit-breaker/reset/%C2%9B31mX%E2%80%AEabc%E2%80%A8FORGED")
    asking = make_exchange(path=path, method="POST", peer="203.0.113.1")
    policy, _ = operators(note=log_note)

    with caplog.at_level(logging.INFO), pytest.raises(Forbidden):
        policy.identify_changer(asking)
    log_note("jane\x85", "192.0.2.1\x1b[2J", "what\n", "why\u2028")

    assert r"/circuit-breaker/reset/\x9b31mX\u202eabc\u2028FORGED" in caplog.messages[0]
    for message in caplog.messages:
        assert message.isascii()
        assert message.isprintable()
