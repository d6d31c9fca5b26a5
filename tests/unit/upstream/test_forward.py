"""When a request is sent again: never so that anything could happen twice."""

from __future__ import annotations

from itertools import product
from typing import cast

import pytest

from falcongate.errors import BROKE_OFF, AttemptFailure, Stage
from falcongate.telemetry.record import Tried
from falcongate.upstream.forward import _may_repeat
from falcongate.upstream.upload import NoUpload, Upload
from tests.unit.making import make_exchange, make_route

METHODS = ("GET", "HEAD", "OPTIONS", "PUT", "DELETE", "POST", "PATCH", "REPORT")
TOTAL_TIMEOUT_S = 60


class SpentUpload:
    """A body whose bytes are gone."""

    is_replayable = False


def is_repeated(
    method: str = "GET",
    *,
    may_have_acted: bool = False,
    is_stale: bool = False,
    is_spent: bool = False,
    attempts: int = 1,
    retries: int = 1,
    age_s: float = 0,
) -> bool:
    """Whether such a request is sent again after such a failure."""
    exchange = make_exchange(method=method)
    exchange.tried = [Tried("http://target") for _ in range(attempts)]
    exchange.started -= age_s
    return _may_repeat(
        AttemptFailure(BROKE_OFF, stage=Stage.AWAIT_HEAD, may_have_acted=may_have_acted, is_stale=is_stale),
        exchange,
        cast("Upload", SpentUpload()) if is_spent else NoUpload(),
        make_route(retries=retries, total_timeout_s=TOTAL_TIMEOUT_S).settings,
    )


@pytest.mark.parametrize("method", METHODS)
def test_what_the_service_has_not_seen_is_repeated_whatever_it_is(method: str) -> None:
    assert is_repeated(method)
    assert is_repeated(method, is_stale=True)


@pytest.mark.parametrize("method", METHODS)
def test_what_may_have_acted_is_not_repeated(method: str) -> None:
    assert not is_repeated(method, may_have_acted=True)


@pytest.mark.parametrize("method", METHODS)
def test_the_death_of_a_kept_connection_is_an_accident_to_what_may_be_sent_twice(method: str) -> None:
    is_idempotent = method in ("GET", "HEAD", "OPTIONS", "PUT", "DELETE")
    assert is_repeated(method, may_have_acted=True, is_stale=True) == is_idempotent


def test_a_body_that_is_gone_cannot_be_sent_again() -> None:
    for method, may_have_acted, is_stale in product(METHODS, (False, True), (False, True)):
        assert not is_repeated(method, may_have_acted=may_have_acted, is_stale=is_stale, is_spent=True)


@pytest.mark.parametrize(
    ("attempts", "retries", "repeats"),
    [(1, 0, False), (1, 1, True), (2, 1, False), (2, 2, True), (5, 5, True)],
)
def test_it_is_tried_no_more_often_than_the_settings_say(
    attempts: int, retries: int, *, repeats: bool
) -> None:
    assert is_repeated(attempts=attempts, retries=retries) == repeats


def test_a_request_whose_time_is_over_is_not_repeated() -> None:
    assert is_repeated(age_s=TOTAL_TIMEOUT_S - 10)
    assert not is_repeated(age_s=TOTAL_TIMEOUT_S + 1)
