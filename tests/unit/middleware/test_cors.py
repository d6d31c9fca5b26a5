"""Which pages of other origins may call, against a plain model of the same rules."""

from __future__ import annotations

import falcon
import falcon.testing
import pytest
from hypothesis import given
from hypothesis import strategies as st

from falcongate.config.settings import CorsSettings
from falcongate.middleware.cors import Cors

ORIGINS = (
    "https://app.example.com",
    "https://*.example.org",
    "http://localhost:5173",
    "https://*.a.test:8443",
)
LABELS = st.sampled_from(["app", "x", "a-b", "0", "-a", "a-", "", "A", "a_b", "evil.com/", "a%2e"])
HOSTS = st.sampled_from(
    [
        "app.example.com",
        "appXexample.com",
        "example.org",
        "exampleXorg",
        "a.test:8443",
        "a.test",
        "localhost:5173",
    ]
)


def cors(**settings: object) -> Cors:
    """The middleware of these settings, with the usual origins."""
    return Cors(CorsSettings.model_validate({"origins": ORIGINS, **settings}))


def lines_for(origin: str | None, **settings: object) -> dict[str, str]:
    """What an answer to a page of `origin` says."""
    block = cors(**settings).block_for(origin).decode("latin-1")
    *lines, end = block.split("\r\n")
    assert end == ""
    fields = {name: value for name, _, value in (line.partition(": ") for line in lines)}
    assert len(fields) == len(lines)
    return fields


def is_label(text: str) -> bool:
    """Whether it is one step of a host's name, in small letters."""
    inner = text.replace("-", "")
    return inner.isascii() and inner.isalnum() and text == text.lower() and text.strip("-") == text


def may_read(origin: str) -> bool:
    """The rule, said plainly."""
    for allowed in ORIGINS:
        before, star, behind = allowed.partition("*")
        if not star:
            if origin == allowed:
                return True
        elif origin.startswith(before) and origin.endswith(behind):
            subdomain = origin[len(before) : len(origin) - len(behind)]
            if len(origin) > len(allowed) - 1 and all(is_label(label) for label in subdomain.split(".")):
                return True
    return False


def preflight(middleware: Cors, method: str = "OPTIONS", **headers: str) -> falcon.Response:
    """What such a request is answered before anything else is asked."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    req = falcon.Request(falcon.testing.create_environ(method=method, headers=named))
    resp = falcon.Response()
    middleware.process_request(req, resp)
    return resp


@given(st.sampled_from(["https://", "http://", "HTTPS://", ""]), st.lists(LABELS, max_size=3), HOSTS)
def test_an_origin_may_read_if_the_whole_of_it_is_listed(scheme: str, labels: list[str], host: str) -> None:
    origin = scheme + ".".join([*labels, host])
    assert lines_for(origin).get("Access-Control-Allow-Origin") == (origin if may_read(origin) else None)


@pytest.mark.parametrize(
    "origin",
    [
        "https://app.example.com.evil.test",
        "https://evil.test/https://app.example.com",
        "https://evilapp.example.com",
        "https://app.example.com:443",
        "https://app.example.com/",
        "https://app.example.com\n",
        "https://app-example.com",
        "https://appxexample.com",
        "https://example.org",
        "https://evilexample.org",
        "https://x.examplexorg",
        "https://.example.org",
        "https://evil.test/.example.org",
        "https://evil.test#.example.org",
        "http://app.example.com",
        "null",
        "*",
        "",
    ],
)
def test_an_origin_that_only_looks_like_a_listed_one_may_not(origin: str) -> None:
    assert lines_for(origin) == {"Vary": "Origin"}


def test_no_cache_may_give_one_origin_the_answer_of_another() -> None:
    for origin in (None, "https://evil.test", "https://app.example.com"):
        assert lines_for(origin)["Vary"] == "Origin"


def test_a_page_learns_what_it_may_read() -> None:
    settings = {"expose_headers": ["X-One", "X-Two"], "allow_credentials": True}
    assert lines_for("https://a.b.example.org", **settings) == {
        "Vary": "Origin",
        "Access-Control-Allow-Origin": "https://a.b.example.org",
        "Access-Control-Expose-Headers": "X-One, X-Two",
        "Access-Control-Allow-Credentials": "true",
    }
    without = lines_for("https://a.b.example.org", **{**settings, "allow_credentials": False})
    assert "Access-Control-Allow-Credentials" not in without


def test_an_origin_is_answered_the_same_each_time_and_after_many_others() -> None:
    middleware = cors()
    listed = middleware.block_for("https://app.example.com")
    for number in range(1_100):
        assert b"Allow-Origin" not in middleware.block_for(f"https://evil{number}.test")
    assert middleware.block_for("https://app.example.com") == listed
    assert b"https://late.example.org\r\n" in middleware.block_for("https://late.example.org")
    assert b"Allow-Origin" not in middleware.block_for("https://evil5.test")


def test_a_preflight_is_answered_with_what_is_allowed() -> None:
    middleware = cors(methods=["GET", "PUT"], request_headers=["x-one", "x-two"], max_age_s=17)
    resp = preflight(middleware, Origin="https://app.example.com", Access_Control_Request_Method="PUT")
    assert resp.complete
    assert resp.status == falcon.HTTP_204
    assert resp.headers == {
        "access-control-allow-methods": "GET, PUT",
        "access-control-allow-headers": "x-one, x-two",
        "access-control-max-age": "17",
    }


def test_a_preflight_of_a_stranger_is_answered_with_nothing() -> None:
    resp = preflight(cors(), Origin="https://evil.test", Access_Control_Request_Method="PUT")
    assert resp.complete
    assert resp.status == falcon.HTTP_204
    assert resp.headers == {}


@pytest.mark.parametrize(
    ("method", "headers"),
    [
        ("OPTIONS", {}),
        ("OPTIONS", {"Origin": "https://app.example.com"}),
        ("OPTIONS", {"Access_Control_Request_Method": "PUT"}),
        ("GET", {"Origin": "https://app.example.com", "Access_Control_Request_Method": "PUT"}),
    ],
)
def test_what_is_no_preflight_goes_on(method: str, headers: dict[str, str]) -> None:
    resp = preflight(cors(), method, **headers)
    assert not resp.complete
    assert resp.headers == {}


def test_without_origins_nothing_is_said_or_answered() -> None:
    middleware = cors(origins=[])
    assert not middleware.is_on
    for origin in (None, "", "https://app.example.com"):
        assert middleware.block_for(origin) == b""
    resp = preflight(middleware, Origin="https://app.example.com", Access_Control_Request_Method="PUT")
    assert not resp.complete
