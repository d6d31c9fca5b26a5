"""Paths that need no credentials, and therefore carry none."""

from __future__ import annotations

import pytest

from tests.support.world import Visit

CREDENTIALS = [
    ("Authorization", "Bearer abc"),
    ("Cookie", "theme=dark; access_token=a; sessionid=b; lang=en; refresh_token=c"),
]


@pytest.mark.parametrize(
    "path",
    ["/api/honest/public", "/api/honest/public/", "/api/honest/public/a/b/c", "/api/honest/%70ublic/a",
     "/api/honest/one/x/end", "/api/honest/one/y/end/", "/api/honest/exact", "/api/honest/exact/"],
)  # fmt: skip
def test_credentials_are_removed_and_other_cookies_kept(world: Visit, path: str) -> None:
    echo = world.echo("GET", path, CREDENTIALS)
    assert echo.target == path
    assert echo.all("Authorization") == []
    assert echo.get("Cookie") == "theme=dark; lang=en"


def test_a_cookie_header_of_nothing_but_credentials_is_not_sent(world: Visit) -> None:
    echo = world.echo("GET", "/api/honest/public/x", [("Cookie", "access_token=a; sessionid=b")])
    assert echo.all("Cookie") == []


def test_every_spelling_of_authorization_is_removed(world: Visit) -> None:
    sent = [("AUTHORIZATION", "a"), ("authorization", "b")]
    assert world.echo("GET", "/api/honest/public/x", sent).all("Authorization") == []


@pytest.mark.own_worker("gunicorn joins repeated Cookie headers with a comma, as CGI has it")
def test_credentials_are_found_in_every_cookie_header(world: Visit) -> None:
    sent = [("Cookie", "a=1; access_token=x"), ("cookie", "sessionid=y; b=2"), ("COOKIE", "refresh_token=z")]
    cookies = "; ".join(world.echo("GET", "/api/honest/public/x", sent).all("Cookie"))
    assert cookies == "a=1; b=2"


@pytest.mark.parametrize(
    "path",
    ["/api/honest/publicly/x", "/api/honest/x/public", "/api/honest/one/x/y/end", "/api/honest/one/end",
     "/api/honest/exact/more", "/api/honest/x?/api/honest/public/x", "/api/hosted/api/honest/public/x",
     "/api/honest/PUBLIC/x", "/api/honest/public;x/y"],
)  # fmt: skip
def test_nothing_else_becomes_public(world: Visit, path: str) -> None:
    echo = world.echo("GET", path, CREDENTIALS)
    assert echo.get("Authorization") == CREDENTIALS[0][1]
    assert echo.get("Cookie") == CREDENTIALS[1][1]


def test_a_cookie_that_only_contains_the_name_is_kept(world: Visit) -> None:
    cookie = "my_access_token=a; access_token2=b; x=access_token=c"
    assert world.echo("GET", "/api/honest/public/x", [("Cookie", cookie)]).get("Cookie") == cookie
