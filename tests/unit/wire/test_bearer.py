"""What stands behind Bearer."""

import pytest

from falcongate.wire.bearer import bearer_in


@pytest.mark.parametrize(
    ("field", "credential"),
    [
        ("Bearer abc", "abc"),
        ("bEARER  abc ", "abc"),
        ("Bearer ", ""),
        ("Bearer a b", "a b"),
        ("Bearer", None),
        ("Bearerabc", None),
        ("Basic abc", None),
        ("", None),
    ],
)
def test_only_that_scheme_counts_however_it_is_spelt(field: str, credential: str | None) -> None:
    assert bearer_in(field) == credential
