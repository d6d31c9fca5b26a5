"""Whose trace a request belongs to, which are sampled, and what services are told."""

from __future__ import annotations

import os
from collections.abc import Callable

import pytest

from falcongate.telemetry.record import Tried
from falcongate.telemetry.trace import Trace, Tracer
from falcongate.wire.trace_context import parse_traceparent

TRACE, SPAN = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"


def sent(flags: str = "01") -> str:
    """A caller's traceparent."""
    return f"00-{TRACE}-{SPAN}-{flags}"


def begun(
    made: Tracer, traceparent: str | None = None, tracestate: str | None = None, *, is_trusted: bool = False
) -> Trace:
    """The trace of a request with these fields."""
    environ = {"HTTP_TRACEPARENT": traceparent, "HTTP_TRACESTATE": tracestate, "SERVER_PROTOCOL": "HTTP/1.1"}
    return made.trace_of(
        {key: value for key, value in environ.items() if value is not None}, is_trusted=is_trusted
    )


def tracer(*, ratio: float = 0.0, believes_everyone: bool = False, believes_proxies: bool = True) -> Tracer:
    """One that samples none of its own, unless it is said."""
    return Tracer(ratio=ratio, believes_everyone=believes_everyone, believes_proxies=believes_proxies)


def lines(trace: Trace) -> dict[str, str]:
    """What the service of an attempt is told."""
    text = trace.lines_for(Tried("http://hr")).decode("ascii")
    assert text.endswith("\r\n")
    return dict(line.split(": ", 1) for line in text[:-2].split("\r\n"))


@pytest.mark.parametrize("flags", ["00", "01", "02", "03"])
def test_a_believed_trace_is_continued_as_its_caller_has_decided(flags: str) -> None:
    trace = begun(tracer(ratio=1), sent(flags), "a=1 , b=2", is_trusted=True)
    assert (trace.trace_id, trace.parent_id, trace.linked) == (TRACE, SPAN, None)
    assert trace.is_sampled == (flags in ("01", "03"))
    assert trace.span_id not in (SPAN, "")
    told = lines(trace)
    assert told["tracestate"] == trace.tracestate == "a=1,b=2"
    trace_id, span_id, told_flags = parse_traceparent(told["traceparent"]) or ("", "", "")
    assert (trace_id, told_flags) == (TRACE, flags)
    assert span_id not in (SPAN, trace.span_id)


@pytest.mark.parametrize(
    ("believes_everyone", "believes_proxies", "is_trusted", "is_believed"),
    [
        (False, True, True, True),
        (False, True, False, False),
        (False, False, True, False),
        (True, False, False, True),
    ],
)
def test_who_is_believed_is_a_matter_of_settings(
    *, believes_everyone: bool, believes_proxies: bool, is_trusted: bool, is_believed: bool
) -> None:
    made = tracer(believes_everyone=believes_everyone, believes_proxies=believes_proxies)
    trace = begun(made, sent(), None, is_trusted=is_trusted)
    assert trace.is_believed == is_believed
    assert (trace.trace_id == TRACE) == is_believed


def test_a_trace_that_is_not_believed_is_linked_and_its_state_is_gone() -> None:
    trace = begun(tracer(), sent(), "a=1", is_trusted=False)
    assert trace.linked == (TRACE, SPAN, "01")
    assert (trace.parent_id, trace.tracestate, trace.is_sampled) == ("", "", False)
    assert lines(trace).keys() == {"traceparent"}


@pytest.mark.parametrize("traceparent", [None, "", "nonsense", f"{sent()},{sent()}"])
def test_without_a_parent_a_trace_begins_and_its_state_is_gone(traceparent: str | None) -> None:
    trace = begun(tracer(ratio=1), traceparent, "a=1", is_trusted=True)
    assert (trace.parent_id, trace.tracestate, trace.linked, trace.flags) == ("", "", None, "03")
    assert lines(trace).keys() == {"traceparent"}


def test_each_attempt_has_a_span_of_its_own_and_keeps_it() -> None:
    trace = begun(tracer(), None, None, is_trusted=False)
    attempts = [Tried("http://hr"), Tried("http://hr")]
    told = [trace.lines_for(tried).decode() for tried in attempts]
    assert [tried.span_id in line for tried, line in zip(attempts, told, strict=True)] == [True, True]
    assert len({trace.span_id, *(tried.span_id for tried in attempts)}) == 3


@pytest.mark.parametrize("ratio", [0, 1e-9, 0.05, 0.5, 0.999, 1])
def test_so_many_of_our_own_are_sampled(ratio: float) -> None:
    made = tracer(ratio=ratio)
    count = 4_000
    sampled = sum(begun(made, None, None, is_trusted=False).is_sampled for _ in range(count))
    # Six standard deviations.
    assert abs(sampled - ratio * count) <= 6 * (count * ratio * (1 - ratio)) ** 0.5 + 0.01


def test_what_is_sampled_with_a_small_ratio_is_with_a_larger_one_too() -> None:
    made = tracer(ratio=0.3)
    for _ in range(500):
        trace = begun(made, None, None, is_trusted=False)
        share = 1 - int(trace.trace_id[-14:], 16) / 2**56
        assert trace.is_sampled == (share <= 0.3)


def test_ids_are_never_given_twice() -> None:
    made = tracer()
    taken = []
    for _ in range(2_000):
        trace = begun(made)
        attempts = [Tried("http://hr") for _ in range(3)]
        for tried in attempts:
            trace.lines_for(tried)
        taken += [
            trace.trace_id[:16],
            trace.trace_id[16:],
            trace.span_id,
            *(each.span_id for each in attempts),
        ]
    assert len(set(taken)) == len(taken)
    assert {len(each) for each in taken} == {16}


def test_a_forked_worker_does_not_go_on_with_its_parents_ids(monkeypatch: pytest.MonkeyPatch) -> None:
    in_child: list[Callable[[], None]] = []

    def register(*, after_in_child: Callable[[], None]) -> None:
        in_child.append(after_in_child)

    monkeypatch.setattr(os, "register_at_fork", register)
    made = tracer()
    begun(made)
    parents = made._digits  # noqa: SLF001
    (forked,) = in_child
    forked()
    assert begun(made).trace_id not in parents
