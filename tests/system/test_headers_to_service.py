"""Which headers a service sees."""

from __future__ import annotations

import re

import pytest

from tests.support.world import Visit

TARGET = "/api/honest/x"


def test_the_service_learns_request_id_service_and_where_the_request_came_from(world: Visit) -> None:
    with world.caller() as caller:
        host = f"127.0.0.1:{world.gateway.address[1]}"
        document = caller.exchange("GET", TARGET, host=host).body.json()
    headers = {name.lower(): value for name, value in document["headers"]}
    assert headers["x-request-id"] == headers["x-gateway-request-id"]
    assert headers["x-gateway-service"] == "honest"
    assert headers["x-forwarded-for"] == "127.0.0.1"
    assert headers["x-forwarded-host"] == host
    assert headers["x-forwarded-proto"] == "http"
    assert headers["x-forwarded-port"] == str(world.gateway.address[1])
    assert "forwarded" not in headers


def test_forwarded_is_sent_where_it_is_asked_for(world: Visit) -> None:
    echo = world.echo("GET", "/api/rfc7239/x")
    forwarded = echo.get("Forwarded")
    assert forwarded is not None
    assert dict(part.split("=", 1) for part in forwarded.split(";")) == {
        "for": "127.0.0.1", "host": "gateway.test", "proto": "http",
    }  # fmt: skip


def test_host_is_the_target_s_own(world: Visit) -> None:
    assert world.echo("GET", TARGET).get("Host") == world.honest.url.removeprefix("http://")


def test_host_is_the_caller_s_where_it_is_preserved(world: Visit) -> None:
    assert world.echo("GET", "/api/hosted/x").get("Host") == "gateway.test"


@pytest.mark.own_worker("gunicorn's environ keeps neither case nor order of header names")
def test_case_order_and_repetition_of_ordinary_headers_are_kept(world: Visit) -> None:
    sent = [("x-LOWER", "1"), ("X-Upper", "2"), ("x-lower", "3"), ("ACCEPT", "*/*"), ("X-Upper", "4")]
    arrived = [pair for pair in world.echo("GET", TARGET, sent).fields if pair in sent]
    assert arrived == sent


@pytest.mark.parametrize(
    "value", ["", "a, b;q=0.5", "\xe9t\xe9", "tab\there", '"quoted \\" text"', "a" * 7000]
)
def test_a_header_value_arrives_as_it_was_sent(world: Visit, value: str) -> None:
    assert world.echo("GET", TARGET, [("X-Value", value)]).get("X-Value") == value


def test_credentials_and_cookies_pass(world: Visit) -> None:
    sent = [("Authorization", "Bearer abc"), ("Cookie", "access_token=a; theme=dark")]
    echo = world.echo("GET", TARGET, sent)
    assert echo.get("Authorization") == "Bearer abc"
    assert echo.get("Cookie") == "access_token=a; theme=dark"


def test_nothing_is_added_that_nobody_asked_for(world: Visit) -> None:
    names = {name.lower() for name, _ in world.echo("GET", TARGET).fields}
    assert not names & {"user-agent", "accept-encoding", "accept", "content-length", "transfer-encoding",
                        "content-type", "cookie", "connection"}  # fmt: skip


def test_the_request_is_marked_as_having_passed_a_proxy(world: Visit) -> None:
    via = world.echo("GET", TARGET, [("Via", "1.0 fred")]).all("Via")
    assert re.fullmatch(r"1\.0 fred, ?1\.1 \S+", ", ".join(via))


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("Keep-Alive", "timeout=5"),
        ("Proxy-Connection", "keep-alive"),
        ("Proxy-Authorization", "Basic Zm9v"),
        ("Proxy-Authenticate", "Basic"),
        ("TE", "trailers"),
        ("Trailer", "X-Sum"),
        ("Upgrade", "foo/2"),
    ],
)
def test_hop_by_hop_headers_end_here(world: Visit, name: str, value: str) -> None:
    assert world.echo("GET", TARGET, [(name, value)]).all(name) == []


