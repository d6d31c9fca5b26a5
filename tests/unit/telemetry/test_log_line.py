"""The line of one request: JSON whatever a caller has sent."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from falcongate.telemetry.log_line import render_line
from falcongate.telemetry.record import Tried
from tests.unit.telemetry.records import USUAL

ANYTHING = st.text(max_size=20) | st.text('"\\\r\n\0\x7f\u2028\ud800,:{}', max_size=10)


def test_a_line_says_what_happened() -> None:
    line = render_line(USUAL._replace(identity="token:jane"))
    assert line.endswith("}\n")
    assert json.loads(line) == {
        "time": "2023-11-14T22:13:20.250Z",
        "request_id": "an-id",
        "method": "GET",
        "path": "/api/hr/x",
        "service": "hr",
        "route": "/api/hr",
        "status": 200,
        "answered_by": "service",
        "duration_ms": 12.3,
        "first_byte_ms": 11.1,
        "service_ms": 10.1,
        "received_bytes": 0,
        "sent_bytes": 17,
        "caller": "192.0.2.1",
        "identity": "token:jane",
        "target": "http://hr:8000",
        "attempts": 1,
    }


def test_a_line_names_its_trace_where_there_is_one() -> None:
    assert json.loads(render_line(USUAL._replace(trace_id="a" * 32)))["trace_id"] == "a" * 32


def test_what_went_wrong_is_said_only_where_something_did() -> None:
    assert not {"problem", "reason"} & json.loads(render_line(USUAL)).keys()
    said = json.loads(render_line(USUAL._replace(problem="service-timeout", reason="await_head: slow")))
    assert (said["problem"], said["reason"]) == ("service-timeout", "await_head: slow")
    assert json.loads(render_line(USUAL._replace(reason="the caller left")))["problem"] == ""


@given(path=ANYTHING, reason=ANYTHING, caller=ANYTHING, target=ANYTHING, identity=ANYTHING)
def test_whatever_others_have_chosen_stays_one_line_of_json_in_ascii(
    *, path: str, reason: str, caller: str, target: str, identity: str
) -> None:
    record = USUAL._replace(
        path=path, reason=reason or "x", caller=caller, tried=(Tried(target),), identity=identity
    )
    line = render_line(record)
    assert line.isascii()
    assert line.splitlines(keepends=True) == [line]
    said = json.loads(line)
    assert (said["path"], said["caller"], said["target"]) == (path, caller, target)
    assert said["identity"] == identity
    assert said["reason"] == record.reason


@pytest.mark.parametrize(
    ("ended", "time"),
    [
        (0.0, "1970-01-01T00:00:00.000Z"),
        (1_700_000_000.0009, "2023-11-14T22:13:20.000Z"),
        (1_700_000_000.9999, "2023-11-14T22:13:20.999Z"),
        (1_700_000_001.0625, "2023-11-14T22:13:21.062Z"),
    ],
)
def test_the_time_is_told_in_utc_to_the_millisecond(ended: float, time: str) -> None:
    assert json.loads(render_line(USUAL._replace(ended=ended)))["time"] == time
