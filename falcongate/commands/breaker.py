"""`falcongate breaker`: how circuit breakers are, and orders to them, on the shared state itself."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final

from falcongate.admission.breaker import breaker_names
from falcongate.commands.shared_state import mistake, note, who_orders, with_state
from falcongate.commands.terminal import add_actions, aligned, length, moment
from falcongate.config.mistakes import no_such

if TYPE_CHECKING:
    from argparse import ArgumentParser, Namespace
    from collections.abc import Callable, Mapping

    from falcongate.config.settings import GatewaySettings
    from falcongate.state.store import Breaker, Order, SharedState, Transition

_HISTORY: Final = 20
_ORDERS: Final[Mapping[Order, str]] = {
    "reset": "Close it and forget all counts.",
    "open": "Refuse all requests.",
    "close": "Let all requests pass, whatever becomes of them.",
    "disable": "Take the service out of traffic.",
    "enable": "End what open, close or disable began.",
}


def add_breaker_command(command: Callable[..., ArgumentParser], with_config: ArgumentParser) -> None:
    """Add `breaker` with all that can be done."""
    breaker = command("breaker", None, "Show and steer circuit breakers, on all hosts.")
    action = add_actions(breaker, with_config)
    listing = action("list", _list, "Show all breakers.")
    listing.add_argument("--json", action="store_true", help="for programs")
    showing = action("show", _show, "Show one breaker and its history.")
    showing.add_argument("service", metavar="SERVICE")
    showing.add_argument("--json", action="store_true", help="for programs")
    for order, purpose in _ORDERS.items():
        made = action(order, _command, purpose)
        made.add_argument("service", metavar="SERVICE")
        made.add_argument("--reason", default="", metavar="TEXT", help="why, for the history")
        made.set_defaults(order=order, for_s=0.0)
        if order in ("open", "close", "disable"):
            made.add_argument(
                "--for", dest="for_s", type=length, metavar="15m", help="how long; else until `enable`"
            )


def _list(arguments: Namespace) -> int:
    def run(state: SharedState, settings: GatewaySettings) -> int:
        breakers = state.snapshot(breaker_names(settings))
        if arguments.json:
            print(json.dumps({name: _plain(breaker) for name, breaker in breakers.items()}, indent=2))
            return 0
        heads = ("SERVICE", "STATE", "SINCE", "UNTIL", "FAILED", "WHY")
        print(aligned([heads, *map(_row, breakers.values())]))
        return 0

    return with_state("breaker", arguments, run)


def _show(arguments: Namespace) -> int:
    def run(state: SharedState, settings: GatewaySettings) -> int:
        name = _known(arguments.service, breaker_names(settings))
        breaker, history = state.snapshot([name])[name], state.history(name, _HISTORY)
        if arguments.json:
            lines = [_plain(line) for line in history]
            print(json.dumps({**_plain(breaker), "history": lines}, indent=2))
            return 0
        print(aligned([(word, value) for word, value in _facts(breaker)]))
        if history:
            print()
            print(aligned([("WHEN", "FROM", "TO", "FAILED", "BY", "WHY"), *map(_line, history)]))
        return 0

    return with_state("breaker", arguments, run)


def _command(arguments: Namespace) -> int:
    def run(state: SharedState, settings: GatewaySettings) -> int:
        name = _known(arguments.service, breaker_names(settings))
        order, why = arguments.order, arguments.reason
        breaker = state.command(name, order, by=who_orders(), why=why or order, for_s=arguments.for_s or 0.0)
        note(state, f"breaker {order}", name, why)
        until = f" until {moment(breaker.until_s)}" if breaker.until_s else ""
        print(f"{name}: {breaker.state}{until}")
        return 0

    return with_state("breaker", arguments, run)


def _known(service: str, names: list[str]) -> str:
    if service in names:
        return service
    raise mistake("SERVICE", service, no_such(service, names))


def _row(breaker: Breaker) -> tuple[str, ...]:
    since, until = moment(breaker.since_s), moment(breaker.until_s)
    return breaker.name, breaker.state, since, until, _failed(breaker), breaker.why or "-"


def _facts(breaker: Breaker) -> list[tuple[str, str]]:
    return [
        ("service", breaker.name),
        ("state", breaker.state),
        ("since", moment(breaker.since_s)),
        ("until", moment(breaker.until_s)),
        ("by", breaker.by or "-"),
        ("why", breaker.why or "-"),
        ("in the window", f"{_failed(breaker)} failed, {breaker.slow} slow"),
        ("in all", f"{breaker.total_failures} of {breaker.total_calls} failed"),
        ("last failure", moment(breaker.last_failure_s)),
        ("probes", f"{breaker.probes} out, {breaker.successes} succeeded"),
    ]


def _line(line: Transition) -> tuple[str, ...]:
    return moment(line.at_s), line.before, line.state, f"{line.failures} of {line.calls}", line.by, line.why


def _failed(breaker: Breaker) -> str:
    return f"{breaker.failures} of {breaker.calls}"


def _plain(told: Breaker | Transition) -> dict[str, Any]:
    return {name: getattr(told, name) for name in told.__slots__}
