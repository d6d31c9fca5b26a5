"""How API keys look."""

from __future__ import annotations

import hashlib

import pytest

from falcongate.wire.api_key import is_key_id, key_in_bearer, make_key, parse_key

KEY = "fg_0123456789ab_" + "Az09" * 10 + "xyz"


def test_a_key_is_an_id_and_a_secret_of_which_the_digest_is_kept() -> None:
    parsed = parse_key(KEY)

    assert parsed is not None
    assert parsed == ("0123456789ab", hashlib.sha256(KEY[16:].encode()).digest())


@pytest.mark.parametrize(
    "text",
    [
        "", "fg_", KEY[:-1], KEY + "A", KEY + "\n", " " + KEY, KEY.upper(), "FG" + KEY[2:], f"{KEY},{KEY}",
        KEY.replace("0123456789ab", "0123456789AB"), KEY.replace("0123456789ab", "0123456789ag"),
        KEY.replace("_", "-"), KEY[:-1] + "_", KEY[:-1] + "é", KEY[:-1] + "\N{ARABIC-INDIC DIGIT ONE}",
        "fg_0123456789ab" + KEY[16:] + "A",
    ],
)  # fmt: skip
def test_what_does_not_look_like_a_key_is_none(text: str) -> None:
    assert parse_key(text) is None


def test_new_keys_are_keys_and_all_different() -> None:
    made = {make_key() for _ in range(200)}
    parsed = [parse_key(text) for text in made]

    assert len(made) == 200
    assert None not in parsed
    assert len({key.id for key in parsed if key}) == 200


def test_a_secret_can_be_made_for_an_id_that_there_is() -> None:
    first, second = (make_key("0123456789ab") for _ in range(2))

    assert first != second
    assert first.startswith("fg_0123456789ab_")
    assert parse_key(first) is not None


def test_every_secret_has_the_full_length_whatever_number_was_drawn(monkeypatch: pytest.MonkeyPatch) -> None:
    for drawn in (bytes(32), b"\xff" * 32):
        monkeypatch.setattr("secrets.token_bytes", lambda _, drawn=drawn: drawn)
        assert parse_key(make_key("0123456789ab")) is not None


@pytest.mark.parametrize(
    ("text", "is_one"), [("0123456789ab", True), ("0123456789a", False), (KEY, False), ("", False)]
)
def test_ids_are_known_by_their_form(text: str, *, is_one: bool) -> None:
    assert is_key_id(text) is is_one


@pytest.mark.parametrize(
    ("authorization", "key"),
    [
        (f"Bearer {KEY}", KEY), (f"bearer  {KEY} ", KEY), ("Bearer fg_whatever", "fg_whatever"),
        (f"Basic {KEY}", ""), (KEY, ""), ("Bearer eyJh.b.c", ""), ("Bearer", ""), ("", ""),
    ],
)  # fmt: skip
def test_a_bearer_is_ours_by_how_it_begins(authorization: str, key: str) -> None:
    assert key_in_bearer(authorization) == key
