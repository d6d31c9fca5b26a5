"""`falcongate breaker`: how circuit breakers are, and orders to them, on the shared state itself.

It asks no gateway, so it works from any host that reaches Redis, also while gateways are drowning.
"""

from __future__ import annotations

import getpass
import json
import platform
import sys
import warnings
from argparse import ArgumentParser, ArgumentTypeError
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

from gevent import monkey
from pydantic import SecretStr

from falcongate.admission.breaker import breaker_names
from falcongate.config.checks import no_such
from falcongate.config.load import load
from falcongate.config.values import seconds_of
from falcongate.errors import ConfigError, ConfigProblem, StoreAway
from falcongate.explain import aligned
from falcongate.state.embedded_place import running_embedded
from falcongate.state.redis_line import RedisLine
from falcongate.state.redis_store import RedisState

if TYPE_CHECKING:
    from argparse import Namespace
    from collections.abc import Callable, Mapping

    from falcongate.config.redis import RedisSettings
    from falcongate.state.store import Breaker, Order, SharedState, Transition

_HISTORY: Final = 20
_PATIENCE_MS: Final = 2_000
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
    actions = breaker.add_subparsers(required=True, metavar="ACTION")

    def action(name: str, run: Callable[[Namespace], int], purpose: str) -> ArgumentParser:
        made = actions.add_parser(name, help=purpose, description=purpose, parents=[with_config])
        made.set_defaults(run=run, order=name)
        return made

    listing = action("list", _list, "Show all breakers.")
    listing.add_argument("--json", action="store_true", help="for programs")
    showing = action("show", _show, "Show one breaker and its history.")
    showing.add_argument("service", metavar="SERVICE")
    showing.add_argument("--json", action="store_true", help="for programs")
    for order, purpose in _ORDERS.items():
        made = action(order, _command, purpose)
        made.add_argument("service", metavar="SERVICE")
        made.add_argument("--reason", default="", metavar="TEXT", help="why, for the history")
        made.set_defaults(for_s=0.0)
        if order in ("open", "close", "disable"):
            made.add_argument(
                "--for", dest="for_s", type=_length, metavar="15m", help="how long; else until `enable`"
            )


def _length(text: str) -> float:
    try:
        return seconds_of(text)
    except ValueError as error:
        raise ArgumentTypeError(str(error)) from None


def _list(arguments: Namespace) -> int:
    def run(state: SharedState, names: list[str]) -> int:
        breakers = state.snapshot(names)
        if arguments.json:
            print(json.dumps({name: _plain(breaker) for name, breaker in breakers.items()}, indent=2))
            return 0
        heads = ("SERVICE", "STATE", "SINCE", "UNTIL", "FAILED", "WHY")
        print(aligned([heads, *map(_row, breakers.values())]))
        return 0

    return _with_state(arguments, run)


def _show(arguments: Namespace) -> int:
    def run(state: SharedState, names: list[str]) -> int:
        name = _known(arguments.service, names)
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

    return _with_state(arguments, run)


def _command(arguments: Namespace) -> int:
    def run(state: SharedState, names: list[str]) -> int:
        name = _known(arguments.service, names)
        by = f"{getpass.getuser()}@{platform.node()}"
        why = arguments.reason or arguments.order
        breaker = state.command(name, arguments.order, by=by, why=why, for_s=arguments.for_s or 0.0)
        until = f" until {_moment(breaker.until_s)}" if breaker.until_s else ""
        print(f"{name}: {breaker.state}{until}")
        return 0

    return _with_state(arguments, run)


def _with_state(arguments: Namespace, run: Callable[[SharedState, list[str]], int]) -> int:
    settings = load(path=arguments.config)
    names = breaker_names(settings)
    redis = _reachable(settings.redis)
    # What speaks to Redis is made for the workers, which are patched before anything else.
    with warnings.catch_warnings(action="ignore", category=monkey.MonkeyPatchWarning):
        monkey.patch_all()
    state = RedisState(RedisLine(redis), is_cluster=redis.cluster)
    try:
        return run(state, names)
    except StoreAway as error:
        print(f"falcongate breaker: Redis did not answer: {error}", file=sys.stderr)
        return 1


def _reachable(settings: RedisSettings) -> RedisSettings:
    """Where the shared state is: as configured, else the server that the gateway has started here."""
    patient = {"budget_ms": max(settings.budget_ms, _PATIENCE_MS)}
    if settings.url is not None:
        return settings.model_copy(update=patient)
    found = running_embedded()
    if len(found) == 1:
        return settings.model_copy(update={**patient, "url": SecretStr(found[0])})
    if found:
        remedy = f"several gateways run here; set REDIS_URL to the server of one: {', '.join(found)}"
    else:
        remedy = (
            "is not set, and no gateway of this user runs here; set it, or REDIS_URL, as the gateway has it"
        )
    raise ConfigError((ConfigProblem(source="shared state", key="redis.url", found="", remedy=remedy),))


def _known(service: str, names: list[str]) -> str:
    if service in names:
        return service
    problem = ConfigProblem(
        source="command line", key="SERVICE", found=service, remedy=no_such(service, names)
    )
    raise ConfigError((problem,))


def _row(breaker: Breaker) -> tuple[str, ...]:
    since, until = _moment(breaker.since_s), _moment(breaker.until_s)
    return breaker.name, breaker.state, since, until, _failed(breaker), breaker.why or "-"


def _facts(breaker: Breaker) -> list[tuple[str, str]]:
    return [
        ("service", breaker.name),
        ("state", breaker.state),
        ("since", _moment(breaker.since_s)),
        ("until", _moment(breaker.until_s)),
        ("by", breaker.by or "-"),
        ("why", breaker.why or "-"),
        ("in the window", f"{_failed(breaker)} failed, {breaker.slow} slow"),
        ("in all", f"{breaker.total_failures} of {breaker.total_calls} failed"),
        ("last failure", _moment(breaker.last_failure_s)),
        ("probes", f"{breaker.probes} out, {breaker.successes} succeeded"),
    ]


def _line(line: Transition) -> tuple[str, ...]:
    return _moment(line.at_s), line.before, line.state, f"{line.failures} of {line.calls}", line.by, line.why


def _failed(breaker: Breaker) -> str:
    return f"{breaker.failures} of {breaker.calls}"


def _plain(told: Breaker | Transition) -> dict[str, Any]:
    return {name: getattr(told, name) for name in told.__slots__}


def _moment(unix_s: float) -> str:
    """Local time to the second; `-` for never."""
    return datetime.fromtimestamp(unix_s, UTC).astimezone().isoformat(timespec="seconds") if unix_s else "-"
