"""Records of requests that never were."""

from __future__ import annotations

from falcongate.telemetry.record import Record

USUAL = Record(
    ended=1_700_000_000.25,
    request_id="an-id",
    method="GET",
    path="/api/hr/x",
    service="hr",
    status=200,
    problem="",
    reason="",
    duration_s=0.0123,
    service_s=0.0101,
    received_bytes=0,
    sent_bytes=17,
    caller="192.0.2.1",
    target="http://hr:8000",
    attempts=1,
    refused_by=(),
    would_refuse=(),
)
