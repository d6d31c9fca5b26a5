"""The fields that a service is sent: the caller's own, less what must not pass, and ours."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from falcongate.exchange import Caller, Exchange
from falcongate.routing.table import Route
from falcongate.upstream.fields import ServiceFields, without_cookies
from tests.unit.making import REQUEST_ID, make_exchange, make_match, make_route

CREDENTIALS = frozenset((b"access_token", b"sessionid"))
FIELDS = ServiceFields(credential_cookies=["access_token", "sessionid"], told=["X-User-ID"])
OURS = [
    f"X-Request-ID: {REQUEST_ID}",
    f"X-Gateway-Request-ID: {REQUEST_ID}",
    "X-Gateway-Service: hr",
    "X-Forwarded-For: 192.0.2.1",
    "X-Forwarded-Host: api.test",
    "X-Forwarded-Proto: http",
    "X-Forwarded-Port: 80",
    "Via: 1.1 falcongate",
]
COOKIES = st.lists(
    st.tuples(
        st.sampled_from(["", " ", "  "]),
        st.sampled_from(["a", "access_token", "sessionid", "Sessionid", "xsessionid", "sessionid2", ""]),
        st.sampled_from(["=", "=b", "", " =c", "=d=e", '="f"']),
    ).map("".join),
    max_size=5,
)


def sent(
    exchange: Exchange, *, route: Route | None = None, is_public: bool = False, framing: bytes = b""
) -> list[str]:
    """The lines that go to the service."""
    route = route or make_route()
    exchange.route_match = make_match(route, is_public=is_public)
    data = FIELDS.render(exchange, route, framing)
    *lines, end, nothing = data.decode("latin-1").split("\r\n")
    assert (end, nothing) == ("", "")
    assert "" not in lines
    return lines


def passed(*lines: str, is_public: bool = False) -> list[str]:
    """The caller's own lines among them."""
    exchange = make_exchange("Host: api.test", *lines)
    exchange.host = "api.test"
    return [line for line in sent(exchange, is_public=is_public) if line not in OURS]


def said(exchange: Exchange, name: str, route: Route | None = None) -> str:
    """What the service is told under this name, which there must be one of."""
    (value,) = [
        value
        for each, _, value in (line.partition(": ") for line in sent(exchange, route=route))
        if each.lower() == name
    ]
    return value


def test_a_request_without_fields_is_sent_ours() -> None:
    assert sorted(sent(make_exchange("Host: api.test"))) == sorted(OURS)


@given(
    st.lists(
        st.tuples(
            st.sampled_from(
                ["Accept", "x-mine", "X-Odd.Name", "Via", "Origin", "Authorization", "Cookie", "TRACE"]
            ),
            st.text("ab,;=\u00e9", max_size=8),
        ).map(": ".join),
        max_size=6,
    )
)
def test_whatever_is_for_the_service_arrives_byte_for_byte_and_in_order(lines: list[str]) -> None:
    assert passed(*lines) == lines


@pytest.mark.parametrize(
    "name",
    [
        "Host", "Content-Length", "Expect", "HTTP2-Settings", "X-Request-ID", "Connection", "Keep-Alive",
        "TE", "Trailer", "Transfer-Encoding", "Upgrade", "Proxy-Authorization", "Proxy-Connection", "Proxy",
        "X-Original-URL", "X-Rewrite-URL", "X-Original-URI", "X-Original-Host", "X-Real-IP", "X-Client-IP",
        "True-Client-IP", "Script-Name", "Path-Info", "Forwarded", "X-Forwarded-For", "X-Forwarded-Host",
        "X-Forwarded-Proto", "X-Forwarded-Prefix", "X-Gateway-Service", "X-Gateway-User",
    ],
)  # fmt: skip
def test_a_caller_cannot_say_what_is_ours_to_say(name: str) -> None:
    for spelling in (name, name.upper(), name.lower(), name.replace("-", ".")):
        assert passed(f"{spelling}: evil", "X-Mine: 1") == ["X-Mine: 1"]


def test_what_connection_names_ends_here() -> None:
    lines = [
        "X-Before: 1",
        "Connection: keep-alive, X-Before",
        "connection: x-BEHIND",
        "X-Behind: 2",
        "X-Else: 3",
    ]
    assert passed(*lines) == ["X-Else: 3"]


