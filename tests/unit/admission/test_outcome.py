"""What the end of a request says of its service."""

from __future__ import annotations

import pytest

from falcongate.admission.outcome import outcome_of
from falcongate.errors import Stage
from falcongate.upstream.answer import AnswerHead
from tests.unit.making import make_exchange

FAILURES = frozenset((502, 503))


def head(status: int) -> AnswerHead:
    return AnswerHead(status, b"", is_http11=True)


@pytest.mark.parametrize(
    ("status", "failed_at", "outcome"),
    [
        (200, None, "SUCCESS"),
        (404, None, "SUCCESS"),
        (500, None, "SUCCESS"),
        (503, None, "FAILURE"),
        (0, Stage.CONNECT, "FAILURE"),
        (200, Stage.RELAY_BODY, "FAILURE"),
        (0, None, "IGNORED"),
    ],
)
def test_the_service_is_judged_by_what_it_did(status: int, failed_at: Stage | None, outcome: str) -> None:
    exchange = make_exchange()
    exchange.service_head = head(status) if status else None
    exchange.failed_at = failed_at
    assert outcome_of(exchange, FAILURES) == outcome


def test_who_had_no_choice_of_targets_judges_the_target() -> None:
    exchange = make_exchange()
    exchange.pinned_target = "http://10.0.0.1"
    exchange.failed_at = Stage.AWAIT_HEAD
    assert outcome_of(exchange, FAILURES, is_of_target=True) == "FAILURE"
    assert outcome_of(exchange, FAILURES) == "IGNORED"
