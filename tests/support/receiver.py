"""A receiver of traces: takes OTLP over HTTP, and reads it by the official messages."""

from __future__ import annotations

import http.client
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTracePartialSuccess,
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)
from opentelemetry.proto.common.v1.common_pb2 import AnyValue
from opentelemetry.proto.trace.v1.trace_pb2 import Span, Status

from tests.support.processes import until
from tests.support.upstreams import Conversation, ScriptedUpstream
from tests.support.wire import Head

SERVER, CLIENT = Span.SPAN_KIND_SERVER, Span.SPAN_KIND_CLIENT


@dataclass(frozen=True)
class Told:
    """One span as it arrived; ids are in hexadecimal."""

    name: str
    kind: int
    trace_id: str
    span_id: str
    parent_id: str
    tracestate: str
    flags: int
    attributes: dict[str, Any]
    resource: dict[str, Any]
    events: list[str]
    linked: list[tuple[str, str]]
    is_error: bool
    message: str
    begin_ns: int
    end_ns: int


def answer(status: int, body: bytes = b"", fields: bytes = b"") -> bytes:
    """What a receiver says."""
    head = b"HTTP/1.1 %d Said\r\nContent-Type: application/x-protobuf\r\n%b" % (status, fields)
    return head + b"Content-Length: %d\r\n\r\n%b" % (len(body), body)


def rejecting(rejected: int, why: str = "") -> bytes:
    """The body by which a receiver says that it has taken all spans but so many."""
    partial = ExportTracePartialSuccess(rejected_spans=rejected, error_message=why)
    body: bytes = ExportTraceServiceResponse(partial_success=partial).SerializeToString()
    return body


TAKEN = answer(200)


class Receiver:
    """Listens until it is stopped. `say` gives what is answered to the n-th request, None for nothing."""

    def __init__(self, say: Callable[[int], bytes | None] = lambda number: TAKEN) -> None:  # noqa: ARG005
        self.say = say
        self.heads: list[Head] = []
        self.spans: list[Told] = []
        self._upstream = ScriptedUpstream().serve(self._play)
        self.url = self._upstream.url

    def _play(self, conversation: Conversation) -> None:
        while True:
            head, body = conversation.read_request()
            number = len(self.heads)
            self.heads.append(head)
            said = self.say(number)
            if said is None:
                conversation.stall(within_s=600)
                return
            if said.startswith(b"HTTP/1.1 200"):
                self.spans += spans_in(body.content)
            conversation.send(said)

    def of(self, trace_id: str, count: int) -> list[Told]:
        """The spans of a trace, waited for until there are so many; the earliest first."""
        found = until(
            lambda: [span for span in self.spans if span.trace_id == trace_id][count - 1 :],
            f"{count} spans of {trace_id}",
        )
        assert len(found) == 1
        return sorted(
            (span for span in self.spans if span.trace_id == trace_id), key=lambda span: span.begin_ns
        )

    def stop(self) -> None:
        """End it, and fail if it was sent what it cannot read."""
        self._upstream.stop()


def spans_in(body: bytes) -> list[Told]:
    """The spans of one request; raises what the official reader does if it is none."""
    request = ExportTraceServiceRequest.FromString(body)
    return [
        Told(
            name=span.name,
            kind=span.kind,
            trace_id=span.trace_id.hex(),
            span_id=span.span_id.hex(),
            parent_id=span.parent_span_id.hex(),
            tracestate=span.trace_state,
            flags=span.flags,
            attributes={pair.key: _value(pair.value) for pair in span.attributes},
            resource={pair.key: _value(pair.value) for pair in of_resource.resource.attributes},
            events=[event.name for event in span.events],
            linked=[(link.trace_id.hex(), link.span_id.hex()) for link in span.links],
            is_error=span.status.code == Status.STATUS_CODE_ERROR,
            message=span.status.message,
            begin_ns=span.start_time_unix_nano,
            end_ns=span.end_time_unix_nano,
        )
        for of_resource in request.resource_spans
        for of_scope in of_resource.scope_spans
        for span in of_scope.spans
    ]


def tell(url: str, span: Span) -> None:
    """Send one span of a service's own."""
    request = ExportTraceServiceRequest()
    request.resource_spans.add().scope_spans.add().spans.append(span)
    connection = http.client.HTTPConnection(urlsplit(url).netloc, timeout=10)
    try:
        fields = {"Content-Type": "application/x-protobuf"}
        connection.request("POST", "/v1/traces", request.SerializeToString(), fields)
        assert connection.getresponse().status == 200
    finally:
        connection.close()


def _value(value: AnyValue) -> Any:  # noqa: ANN401  # whatever it holds
    kind = value.WhichOneof("value")
    if kind == "array_value":
        return [_value(item) for item in value.array_value.values]
    return getattr(value, kind) if kind else None