@pytest.mark.parametrize("name", ["Authorization", "Cookie", "Traceparent", "Via"])
def test_a_caller_cannot_have_what_protects_a_service_removed(name: str) -> None:
    lines = [f"{name}: x", f"Connection: close, {name}, X-Mine", "X-Mine: 1"]
    assert passed(*lines) == [f"{name}: x"]


def test_a_caller_cannot_have_our_own_fields_removed() -> None:
    everything = ", ".join(line.partition(":")[0] for line in OURS)
    exchange = make_exchange("Host: api.test", f"Connection: {everything}")
    assert sorted(sent(exchange)) == sorted(OURS)


def test_a_public_path_is_sent_no_credentials() -> None:
    lines = [
        "Authorization: Bearer x",
        "Cookie: a=1; sessionid=x; b=2",
        "Accept: c",
        "Cookie: access_token=y",
    ]
    assert passed(*lines, is_public=True) == ["Cookie: a=1; b=2", "Accept: c"]
    assert passed(*lines, is_public=False) == lines


@given(COOKIES)
def test_the_other_cookies_stay_as_they_were(cookies: list[str]) -> None:
    kept = [
        cookie for cookie in cookies if cookie.partition("=")[0].strip() not in ("access_token", "sessionid")
    ]
    value = ";".join(cookies).encode()
    once = without_cookies(value, CREDENTIALS)
    assert once == ";".join(kept).strip().encode()
    assert without_cookies(once, CREDENTIALS) == once


def test_the_body_is_announced_as_it_is_told() -> None:
    exchange = make_exchange("Host: api.test", "Content-Length: 7", "Transfer-Encoding: gzip")
    assert "Content-Length: 5" in sent(exchange, framing=b"Content-Length: 5\r\n")
    assert "Transfer-Encoding: chunked" in sent(exchange, framing=b"Transfer-Encoding: chunked\r\n")
    assert sorted(sent(exchange)) == sorted(OURS)


def test_the_same_fields_again_are_sent_under_their_own_route() -> None:
    exchange = make_exchange("Host: api.test", "Authorization: x", "Cookie: sessionid=1")
    first = sent(exchange)
    assert sent(exchange) == first
    public = sent(exchange, is_public=True)
    assert not [line for line in public if line.startswith(("Authorization", "Cookie"))]
    assert sent(exchange) == first
    other = sent(exchange, route=make_route("pay"), is_public=True)
    assert "X-Gateway-Service: pay" in other
    assert "X-Gateway-Service: hr" not in other
    assert sent(exchange) == first


def test_every_request_has_its_own_id() -> None:
    exchange = make_exchange("Host: api.test")
    sent(exchange)
    exchange.request_id = "another-id"
    assert "X-Request-ID: another-id" in sent(exchange)
    assert "X-Gateway-Request-ID: another-id" in sent(exchange)


def test_who_went_before_is_believed_from_a_trusted_proxy_only() -> None:
    exchange = make_exchange("Host: api.test", "X-Forwarded-For: 203.0.113.9", peer="10.0.0.1")
    assert said(exchange, "x-forwarded-for") == "10.0.0.1"
    exchange = make_exchange("Host: api.test", "X-Forwarded-For: 203.0.113.9", peer="10.0.0.1")
    exchange.is_from_trusted_proxy = True
    assert said(exchange, "x-forwarded-for") == "203.0.113.9, 10.0.0.1"


@pytest.mark.parametrize(
    ("host", "scheme", "port"),
    [
        ("api.test", "http", "80"),
        ("api.test", "https", "443"),
        ("api.test:8443", "https", "8443"),
        ("[2001:db8::1]", "http", "80"),
        ("[2001:db8::1]:8080", "http", "8080"),
        ("api.test:", "https", "443"),
    ],
)
def test_the_service_is_told_how_the_caller_came(host: str, scheme: str, port: str) -> None:
    def exchange() -> Exchange:
        exchange = make_exchange(f"Host: {host}")
        exchange.scheme = scheme
        return exchange

    assert said(exchange(), "x-forwarded-host") == host
    assert said(exchange(), "x-forwarded-proto") == scheme
    assert said(exchange(), "x-forwarded-port") == port


