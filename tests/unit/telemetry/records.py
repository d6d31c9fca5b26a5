"""Records of requests that never were."""

from __future__ import annotations

from falcongate.telemetry.record import Record, Tried

USUAL = Record(
    ended=1_700_000_000.25,
    request_id="an-id",
    method="GET",
    path="/api/hr/x",
    service="hr",
    route="/api/hr",
    status=200,
    answered_by="service",
    problem="",
    reason="",
    duration_s=0.0123,
    first_byte_s=0.0111,
    service_s=0.0101,
    received_bytes=0,
    sent_bytes=17,
    caller="192.0.2.1",
    identity="",
    tried=(Tried("http://hr:8000"),),
    admitted_by=(),
    refused_by=(),
    would_refuse=(),
)
