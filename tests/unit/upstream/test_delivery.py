"""What the gateway tells of itself is posted: every answer is one, and every wait ends."""

from __future__ import annotations

from pathlib import Path

import pytest

from falcongate.telemetry.span_queue import Answer
from falcongate.upstream.delivery import Delivery
from tests.support.certificates import Authority
from tests.support.tls_upstream import TlsUpstream
from tests.support.upstreams import (
    Conversation,
    Handler,
    ScriptedUpstream,
    answering,
    refusing_port,
)


def posted(handler: Handler, *, body: bytes = b"spans", times: int = 1) -> tuple[Answer, ScriptedUpstream]:
    """The last answer to what was posted so often on one delivery, and who gave it."""
    upstream = ScriptedUpstream().serve(handler)
    made = Delivery(f"{upstream.url}/v1/traces", headers={"X-Key": "k"}, ca_file=None)
    answers = [made.post(body) for _ in range(times)]
    upstream.stop()
    return answers[-1], upstream


def said(head: bytes, body: bytes = b"") -> bytes:
    """An answer of a length."""
    return b"HTTP/1.1 %b\r\nContent-Length: %d\r\n\r\n%b" % (head, len(body), body)


def test_it_is_posted_with_its_headers_and_the_answer_is_read() -> None:
    seen: list[bytes] = []

    def handler(conversation: Conversation) -> None:
        _, body = conversation.read_request()
        seen.append(body.content)
        conversation.send(said(b"200 OK", b"partly"))

    answer, upstream = posted(handler)
    assert answer == Answer(200, b"partly")
    (head,) = upstream.heads
    assert head.start == "POST /v1/traces HTTP/1.1"
    assert (head.get("X-Key"), head.get("Content-Type")) == ("k", "application/x-protobuf")
    assert seen == [b"spans"]


def test_a_connection_is_kept() -> None:
    _, upstream = posted(answering(said(b"200 OK")), times=3)
    assert len(upstream.conversations) == 1


@pytest.mark.parametrize(
    ("line", "seconds"),
    [
        (b"Retry-After: 7", 7.0),
        (b"Retry-After: 99999999999999999999", 1e20),
        (b"Retry-After: Fri, 31 Dec 1999 23:59:59 GMT", 0.0),
        (b"Retry-After: -1", 0.0),
        (b"Retry-After: \xb2", 0.0),
        (b"X: y", 0.0),
    ],
)
def test_how_long_to_wait_is_read_where_it_is_a_number(line: bytes, seconds: float) -> None:
    answer, _ = posted(answering(said(b"503 No\r\n" + line)))
    assert (answer.status, answer.retry_after_s) == (503, seconds)


def test_a_redirect_is_not_followed() -> None:
    elsewhere = ScriptedUpstream().serve(answering(said(b"200 OK")))
    answer, _ = posted(answering(said(b"307 There\r\nLocation: %b" % elsewhere.url.encode())))
    assert answer.status == 307
    assert not elsewhere.conversations
    elsewhere.stop()


def test_an_answer_that_is_too_long_is_not_read_to_its_end() -> None:
    answer, upstream = posted(answering(said(b"200 OK", b"x" * 1_000_000)), times=2)
    assert len(answer.body) <= 65_537
    assert len(upstream.conversations) == 2


@pytest.mark.parametrize("raw", [b"", b"SSH-2.0\r\n", b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf"])
def test_what_is_no_whole_answer_is_none(raw: bytes) -> None:
    def handler(conversation: Conversation) -> None:
        conversation.read_request()
        conversation.send(raw)

    answer, _ = posted(handler)
    assert answer.status == 0
    assert answer.why


def test_only_a_receiver_whose_certificate_is_trusted_is_told_anything(tmp_path: Path) -> None:
    authority = Authority("ours", tmp_path)
    receiver = TlsUpstream(authority.issue("localhost"))
    url = f"https://localhost:{receiver.port}/v1/traces"
    refused = Delivery(url, headers={"X-Key": "k"}, ca_file=None).post(b"")
    assert refused.status == 0
    assert "CERTIFICATE_VERIFY_FAILED" in refused.why
    assert receiver.received == b""
    assert Delivery(url, headers={"X-Key": "k"}, ca_file=str(authority.file)).post(b"").status == 200
    receiver.stop()


def test_where_nobody_listens_nothing_is_raised() -> None:
    with refusing_port() as port:
        answer = Delivery(f"http://127.0.0.1:{port}", headers={}, ca_file=None).post(b"")
    assert answer.status == 0
    assert "refused" in answer.why
