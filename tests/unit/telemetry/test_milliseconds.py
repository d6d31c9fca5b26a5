"""Durations as people read them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from falcongate.telemetry.milliseconds import milliseconds


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0.0, "0.0"),
        (0.00004, "0.0"),
        (0.00126, "1.3"),
        (0.0999, "99.9"),
        (0.09996, "100.0"),
        (12.3456, "12345.6"),
        (-0.00126, "-1.3"),
    ],
)
def test_they_have_one_digit(seconds: float, text: str) -> None:
    assert milliseconds(seconds) == text


@given(st.floats(min_value=0, max_value=1e6))
def test_none_is_further_from_the_truth_than_that_digit(seconds: float) -> None:
    assert float(milliseconds(seconds)) == pytest.approx(seconds * 1_000, abs=0.050_001)
