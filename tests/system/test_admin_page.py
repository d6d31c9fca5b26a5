"""The page for operators in a real browser, with pictures of gateways in every state."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.admin_page.pictures import HOSTILE
from tests.support.admin_page.visits import has_browser, played_gateway, visit
from tests.support.sign_in import CHROMIUM

pytestmark = [
    pytest.mark.skipif(CHROMIUM is None, reason="chromium is not installed"),
    pytest.mark.skipif(not has_browser(), reason="npm cannot install playwright-core and axe-core"),
]


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """One that is played, for all visits one after the other."""
    with played_gateway(tmp_path_factory.mktemp("played") / "gateway") as url:
        yield url


@pytest.fixture
def look(gateway: str, tmp_path: Path) -> Callable[[str], dict[str, Any]]:
    """A visit with a new browser, on which nothing went wrong unseen and nobody else was asked."""

    def seen_on(name: str) -> dict[str, Any]:
        seen = visit(tmp_path, gateway, name)
        assert (seen["faults"], seen["elsewhere"]) == ([], [])
        return seen

    return seen_on


def test_every_state_is_told_in_words_and_trouble_comes_first(look: Callable[[str], dict[str, Any]]) -> None:
    seen = look("states")
    assert seen["summary"] == "5 things are broken, 5 things need a look"
    assert seen["said"].startswith(seen["summary"])
    assert seen["troubles"] == [
        "Redis unreachable: each host counts alone",
        "open: breaker open",
        "forced_open: breaker held open",
        "gone: unreachable",
        "failing: 86 % errors",
        "half_open: breaker half-open",
        "forced_closed: breaker held closed",
        "disabled: breaker disabled",
        "parted: breaker of http://parted-1:8000 open",
        "1 host with another version or configuration",
        "4 refusals in the last minute",
    ]
    assert {name: (told["state"], told["level"]) for name, told in seen["services"].items()} == {
        "closed": ("closed", "ok"),
        "disabled": ("disabled", "warn"),
        "failing": ("closed", "bad"),
        "forced_closed": ("held closed", "warn"),
        "forced_open": ("held open", "bad"),
        "gone": ("closed", "bad"),
        "half_open": ("half-open", "warn"),
        "none": ("no breaker", "ok"),
        "open": ("open", "bad"),
        "parted": ("closed", "warn"),
        "silent": ("closed", "ok"),
    }
    assert seen["order"][:4] == ["failing", "forced_open", "gone", "open"]
    assert seen["quiet"] == ["All is well", "No limits are set.", "Nothing was refused yet."]
    assert_every_part_is_shown(seen)


def assert_every_part_is_shown(seen: dict[str, Any]) -> None:
    for words in ("by jane: because", "412 calls, 3 failed, 1 slow", "http://open-2:8000", "reachable"):
        assert words in seen["services"]["open"]["text"]
    assert "not asked yet" in seen["services"]["none"]["text"]
    assert "requests/s \N{EN DASH}" in seen["services"]["silent"]["text"]
    for words in ("api", "200/m by address", "318", "203.0.113.7 291", "44 would be", "shadow"):
        assert words in seen["limits"]
    assert "gw-3:17-77d0b2" in seen["hosts"]
    assert "differs" in seen["hosts"]
    assert seen["redis"] == "The gateway\N{RIGHT SINGLE QUOTATION MARK}s own Redis is unreachable."
    for words in ("POST /api/billing/invoices", "503 circuit-open", "0.2 ms", " s ago)", "Why?"):
        assert words in seen["refusals"]
    for words in ("by jane: database is moved", "44, 23 failed, 0 slow", "half-open"):
        assert words in seen["transitions"]
    assert seen["you"] == "You are jane"
    plots = [plot for plot in seen["plots"] if "of failing." in plot]
    assert len(plots) == 2
    assert "errors/s: last" in plots[0]
    assert "p99: last" in plots[1]


def test_nothing_keeps_anybody_from_using_it_in_light_and_dark_on_a_phone(
    look: Callable[[str], dict[str, Any]],
) -> None:
    seen = look("barriers")
    assert seen["barriers"] == []
    assert set(seen["excess"]) == {0}
    for width in (1280, 360):
        assert seen[f"light {width}"] != seen[f"dark {width}"]


def test_words_of_strangers_are_text(look: Callable[[str], dict[str, Any]]) -> None:
    seen = look("hostile")
    assert (seen["made"], seen["pwned"], seen["unseen"]) == (0, None, [])
    assert HOSTILE["script"] in seen["text"]
    assert 'You are <img src=x onerror="window.pwned = 3">jane' in seen["text"]
    assert HOSTILE["markup"] in seen["text"]
    assert "hr⟨U+202E⟩gnp.exe⟨U+2066⟩⟨U+200F⟩" in seen["text"]
    assert "one⟨U+000D⟩⟨U+000A⟩two⟨U+0000⟩three⟨U+2028⟩four" in seen["text"]
    assert HOSTILE["long"][:400] + "…" in seen["text"]


def test_an_order_is_given_with_the_keyboard_alone(look: Callable[[str], dict[str, Any]]) -> None:
    seen = look("keyboard")
    assert seen["first"] == "A Skip to what matters"
    assert seen["afterSkip"] == "glance"
    assert "billing: breaker open" in seen["stops"][0]
    assert seen["ring"] == "solid"
    assert "p99" in seen["read"]
    assert seen["asked"] == "Change the breaker of billing (open)"
    assert seen["withoutReason"][0] == 0
    assert seen["told"] == "Done: it is disabled, by jane."
    (given,) = seen["orders"]
    assert (given["order"], given["name"]) == ("disable", "billing")
    assert given["said"] == {"reason": "database is moved", "for": "90s"}
    assert given["fields"]["Content-Type"] == "application/json"
    assert given["fields"]["Sec-Fetch-Site"] == "same-origin"
    assert seen["back"] == "Change the breaker of billing…"
    assert seen["refused"] == "Nobody has let you do this. Sign in at /admin/."


def test_values_are_said_as_people_read_them(look: Callable[[str], dict[str, Any]]) -> None:
    seen = look("words")
    nothing = "\N{EN DASH}"
    assert seen["numbers"] == ["0", "0.031", "1.3", "12", "100", "1,235", nothing, nothing, nothing]
    assert seen["lengths"] == ["0 ms", "0.42 ms", "18.3 ms", "999 ms", "1.5 s", nothing]
    assert seen["spans"][:5] == ["0 s", "0 s", "59 s", "1 min", "1 min 35 s"]
    assert seen["spans"][5:] == ["10 min", "59 min", "1 h 0 min", "23 h 59 min", "1 d 1 h"]
    assert seen["ages"] == ["in 20 s", "now", "5 s ago"]
    assert seen["counts"] == ["1 call", "0 calls", "2 things are"]
    assert seen["tops"] == [1, 1, 0.03, 1, 1.5, 8, 100, 150, 1e9]
    # A picture with nothing in it, and one that is not as it should be.
    assert [trouble["key"] for trouble in seen["nothing"]] == ["redis"]
    assert seen["strange"] == ["hr: 6 % errors", "No Redis: nothing is shared"]
    assert seen["rare"] == [["warn", "hr: 100 % errors"]]
    assert seen["refusing"] == [["warn", "hr: breaker disabled"]]


def test_who_may_only_look_is_offered_no_orders(look: Callable[[str], dict[str, Any]]) -> None:
    seen = look("rights")
    assert seen["buttons"] == 0
    assert seen["you"].endswith(", who may look and not change")


def test_it_goes_on_without_a_websocket_and_says_when_it_is_lost(
    look: Callable[[str], dict[str, Any]],
) -> None:
    """WebSockets are ended and refused, then every connection, then all is as before."""
    seen = look("feeds")
    assert (seen["live"], seen["polling"], seen["neverLive"]) == ("Live", *["Polling every 2 s"] * 2)
    assert seen["lost"].startswith("Lost, last seen")
    assert "broken" in seen["summary"]
    assert seen["trouble"].startswith("The gateway does not answer. What is shown is from")
    assert seen["kept"] == 1
    assert not [trouble for trouble in seen["afterwards"] if "does not answer" in trouble]


def test_new_pictures_leave_what_somebody_is_doing_alone(look: Callable[[str], dict[str, Any]]) -> None:
    seen = look("steady")
    assert seen["isSteady"] is True
    assert seen["focus"] == "Change the breaker of service-03…"
    assert seen["scrolled"] >= 120
    assert seen["typed"] == ["half a senten", 1]


def test_services_are_sorted_when_nobody_is_among_them(look: Callable[[str], dict[str, Any]]) -> None:
    seen = look("order")
    assert seen["whileInUse"] == [["hr", "search"], "Change the breaker of search…"]
    assert seen["found"] == [["search"], "1 of 2"]


def test_why_can_be_linked_to_and_is_left_as_it_was_come_to(look: Callable[[str], dict[str, Any]]) -> None:
    seen = look("why")
    for words in ("request from-afar", "Passed over", "catalogue", "remaining", "Never heard of", "kept"):
        assert words in seen["deep"]
    assert seen["bars"] == [
        "connect 101 ms",
        "connect 0.8 ms, send 0.2 ms, wait 95.6 ms, receive 14 ms",
    ]
    assert seen["afterEscape"] == ["", "refusals-title"]
    assert seen["hash"] == "#why=0d1f6c2a9b7e43f58a6c1e0f2d3b0003"
    assert seen["isStillOpen"] == 1
    assert seen["back"][0] == seen["back"][1]
    assert seen["unknown"] == "Nothing is known of it. Look at another host."


def test_many_services_and_refusals_are_all_shown(look: Callable[[str], dict[str, Any]]) -> None:
    seen = look("many")
    assert seen["counts"] == [30, 50]
    # What only screen readers are told takes no room, not even below the end.
    assert 0 <= seen["below"] <= 40
