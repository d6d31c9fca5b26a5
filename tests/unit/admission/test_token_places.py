"""Where tokens are looked for, and what is left of the request."""

from __future__ import annotations

import pytest

from falcongate.admission.token_places import TokenPlaces
from falcongate.config.identity import TokenSettings
from falcongate.denials import Unauthorized
from falcongate.exchange import Caller, Exchange
from tests.unit.making import make_exchange, make_match, make_route

UPGRADE = ("Upgrade: websocket", "Connection: Upgrade")


def places(**settings: object) -> TokenPlaces:
    return TokenPlaces(TokenSettings.model_validate({"cookie": "access_token", "query": "token", **settings}))


def asking(
    target: str, *lines: str, is_public: bool = False, websocket: bool = True, method: str = "GET"
) -> Exchange:
    exchange = make_exchange(*lines, method=method, SERVER_PROTOCOL="HTTP/1.1")
    exchange.target = target.encode()
    exchange.route_match = make_match(make_route(websocket=websocket), is_public=is_public)
    return exchange


def passing(exchange: Exchange, caller: Caller | None = None, **settings: object) -> str | None:
    """The token of a request, which goes on to its service as that of a caller."""
    named = places(**settings)
    named.take_from_query(exchange)
    found = named.find(exchange)
    exchange.caller = caller
    named.send_on(exchange)
    return found


def sent_on(exchange: Exchange) -> list[bytes]:
    return [field.line for field in exchange.block.fields if field.name == b"authorization"]


@pytest.mark.parametrize(
    ("lines", "token"),
    [
        (["Authorization: Bearer a.b.c"], "a.b.c"),
        (["Authorization: bearer  a.b.c"], "a.b.c"),
        (["Authorization: BEARER a.b.c", "Cookie: access_token=d.e.f"], "a.b.c"),
        (["Authorization: Basic eDp5", "Cookie: access_token=d.e.f"], "d.e.f"),
        (["Authorization: Basic eDp5"], None),
        (["Authorization: Bearera.b.c"], None),
        (["Cookie: theme=dark; access_token=d.e.f; x=y"], "d.e.f"),
        (["Cookie: theme=dark;access_token=d.e.f"], "d.e.f"),
        (["Cookie: access_token = d.e.f"], "d.e.f"),
        (['Cookie: access_token="d.e.f"'], "d.e.f"),
        (["Cookie: access_token=d.e.f; access_token=d.e.f"], "d.e.f"),
        (["Cookie: my_access_token=d.e.f"], None),
        (["Cookie: my_access_token=x; access_token=d.e.f"], "d.e.f"),
        (["Cookie: x=access_token=d.e.f"], None),
        (["Cookie: access_token="], None),
        (["Cookie: Access_Token=d.e.f"], None),
        (["Authorization: Bearer fg_abc", "Cookie: access_token=d.e.f"], None),
        ([], None),
    ],
)
def test_authorization_comes_before_the_cookie(lines: list[str], token: str | None) -> None:
    assert places().find(asking("/x", *lines)) == token


def test_two_cookies_of_the_name_that_differ_are_refused() -> None:
    with pytest.raises(Unauthorized, match="twice"):
        places().find(asking("/x", "Cookie: access_token=a; access_token=b"))


def test_two_authorizations_are_one_that_is_no_token() -> None:
    found = places().find(asking("/x", "Authorization: Bearer a.b.c", "Authorization: Bearer d.e.f"))

    assert found == "a.b.c,Bearer d.e.f"


@pytest.mark.parametrize("place", ["Authorization: Bearer ", "Cookie: access_token="])
def test_what_is_too_long_is_not_looked_at(place: str) -> None:
    with pytest.raises(Unauthorized, match="too long"):
        places(max_bytes=256).find(asking("/x", place + "x" * 257))


