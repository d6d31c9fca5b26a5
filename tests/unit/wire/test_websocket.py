"""Frames are followed by their headers, whatever pieces they come in."""

from __future__ import annotations

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from falcongate.wire.websocket import FrameFollower, accept_of, close_frame, is_key
from tests.support.websockets import frame, unmasked


def test_the_accept_of_the_standard() -> None:
    """RFC 6455, 1.3."""
    assert accept_of("dGhlIHNhbXBsZSBub25jZQ==") == b"s3pPLMBiTxaQ9kYGzzhZRbK+xOo="


@pytest.mark.parametrize(
    ("key", "is_one"),
    [("dGhlIHNhbXBsZSBub25jZQ==", True), ("", False), ("dGhlIHNhbXBsZSBub25jZQ=", False), ("x" * 24, False)],
)
def test_a_key_is_16_bytes_in_base64(key: str, *, is_one: bool) -> None:
    assert is_key(key) is is_one


def test_a_close_frame_can_be_read() -> None:
    assert close_frame(1012, "why", is_masked=False) == b"\x88\x05\x03\xf4why"
    raw = close_frame(1001, "", is_masked=True)
    assert raw[:2] == b"\x88\x82"
    assert unmasked(raw) == struct.pack("!H", 1001)


_frames = st.lists(
    st.tuples(
        st.sampled_from([0, 1, 2, 9, 10]),
        st.booleans(),
        st.booleans(),
        st.sampled_from([0, 1, 5, 125, 126, 300, 65_535, 65_536]),
    ),
    max_size=6,
)


@given(_frames, st.lists(st.integers(1, 70_000), max_size=20))
def test_pieces_do_not_matter(frames: list[tuple[int, bool, bool, int]], sizes: list[int]) -> None:
    """All bytes are passed on in their order, and messages are counted as they end."""
    raw = b"".join(
        frame(bytes(size), opcode, first=0x80 if is_last else 0, is_masked=is_masked)
        for opcode, is_last, is_masked, size in frames
    )
    follower, held, passed, at = FrameFollower(), b"", b"", 0
    for size in [*sizes, len(raw)]:
        data = held + raw[at : at + size]
        at += size
        count = follower.follow(data)
        passed, held = passed + data[:count], data[count:]
        assert len(held) < 14
    assert passed == raw
    assert not held
    assert follower.left == 0
    assert follower.messages == sum(opcode < 8 and is_last for opcode, is_last, _, _ in frames)


@pytest.mark.parametrize("is_masked", [True, False])
@pytest.mark.parametrize(
    ("payload", "code"), [(b"", 1005), (b"\x03", 1005), (b"\x03\xe8bye", 1000), (b"\x0f\xa7", 4007)]
)
def test_a_close_frame_tells_its_code(payload: bytes, code: int, *, is_masked: bool) -> None:
    raw = frame(payload, 8, is_masked=is_masked)
    follower = FrameFollower()
    assert follower.follow(raw[:1]) == 0
    assert follower.follow(raw) == len(raw)
    assert follower.close_code == code


def test_a_message_is_too_long_with_all_its_frames() -> None:
    fitting = frame(b"x" * 6, 1, first=0) + frame(b"", 9) + frame(b"y" * 4, 0)
    follower = FrameFollower(10)
    assert follower.follow(fitting * 2) == 2 * len(fitting)
    begun = frame(b"x" * 6, 1, first=0)
    assert follower.follow(begun + frame(b"y" * 5, 0)) == len(begun)
    assert follower.is_too_long


def test_with_one_frame_no_more_than_that_passes() -> None:
    follower = FrameFollower()
    raw = frame(b"abcdef", 2, is_masked=False)
    assert follower.follow(raw[:4]) == 4
    assert follower.follow(raw[4:] + raw, one_frame=True) == len(raw) - 4
    assert follower.left == 0
