"""What services are told of a token's claims."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from falcongate.admission.told_claims import told_lines

HEADERS = {"X-User-ID": "sub", "X-Roles": "roles"}


@pytest.mark.parametrize(
    ("value", "told"),
    [
        ("jane", "jane"),
        ("Jane Doe <j@x.test>", "Jane Doe <j@x.test>"),
        ("a\r\nX-Evil: 1", "a%0D%0AX-Evil: 1"),
        ("Zo\xeb", "Zo%C3%AB"),
        ("100%", "100%25"),
        ("a,b", "a,b"),
        (" a ", "%20a%20"),
        ("  ", "%20%20"),
        ("\t\0\x7f", "%09%00%7F"),
        ("", ""),
        (7, "7"),
        (1.5, "1.5"),
        (True, "true"),
        (["a", "b,c", 1, None, {}], "a,b%2Cc,1"),
        ([], ""),
    ],
)
def test_a_claim_is_told_so_that_it_stays_one_value(value: object, told: str) -> None:
    assert told_lines(HEADERS, {"sub": value}) == f"X-User-ID: {told}\r\n".encode()


@pytest.mark.parametrize("value", [None, {}, {"a": 1}])
def test_what_is_no_value_is_not_told(value: object) -> None:
    assert told_lines(HEADERS, {"sub": value}) == b""


def test_each_header_has_its_line() -> None:
    lines = told_lines(HEADERS, {"sub": "jane", "roles": ["a", "b"], "email": "x"})

    assert lines == b"X-User-ID: jane\r\nX-Roles: a,b\r\n"


@given(
    st.one_of(
        st.text(st.characters(exclude_categories=["Cs"])),
        st.lists(st.text(st.characters(exclude_categories=["Cs"]))),
    )
)
def test_no_text_makes_more_than_one_line(value: object) -> None:
    lines = told_lines(HEADERS, {"sub": value})

    assert lines.count(b"\n") == lines.count(b"\r") == 1
    assert all(0x20 <= byte < 0x7F for byte in lines[:-2])
