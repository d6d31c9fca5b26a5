"""The headers of an answer: the service's own, less what is ours to say, and ours."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from falcongate.config.settings import GatewaySettings
from falcongate.middleware.cors import Cors
from falcongate.middleware.response_headers import ResponseHeaders, as_wsgi
from falcongate.upstream.answer import parse_answer
from falcongate.wire.fields import Start
from tests.unit.making import REQUEST_ID, make_exchange, make_match, make_route

SECURITY = {
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Content-Security-Policy": "default-src 'self'; frame-ancestors 'none'",
    "Referrer-Policy": "strict-origin-when-cross-origin",
}
HSTS = {"Strict-Transport-Security": "max-age=31536000; includeSubDomains"}
OURS = {
    "X-Request-ID": REQUEST_ID,
    "X-Gateway-Request-ID": REQUEST_ID,
    "X-Gateway-Service": "hr",
    **SECURITY,
}
ORDINARY = st.lists(
    st.tuples(
        st.sampled_from(["Server", "content-type", "Set-Cookie", "X-Odd.Name", "Vary", "ETAG"]),
        st.text("ab;,= \u00e9", max_size=8).map(str.strip),
    ).map(": ".join),
    max_size=6,
)


def headers(**settings: object) -> ResponseHeaders:
    """As these settings say, without what changes from run to run."""
    made = GatewaySettings.model_validate({"server_timing": False, **settings})
    return ResponseHeaders(made, Cors(made.cors))


def answered(
    *lines: str, status: str = "200 OK", scheme: str = "http", origin: str = "", **settings: object
) -> Start:
    """How the answer of a service begins that has sent these lines."""
    exchange = make_exchange(*([f"Origin: {origin}"] if origin else []))
    exchange.scheme = scheme
    exchange.route_match = make_match(make_route("hr"))
    exchange.service_head = parse_answer(
        "\r\n".join([f"HTTP/1.1 {status}", *lines, "\r\n"]).encode("latin-1")
    )
    return headers(**settings).of_service(exchange)


def lines_in(start: Start) -> list[str]:
    """The lines of its block."""
    *lines, end = start.block.decode("latin-1").split("\r\n")
    assert end == ""
    assert "" not in lines
    return lines


def fields_in(start: Start) -> dict[str, str]:
    """The same as names and values; none comes twice."""
    fields = {name: value for name, _, value in (line.partition(": ") for line in lines_in(start))}
    assert len(fields) == len(lines_in(start))
    return fields


def test_an_answer_without_fields_is_sent_ours() -> None:
    start = answered()
    assert fields_in(start) == OURS
    assert start.status == "200 OK"
    assert not start.has_length
    assert not start.has_date


@given(ORDINARY)
def test_whatever_else_a_service_says_is_passed_byte_for_byte_and_in_order(lines: list[str]) -> None:
    ours = [f"{name}: {value}" for name, value in OURS.items()]
    passed = lines_in(answered(*lines))
    assert passed[: len(lines)] == lines
    assert sorted(passed[len(lines) :]) == sorted(ours)


@pytest.mark.parametrize("name", ["X-Request-ID", "x-gateway-request-id", "X-GATEWAY-SERVICE"])
def test_a_service_cannot_say_what_is_ours_to_say(name: str) -> None:
    assert fields_in(answered(f"{name}: evil")) == OURS


@pytest.mark.parametrize("status", ["204 No Content", "404 caf\u00e9", "599 "])
def test_the_status_and_its_reason_are_the_services(status: str) -> None:
    assert answered(status=status).status == status


def test_it_is_known_what_the_service_has_said_of_length_and_date() -> None:
    start = answered("content-length: 5")
    assert (start.has_length, start.has_date) == (True, False)
    start = answered("DATE: then")
    assert (start.has_length, start.has_date) == (False, True)
    assert "DATE: then" in lines_in(start)


def test_what_a_service_says_of_security_is_kept_unless_it_is_overridden() -> None:
    line = "x-frame-options: SAMEORIGIN"
    kept = {**OURS, "x-frame-options": "SAMEORIGIN"}
    del kept["X-Frame-Options"]
    assert fields_in(answered(line)) == kept
    assert fields_in(answered(line, security_headers={"override": True})) == OURS


def test_only_who_came_by_https_is_told_to_stay_there() -> None:
    assert fields_in(answered(scheme="https")) == OURS | HSTS
    assert fields_in(answered(scheme="http")) == OURS
    own = "Strict-Transport-Security: max-age=0"
    assert own in lines_in(answered(own, scheme="https"))
    assert fields_in(answered(own, scheme="https", security_headers={"override": True})) == OURS | HSTS


def test_a_security_header_without_text_is_left_out_and_left_alone() -> None:
    settings = {"frame_options": "", "override": True}
    without = {name: value for name, value in OURS.items() if name != "X-Frame-Options"}
    assert fields_in(answered(security_headers=settings)) == without
    own = answered("X-Frame-Options: x", security_headers=settings)
    assert fields_in(own) == without | {"X-Frame-Options": "x"}


def test_who_may_read_is_said_by_the_gateway_if_it_knows_origins_else_by_the_service() -> None:
    own = ["Access-Control-Allow-Origin: *", "access-control-max-age: 5"]
    assert lines_in(answered(*own))[:2] == own
    cors = {"origins": ["https://app.test"], "expose_headers": [], "allow_credentials": False}
    for line in lines_in(answered(*own, origin="https://evil.test", cors=cors)):
        assert not line.lower().startswith("access-control-")
    allowed = fields_in(answered(*own, origin="https://app.test", cors=cors))
    assert allowed["Access-Control-Allow-Origin"] == "https://app.test"
    assert "access-control-max-age" not in allowed


def test_every_answer_has_its_own_id_and_service() -> None:
    made = headers()
    exchange = make_exchange()
    assert "X-Gateway-Service" not in fields_in(made.of_gateway(exchange, "404 Not Found", []))
    exchange.request_id = "another-id"
    exchange.route_match = make_match(make_route("pay"))
    fields = fields_in(made.of_gateway(exchange, "503 Service Unavailable", []))
    assert fields["X-Request-ID"] == fields["X-Gateway-Request-ID"] == "another-id"
    assert fields["X-Gateway-Service"] == "pay"


def test_an_answer_of_our_own_says_so() -> None:
    exchange = make_exchange()
    start = headers().of_gateway(exchange, "404 Not Found", [("Content-LENGTH", "5"), ("X-A", "b")])
    expected = {"Content-LENGTH": "5", "X-A": "b", "Server": "falcongate", **OURS}
    del expected["X-Gateway-Service"]
    assert fields_in(start) == expected
    assert start.status == "404 Not Found"
    assert (start.has_length, start.has_date) == (True, False)
    assert not headers().of_gateway(exchange, "204 No Content", []).has_length


def test_a_header_of_our_own_cannot_write_another_line() -> None:
    with pytest.raises(ValueError, match="control character"):
        headers().of_gateway(make_exchange(), "200 OK", [("X-A", "b\r\nSet-Cookie: c=d")])


def test_the_time_is_shared_out_between_the_gateway_and_the_service() -> None:
    made = headers(server_timing=True)
    exchange = make_exchange()
    exchange.started -= 2
    fields = fields_in(made.of_gateway(exchange, "200 OK", []))
    assert re.fullmatch(r"gateway;dur=2[0-9]{3}\.[0-9]", fields["Server-Timing"])
    exchange.service_s = 1.5
    fields = fields_in(made.of_gateway(exchange, "200 OK", []))
    assert re.fullmatch(r"gateway;dur=[5-9][0-9]{2}\.[0-9], service;dur=1500\.0", fields["Server-Timing"])


@given(ORDINARY)
def test_wsgi_is_given_the_same_lines(lines: list[str]) -> None:
    start = answered(*lines)
    expected = [line.partition(":") for line in lines_in(start)]
    assert as_wsgi(start) == [(name, value.strip(" \t")) for name, _, value in expected]


def test_wsgi_is_given_nothing_of_an_empty_block() -> None:
    assert as_wsgi(Start("204 No Content", b"", has_length=False, has_date=False)) == []


def test_a_head_that_comes_again_begins_each_answer_by_what_is_said_of_that_one() -> None:
    head = parse_answer(b"HTTP/1.1 200 OK\r\nX-RateLimit-Limit: 5\r\nX-Frame-Options: SAMEORIGIN\r\n\r\n")
    relaxed, strict = headers(), headers(security_headers={"override": True})
    exchanges = [make_exchange() for _ in range(3)]
    for exchange, limits in zip(exchanges, (b"", b"RateLimit: ours\r\n", b""), strict=True):
        exchange.service_head, exchange.limit_lines = head, limits
    first, limited, again = (relaxed.of_service(exchange) for exchange in exchanges)
    assert (first.status, first.block) == (again.status, again.block)
    assert "X-RateLimit-Limit: 5" in lines_in(first)
    assert [line for line in lines_in(limited) if "RateLimit" in line] == ["RateLimit: ours"]
    assert "X-Frame-Options: SAMEORIGIN" in lines_in(limited)
    assert "X-Frame-Options: DENY" in lines_in(strict.of_service(exchanges[0]))
