"""One id for a request, everywhere it shows."""

from __future__ import annotations

import pytest

from tests.support.world import Visit, echoed

GOOD = ["a" * 20, "b" * 200, "01234567-89ab-cdef-0123-456789abcdef", "abcdefghijklmnopqrst+/=-ABCXYZ019"]
BAD = [
    "",
    "one-short-of-twenty",
    "c" * 201,
    "has a space in it 123456",
    "a" * 20 + '"',
    "<script>alert(1)</script>",
    "a" * 20 + "\xe9",
    "a" * 20 + ";b",
    "a" * 20 + ",b",
]


@pytest.mark.parametrize("given", GOOD)
def test_a_safe_id_of_the_caller_is_kept(world: Visit, given: str) -> None:
    echo = world.echo("GET", "/api/honest/x", [("X-Request-ID", given)])
    assert echo.get("X-Request-ID") == echo.get("X-Gateway-Request-ID") == given
    assert echo.answer.get("X-Request-ID") == echo.answer.get("X-Gateway-Request-ID") == given


@pytest.mark.parametrize("given", BAD)
def test_any_other_id_is_replaced(world: Visit, given: str) -> None:
    echo = world.echo("GET", "/api/honest/x", [("X-Request-ID", given)])
    new = echo.get("X-Request-ID")
    assert new is not None
    assert new != given
    assert 20 <= len(new) <= 200
    assert new == echo.get("X-Gateway-Request-ID") == echo.answer.get("X-Request-ID")


def test_two_ids_are_none(world: Visit) -> None:
    echo = world.echo("GET", "/api/honest/x", [("X-Request-ID", "a" * 20), ("X-Request-ID", "b" * 20)])
    assert echo.get("X-Request-ID") not in ("a" * 20, "b" * 20)


def test_new_ids_differ(world: Visit) -> None:
    with world.caller() as caller:
        ids = {caller.get("/api/honest/x").get("X-Request-ID") for _ in range(50)}
    assert len(ids) == 50


@pytest.mark.parametrize("path", ["/health/", "/metrics", "/api/nobody", "/api/honest/%2e%2e"])
def test_the_gateway_s_own_answers_have_one(world: Visit, path: str) -> None:
    answer = world.get(path, [("X-Request-ID", "my-own-request-id-of-the-caller")])
    assert (
        answer.get("X-Request-ID") == answer.get("X-Gateway-Request-ID") == "my-own-request-id-of-the-caller"
    )


def test_the_access_log_has_it(world: Visit) -> None:
    request_id = echoed(world.get("/api/honest/logged?token=secret")).get("X-Request-ID")
    assert request_id is not None
    line = world.gateway.logged(request_id)
    assert line["status"] == 200
    assert line["service"] == "honest"
    assert line["method"] == "GET"


def test_one_request_is_one_line(world: Visit) -> None:
    ids = [f"one-line-each-please-{number:04}" for number in range(20)]
    with world.caller() as caller:
        for request_id in ids:
            path = "/api/honest/x" if request_id.endswith("0") else "/api/nobody"
            caller.get(path, [("X-Request-ID", request_id)])
    world.gateway.logged(ids[-1])
    logged = [line["request_id"] for line in world.gateway.log_lines()]
    assert [logged.count(request_id) for request_id in ids] == [1] * 20


def test_the_log_shows_no_credentials(world: Visit) -> None:
    fields = [("Authorization", "Bearer s3cr3t-token"), ("Cookie", "access_token=s3cr3t-cookie")]
    request_id = echoed(world.get("/api/honest/x?token=s3cr3t-query", fields)).get("X-Request-ID")
    assert request_id is not None
    world.gateway.logged(request_id)
    assert "s3cr3t" not in world.gateway.stdout() + world.gateway.stderr()
