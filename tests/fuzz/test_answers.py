"""The answer of a service: where it ends is where h11 finds its end, or it is refused."""

from __future__ import annotations

from typing import cast

import h11
from hypothesis import given

from falcongate.upstream.answer import AnswerHead, ServiceNonsense, parse_answer
from falcongate.wire.body import Body, BodyCutShort
from falcongate.wire.channel import Channel
from tests.fuzz.channels import FakeChannel
from tests.fuzz.choices import BLOBS, Choices, pieces_of
from tests.fuzz.conftest import KeepTrying
from tests.fuzz.streams import answer_stream
from tests.fuzz.test_requests import spared_for_h11

Answer = tuple[int, bytes, bytes]
"""Status, body, and what is behind it."""


def _by_the_gateway(raw: bytes, sizes: list[int], method: str) -> tuple[Answer | None, int]:
    """What we take it for, and where its body begins."""
    rest = raw
    while True:
        head, end, rest = rest.partition(b"\r\n\r\n")
        if not end:
            return None, 0
        try:
            answer = parse_answer(head + end)
        except ServiceNonsense:
            return None, 0
        if not 100 <= answer.status < 200:
            return _with_body(answer, rest, sizes, method), len(raw) - len(rest)
        if answer.status == 101 or answer.is_chunked or answer.length is not None:
            return None, 0  # a change of protocol is a matter of its own


def _with_body(answer: AnswerHead, rest: bytes, sizes: list[int], method: str) -> Answer | None:
    is_bodiless = method == "HEAD" or answer.status in (204, 304)
    channel = FakeChannel(pieces_of(rest, sizes))
    body = Body(
        cast("Channel", channel),
        length=0 if is_bodiless else answer.length,
        is_chunked=answer.is_chunked and not is_bodiless,
    )
    content = b""
    try:
        while not body.is_complete:
            content += body.receive_now() or b""
    except BodyCutShort:
        return None
    return answer.status, content, channel.unread


def _by_h11(raw: bytes, method: str) -> Answer | None:
    connection = h11.Connection(h11.CLIENT, max_incomplete_event_size=1 << 20)
    connection.send(h11.Request(method=method, target="/", headers=[("Host", "a")]))
    connection.send(h11.EndOfMessage())
    status, body = 0, b""
    try:
        for data in (raw, b""):
            connection.receive_data(data)
            while (event := connection.next_event()) is not h11.NEED_DATA:
                if isinstance(event, h11.Response):
                    status = event.status_code
                elif isinstance(event, h11.Data):
                    body += bytes(event.data)
                elif isinstance(event, h11.EndOfMessage):
                    return status, body, connection.trailing_data[0]
                elif not isinstance(event, h11.InformationalResponse):
                    return None
    except h11.RemoteProtocolError:
        return None
    return None


def test_an_answer_ends_where_others_find_its_end(keep_trying: KeepTrying) -> None:
    @given(BLOBS)
    def target(blob: bytes) -> None:
        choices = Choices(blob)
        method, sizes = choices.of(["GET", "HEAD"]), choices.sizes(1_000)
        raw = answer_stream(choices)
        ours, body_at = _by_the_gateway(raw, sizes, method)
        assert (ours, body_at) == _by_the_gateway(raw, [], method), "it depends on the pieces"
        if ours is None:
            return
        theirs = _by_h11(raw, method)
        if theirs is None:
            theirs = _by_h11(spared_for_h11(raw, body_at), method)
            assert theirs is not None, f"h11 refuses {raw!r}, we read {ours}"
        # What was changed for h11 may stand in a body; its length is the same.
        assert (theirs[0], len(theirs[1]), len(theirs[2])) == (ours[0], len(ours[1]), len(ours[2]))

    keep_trying(target)
