"""What commands write for a terminal: aligned, and obeyed by nobody."""

import pytest

from falcongate.commands.terminal import aligned, shown


@pytest.mark.parametrize(
    ("text", "as_shown"),
    [
        ("plain", "plain"),
        ("Jürgen 東京", "Jürgen 東京"),
        ("\x1b]0;title\x07", r"\x1b]0;title\x07"),
        ("a\r\nb\t", r"a\r\nb\t"),
        ("\u202edcba", r"\u202edcba"),
        ("\udcff", r"\udcff"),
    ],
)
def test_letters_stay_and_what_a_terminal_obeys_is_spelled(text: str, as_shown: str) -> None:
    assert shown(text) == as_shown


def test_columns_are_as_wide_as_what_is_shown() -> None:
    assert aligned([("a\x1bb", "x"), ("long", "y")]) == "a\\x1bb  x\nlong    y"
