"""What an owner of certificates is told of them."""

from __future__ import annotations

import datetime as dt
from pathlib import Path

import pytest

from falcongate.wire.certificates import seconds_until, warning_of_end
from tests.support.certificates import DAY, NOW, Authority


@pytest.mark.parametrize(
    ("dates", "told"),
    [
        ((NOW - DAY, NOW + 15 * DAY), None),
        ((NOW - DAY, NOW + 13.5 * DAY), "expires in 13 days, on "),
        ((NOW - DAY, NOW + 1.5 * DAY), "expires in 1 day, on "),
        ((NOW - 2 * DAY, NOW - DAY), "has expired, on "),
        ((NOW + DAY, NOW + 90 * DAY), "is not valid before "),
    ],
)
def test_its_dates(tmp_path: Path, dates: tuple[dt.datetime, dt.datetime], told: str | None) -> None:
    path = Authority("ca", tmp_path).issue("gateway.test", since=dates[0], until=dates[1])
    warning = warning_of_end(str(path))
    assert told in warning if told else not warning


def test_what_cannot_be_read_is_somebody_elses_to_tell(tmp_path: Path) -> None:
    assert not warning_of_end(str(tmp_path / "none"))
    assert not warning_of_end(__file__)


def test_how_long_it_is_to_a_date() -> None:
    tomorrow = NOW + DAY
    assert 0 <= DAY.total_seconds() - seconds_until(f"{tomorrow:%b %d %H:%M:%S %Y} GMT") < 3_600
    assert seconds_until("Jan  1 00:00:00 2020 GMT") < 0
