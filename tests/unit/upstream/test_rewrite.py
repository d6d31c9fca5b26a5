"""What a service is asked for: the caller's bytes, but for what its settings change."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from falcongate.config.settings import ServiceSettings
from falcongate.routing.table import Route
from falcongate.upstream.rewrite import rewritten_target

REST = st.lists(
    st.sampled_from([b"/", b"a", b"%2D", b"%c3%a9", b"%zz", b";", b"?", b"&", b"=", b"//", b".."]),
    max_size=10,
).map(b"".join)


def route(prefix: str = "/api/s", **settings: object) -> Route:
    """A route to a service with these settings."""
    return Route(prefix, "s", ServiceSettings.model_validate({"url": "http://s", **settings}))


@given(REST, st.sampled_from(["GET", "POST"]))
def test_without_settings_the_target_is_the_very_same(rest: bytes, method: str) -> None:
    target = b"/api/s" + rest
    assert rewritten_target(target, method, route()) is target


@given(REST, st.sampled_from([b"/api/s", b"/%61pi/s", b"/%61%70%69/%73"]))
def test_behind_the_prefix_every_byte_is_left(rest: bytes, spelling: bytes) -> None:
    target = spelling + b"/" + rest
    assert rewritten_target(target, "POST", route(strip_prefix="/api/s")) == b"/" + rest
    assert (
        rewritten_target(target, "POST", route(strip_prefix="/api"))
        == spelling[spelling.rindex(b"/") :] + b"/" + rest
    )
    assert rewritten_target(target, "POST", route(add_prefix="/v2/")) == b"/v2" + target
    assert rewritten_target(target, "POST", route(strip_prefix="/api/s", add_prefix="/v3")) == b"/v3/" + rest


@given(REST, st.sampled_from(["POST", "PUT", "PATCH", "DELETE", "GET", "HEAD", "OPTIONS", "REPORT"]))
def test_a_slash_is_added_before_the_query_to_methods_that_write(rest: bytes, method: str) -> None:
    target = b"/api/s/" + rest
    path, mark, query = target.partition(b"?")
    writes = method in ("POST", "PUT", "PATCH", "DELETE")
    slash = b"/" if writes and not path.endswith(b"/") else b""
    assert rewritten_target(target, method, route(append_slash=True)) == path + slash + mark + query


@pytest.mark.parametrize(
    ("settings", "sent", "arrives"),
    [
        ({"strip_prefix": "/api/s"}, b"/api/s", b"/"),
        ({"strip_prefix": "/api/s/"}, b"/api/s", b"/"),
        ({"strip_prefix": "/api/s"}, b"/api/s?x=/api/s", b"/?x=/api/s"),
        ({"strip_prefix": "/api/s"}, b"/api/s//a//", b"//a//"),
        ({"strip_prefix": "/"}, b"/api/s/x", b"/api/s/x"),
        ({"add_prefix": "/"}, b"/api/s/x", b"/api/s/x"),
        ({"strip_prefix": "/api/s", "add_prefix": "/v3"}, b"/api/s", b"/v3/"),
        ({"strip_prefix": "/api/s", "append_slash": True}, b"/api/s/x?y", b"/x/?y"),
        ({"append_slash": True}, b"/api/s?", b"/api/s/?"),
    ],
)
def test_prefixes_are_stripped_added_and_replaced(
    settings: dict[str, object], sent: bytes, arrives: bytes
) -> None:
    assert rewritten_target(sent, "POST", route(**settings)) == arrives


@pytest.mark.parametrize("prefix", ["/socket.io", "/api", "/api/st", "/"])
def test_a_prefix_that_the_route_does_not_begin_with_is_not_stripped(prefix: str) -> None:
    target = prefix.encode() + b"/x/y/z"
    assert rewritten_target(target, "GET", route(prefix, strip_prefix="/api/s")) == target
