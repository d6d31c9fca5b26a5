"""`falcongate tokens`: which tokens are revoked, and orders to revoke more, on the shared state itself."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING, Final

from falcongate.admission.revoked import ANY_ISSUER, subject_mark, token_mark
from falcongate.commands.shared_state import note, who_orders, with_state
from falcongate.commands.terminal import add_actions, aligned, length, moment, shown
from falcongate.errors import ConfigError, ConfigProblem
from falcongate.state.tokens import MOST_REVOKED

if TYPE_CHECKING:
    from argparse import ArgumentParser, Namespace
    from collections.abc import Callable

    from falcongate.config.settings import GatewaySettings
    from falcongate.state.store import SharedState

_LASTS_S: Final = 30 * 86_400.0


def add_tokens_command(command: Callable[..., ArgumentParser], with_config: ArgumentParser) -> None:
    """Add `tokens` with all that can be done."""
    tokens = command("tokens", None, "Revoke tokens of callers, on all hosts.")
    action = add_actions(tokens, with_config)
    listing = action("list", _list, "Show what is revoked.")
    listing.add_argument("--json", action="store_true", help="for programs")
    revoking = action("revoke", _revoke, "Refuse a token, or all that a subject has been given until now.")
    restoring = action("restore", _restore, "Take a revocation back.")
    for made in (revoking, restoring):
        whose = made.add_mutually_exclusive_group(required=True)
        whose.add_argument("--jti", metavar="ID", help="the token with this jti")
        whose.add_argument("--subject", metavar="SUB", help="tokens with this sub")
        made.add_argument(
            "--issuer", metavar="NAME", help="of this issuer only, as the configuration calls it"
        )
    revoking.add_argument(
        "--for", dest="for_s", type=length, default=_LASTS_S, metavar="30d",
        help="how long; at least as long as the tokens would live (30d unless it is said)",
    )  # fmt: skip
    revoking.add_argument("--reason", default="", metavar="TEXT", help="why, for the record")


def _list(arguments: Namespace) -> int:
    def run(state: SharedState, settings: GatewaySettings) -> int:
        del settings
        revoked = state.revocations()
        if arguments.json:
            print(json.dumps([one._asdict() for one in revoked], indent=2))
            return 0
        rows = [
            (one.member, moment(one.at_s), moment(one.ends_s), one.by or "-", one.why or "-")
            for one in revoked
        ]
        print(aligned([("REVOKED", "SINCE", "UNTIL", "BY", "WHY"), *rows]))
        return 0

    return with_state("tokens", arguments, run)


def _revoke(arguments: Namespace) -> int:
    def run(state: SharedState, settings: GatewaySettings) -> int:
        member = _member(arguments, settings)
        revoked = state.revoke(member, for_s=arguments.for_s, by=who_orders(), why=arguments.reason)
        if revoked is None:
            print(f"falcongate tokens: there are {MOST_REVOKED} already; restore some", file=sys.stderr)
            return 1
        note(state, "tokens revoke", member, arguments.reason)
        print(f"{shown(member)}: revoked until {moment(revoked.ends_s)}")
        return 0

    return with_state("tokens", arguments, run)


def _restore(arguments: Namespace) -> int:
    def run(state: SharedState, settings: GatewaySettings) -> int:
        member = _member(arguments, settings)
        was_there = state.restore(member)
        if was_there:
            note(state, "tokens restore", member)
        print(f"{shown(member)}: {'good again' if was_there else 'was not revoked'}")
        return 0 if was_there else 1

    return with_state("tokens", arguments, run)


def _member(arguments: Namespace, settings: GatewaySettings) -> str:
    issuer = arguments.issuer
    if issuer is not None and (arguments.jti is not None or issuer not in settings.issuers):
        known = f"there are {', '.join(settings.issuers) or 'none'}"
        remedy = (
            "goes with --subject only" if arguments.jti is not None else f"no issuer has this name; {known}"
        )
        problem = ConfigProblem(source="command line", key="--issuer", found=issuer, remedy=remedy)
        raise ConfigError((problem,))
    if arguments.jti is not None:
        return token_mark(arguments.jti)
    return subject_mark(arguments.subject, issuer or ANY_ISSUER)