def test_headers_named_in_connection_end_here(world: Visit) -> None:
    sent = [
        ("Connection", "X-Secret, keep-alive"),
        ("X-Secret", "1"),
        ("x-other", "2"),
        ("connection", "X-OTHER"),
    ]
    echo = world.echo("GET", TARGET, sent)
    assert (echo.all("X-Secret"), echo.all("X-Other")) == ([], [])


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("Authorization", "Bearer abc"),
        ("Cookie", "a=b"),
        ("traceparent", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"),
        ("X-Request-ID", "a" * 32),
    ],
)
def test_connection_cannot_take_away_what_others_rely_on(world: Visit, name: str, value: str) -> None:
    assert world.echo("GET", TARGET, [("Connection", name), (name, value)]).get(name) == value


def test_connection_cannot_take_away_what_the_gateway_says(world: Visit) -> None:
    names = "Host, X-Forwarded-For, X-Forwarded-Host, X-Forwarded-Proto, X-Forwarded-Port, Forwarded, Via, "
    names += "X-Gateway-Request-ID, X-Gateway-Service"
    echo = world.echo(
        "POST", "/api/rfc7239/x", [("Connection", names), ("Connection", "Content-Length")], b"abc"
    )
    assert [name for name in names.split(", ") if not echo.all(name)] == []
    assert echo.body_bytes == 3


@pytest.mark.parametrize(
    "name",
    ["X_Forwarded_For", "X_Gateway_Service", "Content_Length", "authorization_", "_x", "X_Request_ID"],
)
def test_names_with_underscores_end_here(world: Visit, name: str) -> None:
    echo = world.echo("GET", TARGET, [(name, "7")])
    assert [pair for pair in echo.fields if "_" in pair[0] or pair[1] == "7"] == []


@pytest.mark.parametrize("name", ["X.Forwarded.For", "X.Gateway.Service", "X.Request.ID", "X-Forwarded.Host"])
def test_names_that_some_services_read_as_ours_end_here(world: Visit, name: str) -> None:
    """PHP, for one, makes the same underscore of dots and of hyphens."""
    assert world.echo("GET", TARGET, [(name, "6.6.6.6")]).all(name) == []


@pytest.mark.parametrize(
    "name",
    ["X-Forwarded-Prefix", "X-Forwarded-Server", "X-Forwarded-Ssl", "X-Forwarded-Anything", "Forwarded",
     "X-Real-IP", "X-Original-URL", "X-Rewrite-URL", "X-Original-URI", "X-Original-Host", "X-Gateway-User",
     "SCRIPT-NAME", "PATH-INFO"],
)  # fmt: skip
def test_what_only_a_proxy_may_say_is_not_taken_from_a_stranger(world: Visit, name: str) -> None:
    assert world.echo("GET", TARGET, [(name, "for=6.6.6.6")]).all(name) == []


@pytest.mark.parametrize(
    ("name", "value"),
    [("X-Gateway-Service", "honest"), ("X-Forwarded-Host", "gateway.test"), ("X-Forwarded-Proto", "http")],
)
def test_what_the_gateway_says_replaces_what_a_stranger_said(world: Visit, name: str, value: str) -> None:
    assert world.echo("GET", TARGET, [(name, "evil"), (name, "evil2")]).get(name) == value


def test_expect_ends_here(world: Visit) -> None:
    with world.caller() as caller:
        answer = caller.exchange("POST", TARGET, [("Expect", "100-continue")], b"abc")
    assert answer.status == 200
    assert "expect" not in [name.lower() for name, _ in answer.body.json()["headers"]]


def test_an_h2c_upgrade_is_not_passed_on(world: Visit) -> None:
    sent = [
        ("Connection", "Upgrade, HTTP2-Settings"),
        ("Upgrade", "h2c"),
        ("HTTP2-Settings", "AAMAAABkAAQAAP__"),
    ]
    echo = world.echo("GET", TARGET, sent)
    assert (echo.all("Upgrade"), echo.all("HTTP2-Settings"), echo.all("Connection")) == ([], [], [])
