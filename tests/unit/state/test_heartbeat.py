"""What hosts say of themselves."""

from __future__ import annotations

import pytest

from falcongate.state.heartbeat import Saying, parse_saying


@pytest.mark.parametrize(
    ("saying", "text"),
    [
        (Saying("0.1.0", 2, "3fa9c2d1"), "falcongate 0.1.0, 2 workers, configuration 3fa9c2d1"),
        (Saying("1.0.0rc1", 1, "00000000"), "falcongate 1.0.0rc1, 1 worker, configuration 00000000"),
    ],
)
def test_what_is_said_can_be_read(saying: Saying, text: str) -> None:
    assert saying.render() == text
    assert parse_saying(text) == saying


@pytest.mark.parametrize(
    "text", ["", "falcongate 0.1.0, 2 workers", "falcongate 2, many workers", "2 workers"]
)
def test_of_a_host_that_speaks_otherwise_nothing_is_known(text: str) -> None:
    assert parse_saying(text) == Saying("", 0, "")
