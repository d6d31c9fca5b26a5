"""WebSocket frames on their way: all bytes, in order, and ours only between two of theirs."""

from __future__ import annotations

from dataclasses import dataclass

from hypothesis import given
from websockets.frames import Frame, Opcode
from wsproto.frame_protocol import FrameProtocol

from falcongate.wire.websocket import FrameFollower, close_frame
from tests.fuzz.choices import BLOBS, Choices, pieces_of
from tests.fuzz.conftest import KeepTrying
from tests.fuzz.tunnels import LoneFlow

MARK = b"\x89\x06<MARK>"
"""A Ping of ours, with a payload that nobody else has."""

SIZES = [0, 1, 2, 5, 125, 126, 127, 300, 65_535, 65_536]
LAST = close_frame(1012, "<LAST>", is_masked=False)


@dataclass(frozen=True)
class Walk:
    """The frames in some bytes, by RFC 6455, 5.2 and nothing else: where each begins, and what it is."""

    begins: list[int]
    firsts: list[int]
    lengths: list[int]
    end: int
    """Where the last one ends, if it is whole, or would end."""


def _walk(raw: bytes) -> Walk:
    begins: list[int] = []
    firsts, lengths, at = [], [], 0
    while at + 2 <= len(raw):
        length, header = raw[at + 1] & 127, 2
        if length > 125:
            size = 2 if length == 126 else 8
            length = int.from_bytes(raw[at + 2 : at + 2 + size])
            header += size
        header += 4 if raw[at + 1] & 128 else 0
        if at + header > len(raw):
            break
        begins.append(at)
        firsts.append(raw[at])
        lengths.append(length)
        at += header + length
    return Walk(begins, firsts, lengths, at)


def _valid_frames(choices: Choices) -> list[Frame]:
    """Messages, some of them in fragments with Pings between; now and then a Close at the end."""
    frames = []
    for _ in range(choices.below(5)):
        opcode = choices.of([Opcode.BINARY, Opcode.TEXT])
        for left in range(choices.below(3), -1, -1):
            frames.append(Frame(opcode, b"x" * choices.of(SIZES), fin=not left))
            opcode = Opcode.CONT
            if choices.below(4) == 1:
                frames.append(Frame(choices.of([Opcode.PING, Opcode.PONG]), b"y" * choices.below(126)))
    if choices.below(3) == 1:
        frames.append(Frame(Opcode.CLOSE, choices.of([b"", b"\x03\xe8", b"\x03\xf4bye", b"\x0f\xa7"])))
    return frames


def _raw(choices: Choices, frames: list[Frame]) -> bytes:
    is_masked = bool(choices.below(2))
    return b"".join(frame.serialize(mask=is_masked) for frame in frames)


def _any_bytes(choices: Choices) -> bytes:
    raw = _raw(choices, _valid_frames(choices))
    for _ in range(choices.below(4)):
        at = choices.below(65_536) % (len(raw) + 1)
        raw = raw[:at] + choices.raw(choices.below(4)) + raw[at + choices.below(4) :]
    return raw


def _followed(pieces: list[bytes], follower: FrameFollower) -> tuple[bytes, bytes]:
    """What is passed on of these pieces, and what is held back at the end."""
    passed = held = b""
    for piece in pieces:
        data = held + piece
        count = follower.follow(data)
        passed, held = passed + data[:count], data[count:]
        if follower.is_too_long:
            break
        assert len(held) < 16, "more is held back than a header"
    return passed, held


def test_a_follower_finds_every_frame(keep_trying: KeepTrying) -> None:
    @given(BLOBS)
    def target(blob: bytes) -> None:
        choices = Choices(blob)
        sizes = choices.sizes(600)
        raw = _any_bytes(choices)
        follower, walk = FrameFollower(), _walk(raw)
        passed, held = _followed(pieces_of(raw, sizes), follower)
        assert passed + held == raw
        # A Close frame is known with its code, so its header alone is held back.
        known = [begin for begin in walk.begins if begin < len(passed)]
        assert follower.frames == len(known)
        assert follower.messages == sum(first > 127 and first & 15 < 8 for first in walk.firsts[: len(known)])
        assert (follower.left == 0) == (len(passed) in (0, *walk.begins, walk.end))

    keep_trying(target)


