"""Which headers a caller sees."""

from __future__ import annotations

import json
import re
from urllib.parse import quote

import pytest

from tests.support.callers import Answer
from tests.support.honest import GZIPPED
from tests.support.upstreams import answering, ok
from tests.support.world import Visit

TIMING = re.compile(r"gateway;dur=(\d+(?:\.\d+)?), service;dur=(\d+(?:\.\d+)?)")


def _asked(world: Visit, fields: list[tuple[str, str]], status: int = 200) -> Answer:
    return world.get(f"/api/honest/answer?status={status}&headers={quote(json.dumps(fields))}")


def test_the_caller_learns_request_id_service_and_times(world: Visit) -> None:
    answer = world.get("/api/honest/x")
    assert answer.get("X-Request-ID") == answer.get("X-Gateway-Request-ID")
    assert answer.get("X-Gateway-Service") == "honest"
    assert TIMING.fullmatch(answer.get("Server-Timing") or "")


def test_server_timing_tells_the_service_s_share_from_ours(world: Visit) -> None:
    def slow(conversation):  # noqa: ANN001, ANN202
        conversation.read_request()
        conversation.stall(within_s=0.3)
        conversation.send(ok())

    answer = world.get(world.service(slow).path())
    times = TIMING.fullmatch(answer.get("Server-Timing") or "")
    assert times is not None
    assert float(times[2]) >= 290
    assert float(times[1]) < 250


@pytest.mark.own_worker("gunicorn's start_response path does not promise the order of headers")
def test_case_and_order_of_the_service_s_headers_are_kept(world: Visit) -> None:
    sent = [("x-LOWER", "1"), ("X-Upper", "2"), ("ETAG", '"x"'), ("x-lower", "3"), ("content-TYPE", "a/b")]
    arrived = [pair for pair in _asked(world, sent).head.fields if pair in sent]
    assert arrived == sent


def test_several_cookies_stay_several(world: Visit) -> None:
    cookies = ["a=1; Path=/; HttpOnly", "b=2; Expires=Wed, 21 Oct 2026 07:28:00 GMT", "a=3"]
    assert _asked(world, [("Set-Cookie", cookie) for cookie in cookies]).all("Set-Cookie") == cookies


@pytest.mark.parametrize(
    "location",
    ["/api/honest/caf%C3%A9?x=%2f%zz", "http://internal:8001/x", "../up?a=b&c", "//other.test/x#y"],
)
def test_location_is_passed_as_it_is(world: Visit, location: str) -> None:
    answer = _asked(world, [("Location", location)], status=302)
    assert (answer.status, answer.get("Location")) == (302, location)


def test_a_compressed_body_is_passed_as_it_is(world: Visit) -> None:
    answer = world.get("/api/honest/gzip", [("Accept-Encoding", "gzip")])
    assert (answer.get("Content-Encoding"), answer.content) == ("gzip", GZIPPED)


@pytest.mark.parametrize(
    ("name", "value"),
    [("X-Value", "\xe9t\xe9"), ("X-Value", ""), ("X-Value", "a" * 7000), ("ETag", 'W/"a,b"'),
     ("WWW-Authenticate", 'Bearer realm="x, y"'), ("Vary", "Accept"), ("Cache-Control", "no-store")],
)  # fmt: skip
def test_a_header_value_arrives_as_the_service_sent_it(world: Visit, name: str, value: str) -> None:
    assert value in _asked(world, [(name, value)]).all(name)


@pytest.mark.parametrize(
    ("name", "value"),
    [("Keep-Alive", "timeout=5"), ("Proxy-Authenticate", "Basic"), ("Proxy-Connection", "close"),
     ("Upgrade", "h2c"), ("Trailer", "X-Sum")],
)  # fmt: skip
def test_the_service_s_hop_by_hop_headers_end_here(world: Visit, name: str, value: str) -> None:
    assert _asked(world, [(name, value)]).all(name) == []


def test_what_the_service_names_in_connection_ends_here(world: Visit) -> None:
    answer = _asked(world, [("Connection", "X-Secret"), ("X-Secret", "1"), ("X-Open", "2")])
    assert (answer.all("X-Secret"), answer.all("X-Open")) == ([], ["2"])


@pytest.mark.parametrize("name", ["X-Request-ID", "X-Gateway-Request-ID", "X-Gateway-Service"])
def test_what_the_gateway_says_replaces_what_the_service_said(world: Visit, name: str) -> None:
    assert _asked(world, [(name, "from-the-service")]).get(name) not in (None, "from-the-service")


def test_the_service_s_own_timing_is_kept_beside_ours(world: Visit) -> None:
    timings = ", ".join(_asked(world, [("Server-Timing", "db;dur=53")]).all("Server-Timing"))
    assert "db;dur=53" in timings
    assert TIMING.search(timings)


def test_there_is_one_date_and_at_most_one_server(world: Visit) -> None:
    date = "Sun, 06 Nov 1994 08:49:37 GMT"
    answer = _asked(world, [("Date", date)])
    assert len(answer.all("Date")) == 1
    assert len(answer.all("Server")) <= 1
    assert len(world.get("/api/nobody").all("Date")) == 1


@pytest.mark.own_worker("gunicorn puts its own Server and Date in their place")
def test_date_and_server_are_the_service_s_own(world: Visit) -> None:
    date = "Sun, 06 Nov 1994 08:49:37 GMT"
    answer = _asked(world, [("Date", date)])
    assert (answer.get("Date"), answer.get("Server")) == (date, "honest/1")


@pytest.mark.own_worker("gunicorn writes its own reason phrase")
def test_the_reason_phrase_is_the_service_s_own(world: Visit) -> None:
    service = world.service(answering(b"HTTP/1.1 200 Fine By Me\r\nContent-Length: 0\r\n\r\n"))
    assert world.get(service.path()).reason == "Fine By Me"


@pytest.mark.parametrize(
    "status", [200, 201, 202, 206, 301, 400, 401, 404, 418, 422, 429, 451, 500, 502, 503, 599]
)
def test_the_service_s_status_and_body_are_its_own(world: Visit, status: int) -> None:
    answer = world.get(f"/api/honest/status/{status}")
    assert (answer.status, answer.content) == (status, b"as asked")
