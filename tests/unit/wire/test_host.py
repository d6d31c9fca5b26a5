"""A host and port, and nothing that could be taken for something else."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from falcongate.wire.host import is_host


@pytest.mark.parametrize(
    "text",
    [
        "a", "api.example.com", "API-1.example_x.com.", "192.0.2.1", "[2001:db8::1]", "[::ffff:10.0.0.1]",
        "a:0", "a:80", "a:65535", "[::1]:65535", "a" * 255,
    ],
)  # fmt: skip
def test_a_name_or_an_address_with_or_without_a_port_is_a_host(text: str) -> None:
    assert is_host(text)


@pytest.mark.parametrize(
    "text",
    [
        "", ":80", "a:", "a:65536", "a:99999", "a:000080", "a:+80", "a:8_0", "a:80:81", "a:\u0668\u0660",
        "user@a", "a/b", "a?b", "a#b", "a b", "a,b", "a;b", 'a"b', "a\\b", "a\n", "a\r\nX: b", "a\0",
        "\u00e9.test", "a%2e", "2001:db8::1", "[::1", "::1]", "[a.test]", "[::1]x", "[]", "[::1%eth0]", "<a>",
        "a" * 256,
    ],
)  # fmt: skip
def test_whatever_others_could_read_more_into_is_none(text: str) -> None:
    assert not is_host(text)


@given(st.text("aZ0.-_:[]@/,;\"' \n", max_size=12))
def test_a_host_stays_one_value_in_every_field_that_names_it(text: str) -> None:
    if is_host(text):
        assert not set(text) & set("@/,;\"' \n")
        assert text.count(":") <= 1 or text.startswith("[")