def test_others_count_the_same_messages(keep_trying: KeepTrying) -> None:
    @given(BLOBS)
    def target(blob: bytes) -> None:
        choices = Choices(blob)
        sizes = choices.sizes(600)
        frames = _valid_frames(choices)
        is_masked = bool(choices.below(2))
        raw = b"".join(frame.serialize(mask=is_masked) for frame in frames)
        follower = FrameFollower()
        assert _followed(pieces_of(raw, sizes), follower) == (raw, b"")
        reader = FrameProtocol(client=not is_masked, extensions=[])
        reader.receive_bytes(raw)
        seen = [frame for frame in reader.received_frames() if frame.frame_finished]
        assert follower.frames == len(seen) == len(frames)
        assert follower.messages == sum(frame.message_finished and frame.opcode < 8 for frame in seen)
        closes = [frame.payload[0] for frame in seen if frame.opcode == 8]
        assert follower.close_code == (int(closes[0]) if closes else 0)
        assert follower.left == 0

    keep_trying(target)


def _without_marks(sent: bytes, walk: Walk) -> bytes:
    """What a sink got, less our frames; each of them must stand between two others."""
    plain = b""
    while MARK in sent:
        before, _, sent = sent.partition(MARK)
        plain += before
        assert len(plain) in (0, *walk.begins, walk.end), "ours is inside a frame of theirs"
    return plain + sent


def test_a_frame_of_ours_is_never_inside_one_of_theirs(keep_trying: KeepTrying) -> None:
    @given(BLOBS)
    def target(blob: bytes) -> None:
        choices = Choices(blob)
        sizes, room = choices.sizes(600), [choices.below(200) for _ in range(choices.below(12))]
        ends_after = choices.below(2) * (choices.below(40) + 1)
        raw = _any_bytes(choices)
        lone, walk, turn = LoneFlow(pieces_of(raw, sizes), room), _walk(raw), 0
        while not lone.is_done:
            lone.go_on()
            turn += 1
            assert turn < 4 * len(raw) + 1_000, "it goes round in circles"
            if choices.below(3) == 1:
                lone.flow.put(MARK)
            if turn == ends_after:
                lone.flow.end_with(LAST)
        sent = lone.sink.got
        if LAST in sent:
            sent, _, behind = sent.partition(LAST)
            assert not behind, "something follows our last frame"
            plain = _without_marks(sent, walk)
            assert len(plain) in (0, *walk.begins, walk.end)
            assert raw.startswith(plain)
        else:
            assert _without_marks(sent, walk) == raw
            assert lone.sink.has_ended

    keep_trying(target)


def test_a_close_frame_is_found_behind_what_is_dropped(keep_trying: KeepTrying) -> None:
    """What comes after our last frame, or when nobody can be sent anything, is dropped, but followed."""

    @given(BLOBS)
    def target(blob: bytes) -> None:
        choices = Choices(blob)
        frames = [frame for frame in _valid_frames(choices) if frame.opcode is not Opcode.CLOSE]
        raw = _raw(choices, [*frames, Frame(Opcode.CLOSE, b"\x0f\xa7")])
        lone = LoneFlow(pieces_of(raw, choices.sizes(600)), [])
        ends_at, is_lost, turn = choices.below(12), choices.below(2), 0
        while not lone.is_done:
            if turn == ends_at and is_lost:
                lone.sink.is_gone = True
            elif turn == ends_at:
                lone.flow.end_with(LAST)
            lone.go_on()
            turn += 1
            assert turn < 4 * len(raw) + 1_000, "it goes round in circles"
        assert lone.flow.close_code == 4_007

    keep_trying(target)


def test_a_message_that_is_too_long_never_begins(keep_trying: KeepTrying) -> None:
    @given(BLOBS)
    def target(blob: bytes) -> None:
        choices = Choices(blob)
        limit = choices.of([1, 5, 126, 400])
        sizes = choices.sizes(600)
        raw = _any_bytes(choices)
        follower, walk = FrameFollower(limit), _walk(raw)
        passed, _ = _followed(pieces_of(raw, sizes), follower)
        length = 0
        for begin, first, size in zip(walk.begins, walk.firsts, walk.lengths, strict=True):
            if first & 15 < 8:
                length += size
                if length > limit:
                    assert follower.is_too_long
                    assert len(passed) == begin
                    return
                if first & 128:
                    length = 0
        assert not follower.is_too_long

    keep_trying(target)
