"""`falcongate why`: why a request was answered as it was, on whatever host that happened."""

from __future__ import annotations

import json
import sys
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from falcongate.commands.shared_state import with_state
from falcongate.commands.terminal import aligned, moment, number, shown
from falcongate.state.decisions import last_decisions

if TYPE_CHECKING:
    from argparse import ArgumentParser, Namespace
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from falcongate.config.settings import GatewaySettings
    from falcongate.state.decisions import Decision
    from falcongate.state.store import SharedState

_LAST: Final = 20
_MOST: Final = 10_000

_Told = dict[str, Any]


def add_why_command(command: Callable[..., ArgumentParser], with_config: ArgumentParser) -> None:
    """Add `why`."""
    made = command("why", _why, "Tell why a request was answered as it was.", with_config)
    made.add_argument("request_id", metavar="REQUEST_ID", nargs="?", help="as in X-Request-ID; else the last")
    made.add_argument(
        "--last", type=partial(number, most=_MOST), metavar="N",
        help=f"how many; else {_LAST}, and of one request id the last",
    )  # fmt: skip
    made.add_argument("--json", action="store_true", help="for programs")


def _why(arguments: Namespace) -> int:
    def run(state: SharedState, settings: GatewaySettings) -> int:
        if arguments.request_id is None:
            return _list(last_decisions(state, arguments.last or _LAST), as_json=arguments.json)
        found = state.find_decisions(arguments.request_id)
        if not found:
            print(_nothing(arguments.request_id, settings), file=sys.stderr)
            return 1
        told = [_read(decision) for decision in found[: arguments.last or 1]]
        if arguments.json:
            print(json.dumps(told[0] if arguments.last is None else told, indent=2))
        else:
            print("\n\n".join(aligned(list(_rows(each))) for each in told))
            if len(found) > len(told):
                print(f"\n{len(found) - len(told)} more of this id, which callers choose: see --last.")
        return 0

    return with_state("why", arguments, run)


def _nothing(request_id: str, settings: GatewaySettings) -> str:
    kept = settings.decisions
    if not kept.keep:
        return "falcongate why: no decisions are kept: decisions.keep is 0"
    return (
        f"falcongate why: nothing is known of a request {shown(request_id)}.\n"
        f"Of requests that were answered in order {kept.ratio:.1%} are kept (decisions.ratio), of all others"
        f" the last {kept.keep} of a day (decisions.keep).\n"
        "Look for its id in the access log, and whether redis.url here is the one of the gateways."
    )


def _list(decisions: Sequence[Decision], *, as_json: bool) -> int:
    # Workers tell of them in batches, which may overtake one another.
    told = sorted(map(_read, decisions), key=lambda one: one["at_s"], reverse=True)
    if as_json:
        print(json.dumps(told, indent=2))
    elif told:
        heads = ("WHEN", "REQUEST", "METHOD", "PATH", "STATUS", "BY", "PROBLEM")
        print(aligned([heads, *map(_line, told)]))
    else:
        print("No decision is kept.")
    return 0


def _read(decision: Decision) -> _Told:
    told: _Told = json.loads(decision.text)
    return told


def _line(told: _Told) -> tuple[str, ...]:
    words = (
        told["request_id"], told["method"], told["path"], str(told["status"]), told["answered_by"],
        told["problem"] or "-",
    )  # fmt: skip
    return moment(told["at_s"]), *words


def _rows(told: _Told) -> Iterator[tuple[str, str]]:
    """Rows of a word and what there is to say."""
    yield "request", told["request_id"]
    yield "at", f"{moment(told['at_s'])} by {told.get('host', '?')}, worker {told.get('worker', '?')}"
    if told.get("trace_id"):
        yield "trace", told["trace_id"]
    yield "asked", f"{told['method']} {told['path']}"
    yield "from", ", ".join(filter(None, (told["caller"] or "unix", told["identity"])))
    yield "answered", f"{told['status']} by {_who(told)}"
    if told["problem"]:
        yield "problem", ": ".join(filter(None, (told["problem"], told.get("detail"))))
    if told["reason"] and told["reason"] not in [each["reason"] for each in told.get("attempts", ())]:
        yield "reason", told["reason"]
    for word, key in (("refused by", "refused_by"), ("would refuse", "would_refuse")):
        if told[key]:
            yield word, ", ".join(told[key])
    yield from _route(told)
    yield from _breaker(told.get("breaker"))
    yield from _limits(told)
    for at, attempt in enumerate(told.get("attempts", ()), 1):
        yield f"attempt {at}", _attempt(attempt)
    first = f", first byte after {told['first_byte_ms']:g}" if told["first_byte_ms"] else ""
    service = f", {told['service_ms']:g} of it the service's" if told["service_ms"] else ""
    yield "took", f"{told['duration_ms']:g} ms{first}{service}"
    yield "bytes", f"{told['received_bytes']} received, {told['sent_bytes']} sent"
    if told["left_out"]:
        yield "left out", f"{told['left_out']} of this kind just before, by the same worker"
    if told.get("is_cut"):
        yield "cut", "there was more to say than is kept"