def test_what_is_not_known_of_a_caller_is_not_said() -> None:
    names = [line.partition(":")[0] for line in sent(make_exchange(peer=""))]
    assert "X-Forwarded-For" not in names
    assert "X-Forwarded-Host" not in names
    assert "X-Forwarded-Port" in names


@pytest.mark.parametrize(
    ("before", "peer", "host", "forwarded"),
    [
        ("", "192.0.2.1", "api.test", "for=192.0.2.1;host=api.test;proto=http"),
        ("", "192.0.2.1", "api.test:81", 'for=192.0.2.1;host="api.test:81";proto=http'),
        ("", "2001:db8::1", "", 'for="[2001:db8::1]";proto=http'),
        ("203.0.113.9", "10.0.0.1", "a", "for=203.0.113.9, for=10.0.0.1;host=a;proto=http"),
        (
            "2001:db8::9, 203.0.113.9",
            "10.0.0.1",
            "a",
            'for="[2001:db8::9]", for=203.0.113.9, for=10.0.0.1;host=a;proto=http',
        ),
        ("203.0.113.9:4711", "10.0.0.1", "a", 'for="203.0.113.9:4711", for=10.0.0.1;host=a;proto=http'),
        ("unknown, a;b", "10.0.0.1", "a", "for=unknown, for=unknown, for=10.0.0.1;host=a;proto=http"),
    ],
)
def test_forwarded_says_the_same_for_who_asks_for_it(
    before: str, peer: str, host: str, *, forwarded: str
) -> None:
    def exchange() -> Exchange:
        lines = [f"X-Forwarded-For: {before}"] if before else []
        exchange = make_exchange(f"Host: {host}", *lines, peer=peer)
        exchange.is_from_trusted_proxy = bool(before)
        return exchange

    assert said(exchange(), "forwarded", make_route(forwarded_header=True)) == forwarded
    assert not [line for line in sent(exchange()) if line.startswith("Forwarded:")]


KEY = "fg_0123456789ab_secret"


@pytest.mark.parametrize(
    ("lines", "kept"),
    [
        ([f"X-API-Key: {KEY}"], []),
        ([f"x-api-key: {KEY}", "Authorization: Basic YTpi"], ["Authorization: Basic YTpi"]),
        ([f"Authorization: Bearer {KEY}", "X-API-Key: a-service-s"], ["X-API-Key: a-service-s"]),
        ([f"Authorization: bearer  {KEY}", f"X-API-Key: {KEY}"], []),
        (["Authorization: Bearer eyJh.b.c", f"X-API-Key: {KEY}"], ["Authorization: Bearer eyJh.b.c"]),
    ],
)
def test_a_key_of_ours_is_not_for_services(lines: list[str], kept: list[str]) -> None:
    exchange = make_exchange("Host: api.test", *lines)
    exchange.host = "api.test"
    exchange.caller = Caller("api_key", "0123456789ab")

    assert [line for line in sent(exchange) if line not in OURS and "Host" not in line] == kept


def test_a_key_that_nobody_asked_for_passes_but_on_public_paths() -> None:
    lines = [f"X-API-Key: {KEY}", f"Authorization: Bearer {KEY}"]

    assert [line for line in passed(*lines) if "Key" in line or "Auth" in line] == lines
    assert [line for line in passed(*lines, is_public=True) if "fg_" in line] == []
    assert [line for line in passed("X-API-Key: other", is_public=True) if "other" in line] != []


def test_cookies_of_the_gateway_are_for_no_service() -> None:
    fields = ServiceFields(credential_cookies=["sessionid"], told=[], own_cookies=["__Host-own", "own"])
    for line, arrives in (
        ("Cookie: a=1; __Host-own=x; sessionid=2", "Cookie: a=1; sessionid=2"),
        ("Cookie: own=x", None),
        ("Cookie: a=1", "Cookie: a=1"),
    ):
        exchange = make_exchange("Host: api.test", line)
        exchange.route_match = make_match(make_route())
        lines = fields.render(exchange, exchange.route_match.route, b"").decode().split("\r\n")
        assert [line for line in lines if line.lower().startswith("cookie")] == ([arrives] if arrives else [])
