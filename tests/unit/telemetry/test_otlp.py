"""Spans as bytes: the official reader finds in them what was put there."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)
from opentelemetry.proto.trace.v1.trace_pb2 import Span as OfficialSpan

from falcongate.telemetry.otlp import (
    CLIENT,
    SERVER,
    Envelope,
    PartialSuccess,
    Span,
    parse_answer,
    render_span,
)
from tests.support.receiver import rejecting, spans_in

HEX = "0123456789abcdef"
USUAL = Span(
    trace_id="0af7651916cd43dd8448eb211c80319c",
    span_id="b7ad6b7169203331",
    parent_id="",
    tracestate="",
    name="GET /api/hr",
    kind=SERVER,
    flags="01",
    is_parent_remote=False,
    begin_s=1_700_000_000.25,
    end_s=1_700_000_000.5,
    attributes={},
)
ENVELOPE = Envelope(resource={"service.name": "edge", "process.pid": 7}, version="1.2")
TEXTS = st.text(max_size=30)
VALUES = st.one_of(
    TEXTS, st.booleans(), st.integers(0, 2**63 - 1), st.lists(TEXTS, min_size=1, max_size=3).map(tuple)
)


def read(span: Span) -> OfficialSpan:
    """The span as the official reader has it."""
    request = ExportTraceServiceRequest.FromString(ENVELOPE.render([render_span(span)]))
    return request.resource_spans[0].scope_spans[0].spans[0]


@given(
    trace_id=st.text(HEX, min_size=32, max_size=32),
    parent_id=st.sampled_from(["", "b7ad6b7169203332"]),
    name=TEXTS,
    kind=st.sampled_from([SERVER, CLIENT]),
    flags=st.sampled_from(["00", "01", "02", "03"]),
    times=st.tuples(st.integers(0, 2**31), st.integers(0, 2**31)),
    attributes=st.dictionaries(st.text("abc._", min_size=1, max_size=20), VALUES, max_size=6),
    error=st.none() | TEXTS,
)
def test_a_span_arrives_as_it_was(**drawn: object) -> None:
    begin_s, end_s = drawn.pop("times")  # type: ignore[misc]
    span = USUAL._replace(begin_s=float(begin_s), end_s=float(end_s), tracestate="a=1,b=2", **drawn)
    (told,) = spans_in(ENVELOPE.render([render_span(span)]))
    assert (told.trace_id, told.span_id, told.parent_id) == (span.trace_id, span.span_id, span.parent_id)
    assert (told.name, told.kind, told.tracestate) == (span.name, span.kind, span.tracestate)
    assert told.attributes == {
        key: list(value) if isinstance(value, tuple) else value for key, value in span.attributes.items()
    }
    assert (told.begin_ns, told.end_ns) == (begin_s * 10**9, max(begin_s, end_s) * 10**9)
    assert (told.is_error, told.message) == (span.error is not None, span.error or "")
    assert told.flags == int(span.flags, 16) | 0x100
    assert told.resource == {"service.name": "edge", "process.pid": 7}


def test_the_parent_of_another_process_is_marked() -> None:
    assert read(USUAL._replace(is_parent_remote=True)).flags == 0x301


def test_events_and_links_arrive() -> None:
    linked = ("1" * 32, "2" * 16, "01")
    span = read(USUAL._replace(events=[(1.5, "connected"), (2.0, "sent")], linked=linked))
    assert [(event.time_unix_nano, event.name) for event in span.events] == [
        (1_500_000_000, "connected"), (2_000_000_000, "sent"),
    ]  # fmt: skip
    (link,) = span.links
    assert (link.trace_id.hex(), link.span_id.hex(), link.flags) == (*linked[:2], 0x301)


def test_nothing_is_sent_that_the_official_reader_does_not_know() -> None:
    attributes = {"a": "b", "c": True, "d": 5, "e": ("f",)}
    span = USUAL._replace(
        parent_id="2" * 16,
        tracestate="a=1",
        attributes=attributes,
        events=[(1.0, "sent")],
        error="why",
        linked=("1" * 32, "2" * 16, "01"),
    )
    request = ExportTraceServiceRequest.FromString(ENVELOPE.render([render_span(span)]))
    size = request.ByteSize()
    request.DiscardUnknownFields()
    assert request.ByteSize() == size
    scope = request.resource_spans[0].scope_spans[0].scope
    assert (scope.name, scope.version) == ("falcongate", "1.2")


@given(st.text(max_size=20) | st.text("\ud800\udfff\0\u20ac", max_size=20))
def test_what_utf8_cannot_hold_does_not_spoil_a_batch(text: str) -> None:
    told = read(USUAL._replace(name=text, attributes={"key": text}, error=text))
    assert told.name == text.encode("utf-8", "replace").decode()


def test_long_texts_are_cut() -> None:
    told = read(USUAL._replace(attributes={"path": "x" * 100_000}, error="y" * 100_000))
    assert told.attributes[0].value.string_value == "x" * 1_024
    assert told.status.message == "y" * 1_024


def test_many_spans_make_one_request() -> None:
    spans = [render_span(USUAL._replace(name=str(number))) for number in range(300)]
    assert [told.name for told in spans_in(ENVELOPE.render(spans))] == [str(number) for number in range(300)]


@given(rejected=st.integers(0, 2**63 - 1), why=st.text(max_size=40))
def test_what_a_receiver_rejects_is_read(rejected: int, why: str) -> None:
    assert parse_answer(rejecting(rejected, why)) == PartialSuccess(rejected, why)


def test_who_takes_all_says_nothing() -> None:
    assert parse_answer(b"") == PartialSuccess()
    assert parse_answer(ExportTraceServiceResponse().SerializeToString()) == PartialSuccess()


@pytest.mark.parametrize(
    "data",
    [
        b"\x0a", b"\x0a\x05\x08", b"\x08\x05", b"\x0b", b"\xff" * 30, b'{"partialSuccess":{}}', b"<html>",
        b"\x0a\x02\x0a\x00", b"\x0a\x03\x12\x05a",
    ],
)  # fmt: skip
def test_an_answer_that_cannot_be_read_rejects_nothing(data: bytes) -> None:
    assert parse_answer(data).rejected == 0


def test_fields_of_later_versions_are_passed_over() -> None:
    later = b"\x0d\x01\x02\x03\x04\x51\x01\x02\x03\x04\x05\x06\x07\x08\x1a\x01x\x0a\x02\x08\x05"
    assert parse_answer(later) == PartialSuccess(5, "")


@given(st.binary(max_size=60))
def test_no_answer_is_anybodys_failure(data: bytes) -> None:
    assert parse_answer(data).rejected >= 0
