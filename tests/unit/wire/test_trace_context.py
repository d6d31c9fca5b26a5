"""Trace contexts: what counts, what is nothing, and what is sent on (W3C Trace Context)."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from falcongate.wire.trace_context import parse_traceparent, sound_tracestate

TRACE, SPAN = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
SOUND = f"00-{TRACE}-{SPAN}-01"
KEYS = st.from_regex(r"[a-z0-9][a-z0-9_*/@-]{0,20}", fullmatch=True)
VALUES = st.text("abc XYZ!~\"'<>;:@/", min_size=1, max_size=160).map(lambda text: text.strip() or "x")
MEMBERS = st.builds("{}={}".format, KEYS, VALUES)


@pytest.mark.parametrize(
    ("text", "flags"),
    [
        (SOUND, "01"),
        (f"00-{TRACE}-{SPAN}-00", "00"),
        (f"00-{TRACE}-{SPAN}-03", "03"),
        (f"00-{TRACE}-{SPAN}-fe", "02"),
        (f"00-{TRACE}-{SPAN}-ff", "03"),
        (f"01-{TRACE}-{SPAN}-01", "01"),
        (f"cc-{TRACE}-{SPAN}-01-what-the-future-will-be-like", "01"),
        (f"fe-{TRACE}-{SPAN}-09-", "01"),
    ],
)
def test_ids_and_known_flags_are_read(text: str, flags: str) -> None:
    assert parse_traceparent(text) == (TRACE, SPAN, flags)


@pytest.mark.parametrize(
    "text",
    [
        "",
        f"ff-{TRACE}-{SPAN}-01",
        f"ff-{TRACE}-{SPAN}-01-x",
        f"00-{'0' * 32}-{SPAN}-01",
        f"00-{TRACE}-{'0' * 16}-01",
        f"00-{TRACE.upper()}-{SPAN}-01",
        f"00-{TRACE}-{SPAN.upper()}-01",
        f"00-{TRACE}-{SPAN}-0A",
        f"0A-{TRACE}-{SPAN}-01",
        f"00-{TRACE}-{SPAN}-1",
        f"00-{TRACE}-{SPAN}-001",
        f"00-{TRACE}-{SPAN}-01-",
        f"00-{TRACE}-{SPAN}-01-what",
        f"01-{TRACE}-{SPAN}-01what",
        f"01-{TRACE}-{SPAN}-01.x",
        f"00-{TRACE}-{SPAN}",
        f"00-{TRACE[:-1]}-{SPAN}-01",
        f"00-{TRACE}a-{SPAN}-01",
        f"0-{TRACE}-{SPAN}-01",
        f"000-{TRACE}-{SPAN}-01",
        f"00_{TRACE}_{SPAN}_01",
        f" {SOUND}",
        f"{SOUND}\n",
        f"{SOUND},{SOUND}",
        f"{SOUND}, ",
        SOUND.replace("a", "\u0661"),
    ],
)
def test_what_is_malformed_is_nothing(text: str) -> None:
    assert parse_traceparent(text) is None


@given(st.text("0123456789abcdefABCDEF-, ", max_size=70) | st.text(max_size=70))
def test_nothing_but_hexadecimal_of_the_right_length_ever_comes_out(text: str) -> None:
    parent = parse_traceparent(text)
    if parent is not None:
        assert re.fullmatch(r"[0-9a-f]{32} [0-9a-f]{16} 0[0-3]", " ".join(parent))
        assert text[3:35] == parent[0]


@pytest.mark.parametrize(
    ("text", "sent"),
    [
        ("congo=t61rcWkgMzE,rojo=00f067aa0ba902b7", "congo=t61rcWkgMzE,rojo=00f067aa0ba902b7"),
        (" a=1\t,\t b=2 ", "a=1,b=2"),
        ("a=1,,b=2,", "a=1,b=2"),
        ("", ""),
        (" , ", ""),
        ("a=1,b=2,a=3", "a=1,b=2"),
        ("fw529a3039@dt=FfK/EA+,0=x", "fw529a3039@dt=FfK/EA+,0=x"),
        ("a= x", "a= x"),
    ],
)
def test_members_are_sent_on_in_their_order(text: str, sent: str) -> None:
    assert sound_tracestate(text) == sent


@pytest.mark.parametrize(
    "text",
    [
        "a", "=1", "a=", "A=1", "_a=1", "a =1", "a=1=2\x7f", "a=\u00e9", "a=1;b\n=2", "a=b\r\nX-Evil: 1",
        f"{'k' * 257}=1", f"a={'v' * 257}", "good=1,bad", ",".join(f"k{at}=1" for at in range(33)),
    ],
)  # fmt: skip
def test_one_malformed_member_or_too_many_void_them_all(text: str) -> None:
    assert sound_tracestate(text) == ""


def test_thirty_two_members_and_the_longest_are_kept() -> None:
    many = ",".join(f"k{at}=1" for at in range(32))
    longest = f"{'k' * 256}={'v' * 255}"
    assert sound_tracestate(many) == many
    assert sound_tracestate(longest) == longest


def test_too_much_loses_long_members_first_and_then_those_on_the_right() -> None:
    short = [f"k{at}={'v' * 57}" for at in range(10)]
    long = f"long={'v' * 130}"
    assert sound_tracestate(",".join([long, *short[:3]])) == ",".join([long, *short[:3]])
    assert sound_tracestate(",".join([long, *short])) == ",".join(short[:8])


@given(st.lists(MEMBERS, max_size=40).map(",".join) | st.text(max_size=60))
def test_what_is_sent_on_is_sound_short_and_the_callers_own(text: str) -> None:
    sent = sound_tracestate(text)
    assert sound_tracestate(sent) == sent
    assert len(sent) <= 512
    assert sent.isascii()
    assert sent.isprintable()
    members = sent.split(",") if sent else []
    keys = [member.partition("=")[0] for member in members]
    assert len(keys) == len(set(keys)) <= 32
    assert {member.strip(" \t") for member in text.split(",")} >= set(members)
