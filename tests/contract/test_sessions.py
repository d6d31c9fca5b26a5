"""What every store promises of sessions that one target of a service keeps."""

from __future__ import annotations

from falcongate.state.sessions import Session
from tests.contract.stores import Opened

SESSION = Session("http://10.0.0.1:3000", 90)


def test_what_was_noted_is_found_until_it_is_forgotten(opened: Opened) -> None:
    assert opened.state.find_session("chat", "a") is None

    opened.state.note_session("chat", "a", SESSION)

    assert opened.state.find_session("chat", "a") == SESSION
    assert opened.state.find_session("chat", "b") is None
    assert opened.state.find_session("news", "a") is None

    opened.state.forget_session("chat", "a")
    opened.state.forget_session("chat", "a")

    assert opened.state.find_session("chat", "a") is None


def test_a_session_noted_anew_is_where_it_was_noted_last(opened: Opened) -> None:
    opened.state.note_session("chat", "a", SESSION)
    opened.state.note_session("chat", "a", Session("http://10.0.0.2:3000", 60))

    assert opened.state.find_session("chat", "a") == ("http://10.0.0.2:3000", 60)


def test_ids_are_what_callers_make_of_them(opened: Opened) -> None:
    for sid in ("", "}{", "a b", "\xe9\n", "x" * 5_000, "a:b"):
        assert opened.state.find_session("chat", sid) is None
        opened.state.note_session("chat", sid, SESSION)
        assert opened.state.find_session("chat", sid) == SESSION
