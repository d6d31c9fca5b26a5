"""Callers who speak HTTP/1.0."""

from __future__ import annotations

import pytest

from tests.support.world import Visit


@pytest.mark.parametrize("path", ["fixed", "chunked", "until-close"])
def test_the_answer_is_never_chunked_and_ends_with_the_connection(world: Visit, path: str) -> None:
    with world.caller() as caller:
        answer = caller.exchange("GET", f"/api/honest/{path}?bytes=70000", version="HTTP/1.0")
        assert answer.status == 200
        assert answer.all("Transfer-Encoding") == []
        assert len(answer.content) == 70_000
        caller.expect_closed()


def test_keep_alive_is_kept_where_the_length_is_known(world: Visit) -> None:
    with world.caller() as caller:
        for _ in range(3):
            answer = caller.exchange(
                "GET", "/api/honest/fixed?bytes=10", [("Connection", "keep-alive")], version="HTTP/1.0"
            )
            assert (answer.get("Connection") or "").lower() == "keep-alive"
            assert len(answer.content) == 10


def test_host_may_be_missing(world: Visit) -> None:
    with world.caller() as caller:
        answer = caller.exchange("GET", "/api/honest/x", host=None, version="HTTP/1.0")
        assert answer.status == 200
        headers = [(name.lower(), value) for name, value in answer.body.json()["headers"]]
        assert ("host", world.honest.url.removeprefix("http://")) in headers


def test_the_service_is_spoken_to_in_http11(world: Visit) -> None:
    with world.caller() as caller:
        document = caller.exchange("POST", "/api/honest/x", body=b"abc", version="HTTP/1.0").body.json()
    assert (document["version"], document["body_bytes"]) == ("HTTP/1.1", 3)


def test_an_error_ends_the_connection_too(world: Visit) -> None:
    with world.caller() as caller:
        assert caller.exchange("GET", "/api/nobody", version="HTTP/1.0").status == 404
        caller.expect_closed()