def _who(told: _Told) -> str:
    by: str = told["answered_by"]
    if by == "service":
        return f"the service {told['service']}"
    return "nobody: the caller had left" if by == "nobody" else "the gateway"


def _route(told: _Told) -> Iterator[tuple[str, str]]:
    route = told.get("route")
    if route is None:
        return
    public = ", public" if route["is_public"] else ""
    yield "route", f"{route['prefix']} -> {route['service']}{public}"
    for other in told["passed_over"]:
        yield "passed over", f"{other['prefix']} -> {other['service']}: shorter"
    yield "first byte", f"within {route['timeout_s']:g} s ({route['timeout_from']})"


def _breaker(breaker: Mapping[str, Any] | None) -> Iterator[tuple[str, str]]:
    if breaker is None:
        return
    counts = f"{breaker['calls']} calls, {breaker['failures']} failed, {breaker['slow']} slow in its window"
    probe = "; this was a probe" if breaker["is_probe"] else ""
    yield "breaker", f"{breaker['name']} was {breaker['state']}: {counts}{probe}"
    if breaker["by"]:
        until = f", until {moment(breaker['until_s'])}" if breaker["until_s"] else ""
        since = f"since {moment(breaker['since_s'])}{until}"
        yield "", f"{since}, by {breaker['by']}: {breaker['why']} (change {breaker['generation']})"
    if breaker["shut_targets"]:
        yield "", f"not to be tried: {', '.join(breaker['shut_targets'])}"


def _limits(told: _Told) -> Iterator[tuple[str, str]]:
    for limit in told.get("limits", ()):
        asked = f"{limit['policy']}: {limit['limit']} in {limit['window_s']:g} s"
        burst = f", at most {limit['burst']} at once" if limit["burst"] is not None else ""
        cost = f"{limit['cost']} for {limit['counted_for']}"
        mode = "; only watched" if limit["is_shadow"] else ""
        yield "limit", f"{asked}{burst}; {cost}: {_verdict(limit)}{mode}"
    if told.get("limits"):
        yield "", _COUNTED[told["counted_by"]]
    for room in told.get("at_once", ()):
        taken = f"{room['taken']} of {room['limit']} taken, {_COUNTED[room['counted_by']]}"
        yield "at once", f"{room['policy']}: {taken}: {'fits' if room['fits'] else 'full'}"


_COUNTED: Final[Mapping[str, str]] = {
    "": "not counted",
    "all hosts": "counted for all hosts together",
    "this worker": "counted by this worker alone, as the shared state was away",
    "own places": "counted by this worker: its own places are all that there are",
    "memory": "from memory: it was over before, and nobody was asked",
}


def _verdict(limit: Mapping[str, Any]) -> str:
    if limit["fits"] is None:
        return "not asked"
    left = f"{limit['remaining']} left"
    if limit["reset_s"] is None:
        return f"never fits, {left}"
    if limit["fits"]:
        more = f", more in {limit['reset_s']:.1f} s" if limit["reset_s"] else ""
        return f"fits, {left}{more}"
    return f"too much, {left}, again in {limit['reset_s']:.1f} s"


def _attempt(attempt: Mapping[str, Any]) -> str:
    connection = "a kept connection" if attempt["is_reused"] else "a new connection"
    steps = [
        f"{word} {attempt[key]:g}"
        for word, key in (
            ("began", "began_ms"), ("connected", "connected_ms"), ("sent", "sent_ms"),
            ("answered", "answered_ms"), ("ended", "ended_ms"),
        )
        if attempt[key] is not None
    ]  # fmt: skip
    status = f"{attempt['status']}" if attempt["status"] else "no answer"
    failed = f"; {attempt['failure']}: {attempt['reason']}" if attempt["failure"] else ""
    return f"{attempt['target']}, {connection}: {status} ({', '.join(steps)} ms){failed}"
