"""Which service a path leads to, and what of it the service sees."""

from __future__ import annotations

import pytest

from tests.support.callers import request_bytes
from tests.support.world import Visit, echoed

AS_SENT = [
    "/a/b",
    "/a/b/",
    "/",
    "",
    "?x=1",
    "/?",
    "/x?",
    "/x?empty=&a=1&a=2&flag",
    "/a//b///c/",
    "/a%20b%2Dc/%7Ed",
    "/caf%C3%A9/%e2%82%ac",
    "/lower%c3%a9UPPER%C3%A9",
    "/x;v=1/y;w",
    "/~!$&'()*+,=:@-._",
    "/x?q=%2F%2e%2e%5C%00&u=http://a/b?c",
    "/x?bad=%zz&lone=%",
    "/x?f[]=1&f[]=2|3",
    "/x?next=/../..//",
]


@pytest.mark.parametrize("rest", AS_SENT)
def test_the_target_reaches_the_service_byte_for_byte(world: Visit, rest: str) -> None:
    echo = world.echo("GET", f"/api/honest{rest}")
    assert echo.target == f"/api/honest{rest}"
    assert echo.answer.get("X-Gateway-Service") == "honest"


def test_an_encoded_letter_in_the_service_name_is_routed_and_left_as_it_was(world: Visit) -> None:
    assert world.echo("GET", "/api/%68onest/x").target == "/api/%68onest/x"


@pytest.mark.parametrize(
    ("sent", "arrives"),
    [
        ("/api/stripped/x/y?z=%20", "/x/y?z=%20"),
        ("/api/stripped/", "/"),
        ("/api/stripped", "/"),
        ("/api/stripped?a=1", "/?a=1"),
        ("/api/stripped/a//b%2D/", "/a//b%2D/"),
        ("/api/added/x/?y", "/v2/api/added/x/?y"),
        ("/api/replaced/x/?y", "/v3/x/?y"),
        ("/api/honest/nested/x", "/nested-got-it/api/honest/nested/x"),
        ("/api/honest/nestedly", "/api/honest/nestedly"),
    ],
)
def test_prefix_rules_change_the_beginning_and_nothing_else(world: Visit, sent: str, arrives: str) -> None:
    assert world.echo("GET", sent).target == arrives


@pytest.mark.parametrize(
    ("path", "service"),
    [
        ("/api/token", "auth_service"),
        ("/api/token/refresh", "auth_service"),
        ("/api/login/", "auth_service"),
        ("/api/auth_service/x", "auth_service"),
        ("/socket.io/?EIO=4&transport=polling", "messaging"),
        ("/socket.io/x?sid=1", "messaging"),
        ("/api/messaging/x", "messaging"),
    ],
)
def test_several_prefixes_lead_to_one_service_with_the_path_unchanged(
    world: Visit, path: str, service: str
) -> None:
    echo = world.echo("GET", path)
    assert (echo.target, echo.answer.get("X-Gateway-Service")) == (path, service)


@pytest.mark.parametrize(
    "path",
    ["/", "/api", "/api/", "/api/nobody/", "/api/honestly/x", "/api/hones", "/Api/honest/x", "/honest/x",
     "/api/tokens", "/api//honest/x", "//api/honest/x", "/api/honest;x/y", "/socket.iox/",
     "/api/stripped;/x"],
)  # fmt: skip
def test_a_path_of_no_service_is_404(world: Visit, path: str) -> None:
    answer = world.get(path)
    assert answer.status == 404
    assert answer.json()["type"] == "/problems/no-route"


@pytest.mark.parametrize("method", ["GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "PROPFIND", "REPORT"])
def test_every_registered_method_is_forwarded(world: Visit, method: str) -> None:
    assert world.echo(method, "/api/honest/x").method == method


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE"])
@pytest.mark.parametrize(
    ("sent", "arrives"),
    [
        ("/api/slashed/x", "/api/slashed/x/"),
        ("/api/slashed/x?a=/b", "/api/slashed/x/?a=/b"),
        ("/api/slashed/x/", "/api/slashed/x/"),
        ("/api/slashed", "/api/slashed/"),
    ],
)
def test_append_slash_adds_what_is_missing_to_methods_that_write(
    world: Visit, method: str, sent: str, arrives: str
) -> None:
    assert world.echo(method, sent).target == arrives


def test_append_slash_leaves_reading_methods_and_other_services_alone(world: Visit) -> None:
    assert world.echo("GET", "/api/slashed/x").target == "/api/slashed/x"
    assert world.echo("POST", "/api/honest/x").target == "/api/honest/x"


@pytest.mark.parametrize("path", ["/health", "/health/live", "/health/ready", "/metrics"])
def test_own_endpoints_answer_with_and_without_a_trailing_slash(world: Visit, path: str) -> None:
    assert world.get(path).status == 200
    assert world.get(path + "/").status == 200


@pytest.mark.own_worker("gunicorn hands on an absolute-form target without its authority")
def test_an_absolute_target_that_agrees_with_host_is_forwarded_in_origin_form(world: Visit) -> None:
    with world.caller() as caller:
        caller.send(request_bytes("GET", "http://gateway.test/api/honest/x?y=1"))
        assert echoed(caller.answer()).target == "/api/honest/x?y=1"
        caller.send(request_bytes("GET", "http://gateway.test?y=1"))
        assert caller.answer().status == 404