@pytest.mark.parametrize(
    ("target", "left", "token"),
    [
        ("/ws?token=a.b.c", "/ws", "a.b.c"),
        ("/ws?token=a.b.c&x=1", "/ws?x=1", "a.b.c"),
        ("/ws?x=%20&token=a.b.c&y", "/ws?x=%20&y", "a.b.c"),
        ("/ws?token=a.b.c&token=d.e.f&%74oken=g", "/ws", "a.b.c"),
        ("/ws?token=&token=d.e.f", "/ws", "d.e.f"),
        ("/ws?t%6Fken=a%2Eb.c", "/ws", "a.b.c"),
        ("/ws?token", "/ws", None),
        ("/ws?tokens=a&xtoken=b&Token=c", "/ws?tokens=a&xtoken=b&Token=c", None),
        ("/ws?x=token=a", "/ws?x=token=a", None),
        # A semicolon separates nothing (WHATWG URL, 5.1).
        ("/ws?x=1;token=a", "/ws?x=1;token=a", None),
        ("/ws?token=a.b.c;x=1", "/ws", "a.b.c;x=1"),
        ("/ws", "/ws", None),
    ],
)
def test_a_token_in_the_query_of_a_websocket_is_taken_out(target: str, left: str, token: str | None) -> None:
    exchange = asking(target, *UPGRADE)

    assert passing(exchange) == token
    assert exchange.target == left.encode()
    is_sendable = token is not None and ";" not in token
    assert sent_on(exchange) == ([f"Authorization: Bearer {token}".encode()] if is_sendable else [])


@pytest.mark.parametrize("target", ["/socket.io/?EIO=4&token=a.b.c", "/x?%45IO=4&%74oken=a.b.c"])
def test_socket_io_may_have_it_in_its_query(target: str) -> None:
    exchange = asking(target)

    assert passing(exchange) == "a.b.c"
    assert exchange.target == target.encode().rpartition(b"&")[0]


@pytest.mark.parametrize(
    "exchange",
    [
        asking("/x?token=a.b.c"),
        asking("/x?token=a.b.c", "Upgrade: foo", "Connection: upgrade"),
        asking("/x?token=a.b.c", "Upgrade: websocket"),
        asking("/x?token=a.b.c", *UPGRADE, method="POST"),
        asking("/x?token=a.b.c&EIO=4", websocket=False),
        asking("/x?token=a.b.c&x=EIO=4"),
    ],
)
def test_in_the_query_of_all_else_it_is_no_token(exchange: Exchange) -> None:
    before = exchange.target

    assert passing(exchange) is None
    assert exchange.target == before
    assert sent_on(exchange) == []


def test_on_public_paths_it_goes_nowhere() -> None:
    exchange = asking("/ws?token=a.b.c&x=1", *UPGRADE, is_public=True)

    assert passing(exchange) is None
    assert exchange.target == b"/ws?x=1"
    assert sent_on(exchange) == []


@pytest.mark.parametrize("line", ["Authorization: Bearer a.b.c", "Cookie: x=y; access_token=a.b.c"])
def test_one_in_the_query_goes_nowhere_beside_one_in_another_place(line: str) -> None:
    exchange = asking("/socket.io/?EIO=4&token=evil", line)

    assert passing(exchange) == "a.b.c"
    assert exchange.target == b"/socket.io/?EIO=4"
    assert b"evil" not in b"".join(sent_on(exchange))


def test_one_in_the_query_goes_nowhere_beside_another_credential_that_is_proven() -> None:
    exchange = asking("/ws?token=evil", *UPGRADE)

    passing(exchange, Caller("certificate", "jane"))

    assert sent_on(exchange) == []


def test_without_the_setting_the_query_is_the_services() -> None:
    exchange = asking("/ws?token=a.b.c", *UPGRADE)

    assert passing(exchange, query=None) is None
    assert exchange.target == b"/ws?token=a.b.c"


def test_an_authorization_of_the_callers_own_stays_as_it_is() -> None:
    exchange = asking("/ws?token=a.b.c", *UPGRADE, "Authorization: Basic eDp5")

    assert passing(exchange, cookie=None) == "a.b.c"
    assert sent_on(exchange) == [b"Authorization: Basic eDp5"]


@pytest.mark.parametrize("value", ["a%0d%0aX-Evil:1", "a%20b", "%00", "%C3%A9", "a,b"])
def test_what_could_not_stand_in_a_header_is_not_sent_on(value: str) -> None:
    exchange = asking(f"/ws?token={value}", *UPGRADE)

    assert passing(exchange) is not None
    assert exchange.target == b"/ws"
    assert sent_on(exchange) == []


def test_the_next_request_on_the_connection_has_no_token_of_this_one() -> None:
    exchange = asking("/ws?token=a.b.c", *UPGRADE)
    block = exchange.block
    passing(exchange)

    assert not [field for field in block.fields if field.name == b"authorization"]
