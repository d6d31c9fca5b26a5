"""What is told of a request: plain values, and no place for what must not be told."""

from __future__ import annotations

from typing import get_type_hints

import pytest

from falcongate.telemetry.record import Record, Tried
from tests.unit.telemetry.records import USUAL


def test_a_record_holds_plain_values_that_outlive_their_request() -> None:
    assert set(get_type_hints(Record).values()) == {
        str, int, float, tuple[str, ...], tuple[Tried, ...], tuple[tuple[str, str], ...]
    }  # fmt: skip


def test_there_is_no_place_for_what_may_be_secret() -> None:
    told = " ".join(Record._fields)
    for word in ("query", "header", "cookie", "body", "authorization", "token", "environ", "exchange"):
        assert word not in told


def test_what_was_told_stays_as_it_was() -> None:
    with pytest.raises(AttributeError):
        USUAL.status = 500  # type: ignore[misc]
