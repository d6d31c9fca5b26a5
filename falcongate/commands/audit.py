"""`falcongate audit`: what was changed on all gateways, by whom, from where, and why."""

from __future__ import annotations

import json
from functools import partial
from typing import TYPE_CHECKING, Final

from falcongate.commands.shared_state import with_state
from falcongate.commands.terminal import aligned, moment, number
from falcongate.state.audit import MAX_CHANGES

if TYPE_CHECKING:
    from argparse import ArgumentParser, Namespace
    from collections.abc import Callable

    from falcongate.config.settings import GatewaySettings
    from falcongate.state.audit import Noted
    from falcongate.state.store import SharedState

_LAST: Final = 50


def add_audit_command(command: Callable[..., ArgumentParser], with_config: ArgumentParser) -> None:
    """Add `audit`."""
    made = command("audit", _audit, "Tell what was changed, by whom and why, the newest first.", with_config)
    count = partial(number, most=MAX_CHANGES)
    made.add_argument("--last", type=count, default=_LAST, metavar="N", help=f"how many; else {_LAST}")
    made.add_argument("--json", action="store_true", help="for programs")


def _audit(arguments: Namespace) -> int:
    def run(state: SharedState, _: GatewaySettings) -> int:
        noted = state.changes(arguments.last)
        if arguments.json:
            print(json.dumps([_plain(each) for each in noted], indent=2))
        elif noted:
            print(aligned([("WHEN", "WHO", "FROM", "DID", "ON", "WHY"), *map(_row, noted)]))
        else:
            print("Nothing was changed yet.")
        return 0

    return with_state("audit", arguments, run)


def _plain(noted: Noted) -> dict[str, object]:
    who, where, what, on, why = noted.change
    return {"at_s": noted.at_s, "who": who, "from": where, "did": what, "on": on, "why": why}


def _row(noted: Noted) -> tuple[str, ...]:
    return moment(noted.at_s), *(text or "-" for text in noted.change)
