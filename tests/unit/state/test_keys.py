"""Names in the store."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from falcongate.state.keys import breaker_keys, limit_key, plain
from falcongate.state.store import Charge, Window


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("203.0.113.7", "203.0.113.7"),
        ("2001:db8::/64", "2001:db8::/64"),
        ("jane@example.com", "jane@example.com"),
        ("a b{c}", "a%20b%7Bc%7D"),
        ("~", "%7E"),
        ("%41", "%2541"),
        ("", "~e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"),
    ],
)
def test_a_name_stays_readable_where_it_can(name: str, expected: str) -> None:
    assert plain(name) == expected


@given(name=st.text(alphabet=st.characters()))
def test_a_plain_name_is_short_and_without_braces_and_spaces(name: str) -> None:
    told = plain(name)

    assert 0 < len(told) <= 128
    assert told.isascii()
    assert not set(told) & set("{} \r\n\0")


@given(names=st.sets(st.text(max_size=300), min_size=2, max_size=2))
def test_different_names_stay_different(names: set[str]) -> None:
    assert len({plain(name) for name in names}) == 2


def test_a_window_of_another_shape_lies_elsewhere() -> None:
    shapes = [(60, 10), (60, 20), (6, 10), (0.5, 10), (2_678_400, 10), (2_678_399, 10)]
    keys = {limit_key(Charge(Window("p", 1, length_s, buckets), "a")) for length_s, buckets in shapes}

    assert len(keys) == 6


def test_the_keys_of_a_breaker_lie_together() -> None:
    assert breaker_keys("hr@a:1") == (
        "falcongate:1:breaker:{hr@a:1}",
        "falcongate:1:breaker:{hr@a:1}:window",
        "falcongate:1:breaker:{hr@a:1}:probes",
        "falcongate:1:breaker:{hr@a:1}:history",
    )
