"""`falcongate keys`: API keys for machine callers, made, looked at and ended on the shared state itself."""

from __future__ import annotations

import dataclasses
import json
import sys
from argparse import ArgumentParser, ArgumentTypeError
from typing import TYPE_CHECKING, Any, Final

from falcongate.commands.shared_state import mistake, note, who_orders, with_state
from falcongate.commands.terminal import add_actions, aligned, length, moment
from falcongate.config.mistakes import no_such
from falcongate.config.policies import parse_rate
from falcongate.state.api_keys import NewKey
from falcongate.wire.api_key import KeyText, is_key_id, make_key, parse_key

if TYPE_CHECKING:
    from argparse import Namespace
    from collections.abc import Callable

    from falcongate.config.settings import GatewaySettings
    from falcongate.state.api_keys import ApiKey
    from falcongate.state.store import SharedState

_MAX_NAME: Final = 100
_MOST_DAYS: Final = 3_650
_GRACE: Final = "24h"
_DIGESTS: Final = ("digest", "old_digest")
_HEADS: Final = ("ID", "NAME", "STATE", "CREATED", "ENDS", "SERVICES", "LIMITS")
_ONCE: Final = "This is the only time that the key is shown: only a digest of its secret is kept."


def add_keys_command(command: Callable[..., ArgumentParser], with_config: ArgumentParser) -> None:
    """Add `keys` with all that can be done."""
    keys = command("keys", None, "Make, show and end API keys, for all hosts.")
    with_json = ArgumentParser(add_help=False)
    with_json.add_argument("--json", action="store_true", help="for programs")
    action = add_actions(keys, with_config, with_json)
    creating = action("create", _create, "Make a key, and show it this once.")
    creating.add_argument("name", type=_name, metavar="NAME", help="whose it is, or what for")
    creating.add_argument("--for", dest="for_s", type=_length, metavar="90d", help="how long; else for ever")
    creating.add_argument(
        "--service", dest="services", action="extend", nargs="+", default=[], metavar="SERVICE",
        help="services that it may ask; else all",
    )  # fmt: skip
    creating.add_argument(
        "--rate", dest="rates", action="extend", nargs="+", type=_rate, default=[], metavar="100/m",
        help="its own limits, beside those of the configuration",
    )  # fmt: skip
    action("list", _list, "Show all keys, but for what is secret.")
    showing = action("show", _show, "Show one key, but for what is secret.")
    rotating = action("rotate", _rotate, "Give a key another secret, and show it this once.")
    rotating.add_argument(
        "--grace", dest="grace_s", type=_grace, default=_GRACE, metavar=_GRACE,
        help=f"how long the present secret is good beside it, 0 for not at all; else {_GRACE}",
    )  # fmt: skip
    rotating.add_argument("--for", dest="for_s", type=_length, metavar="90d", help="from now; else as it is")
    revoking = action("revoke", _revoke, "End a key at once, on all hosts, for good.")
    revoking.add_argument("--reason", default="", metavar="TEXT", help="why, for the audit")
    for made in (showing, rotating, revoking):
        made.add_argument("id", type=_id, metavar="ID", help="the first part of the key, behind fg_")


def _name(text: str) -> str:
    if not text.isprintable() or not 0 < len(text.strip()) <= len(text) <= _MAX_NAME:
        raise ArgumentTypeError(f"must be one line of at most {_MAX_NAME} characters")
    return text


def _id(text: str) -> str:
    if is_key_id(text):
        return text
    # Neither is repeated: it could be a whole key, and this could be a log.
    if parse_key(text) is not None:
        raise ArgumentTypeError("is a whole key; give its id alone, the part between fg_ and the next _")
    raise ArgumentTypeError("must be the id of a key, as `falcongate keys list` shows it")


def _length(text: str) -> float:
    return length(text, most_days=_MOST_DAYS)


def _grace(text: str) -> float:
    return 0.0 if text == "0" else length(text)


def _rate(text: str) -> str:
    try:
        parse_rate(text)
    except ValueError as error:
        raise ArgumentTypeError(str(error)) from None
    return text


def _create(arguments: Namespace) -> int:
    services, rates = tuple(dict.fromkeys(arguments.services)), tuple(dict.fromkeys(arguments.rates))

    def run(state: SharedState, settings: GatewaySettings) -> int:
        for service in services:
            if service not in settings.services:
                raise mistake("--service", service, no_such(service, settings.services))
        if len({parse_rate(rate).window_s for rate in rates}) < len(rates):
            raise mistake("--rate", " ".join(rates), "two of these look at the same time; give one of them")
        _warn_of_forgetting(settings)
        text, made = _new()
        digest, for_s = made.digest.hex(), arguments.for_s or 0.0
        new = NewKey(made.id, digest, arguments.name, who_orders(), for_s, services, rates)
        key = state.create_key(new)
        if key is None:
            return _no(f"there is a key {made.id} already; try again")
        note(state, "key create", f"{key.id} {key.name}")
        return _show_once(arguments, text, key)

    return with_state("keys", arguments, run)


def _list(arguments: Namespace) -> int:
    def run(state: SharedState, _: GatewaySettings) -> int:
        keys = state.list_keys()
        if arguments.json:
            print(json.dumps([_plain(key) for key in keys], indent=2))
        else:
            print(aligned([_HEADS, *map(_row, keys)]))
        return 0

    return with_state("keys", arguments, run)


def _show(arguments: Namespace) -> int:
    def run(state: SharedState, _: GatewaySettings) -> int:
        return _tell(arguments, state.find_key(arguments.id))

    return with_state("keys", arguments, run)


def _rotate(arguments: Namespace) -> int:
    def run(state: SharedState, settings: GatewaySettings) -> int:
        _warn_of_forgetting(settings)
        text, made = _new(arguments.id)
        key = state.rotate_key(
            arguments.id, made.digest.hex(), grace_s=arguments.grace_s, for_s=arguments.for_s
        )
        if key is None:
            return _no(f"there is no key {arguments.id} that could be rotated")
        note(state, "key rotate", f"{key.id} {key.name}")
        return _show_once(arguments, text, key)

    return with_state("keys", arguments, run)


def _revoke(arguments: Namespace) -> int:
    def run(state: SharedState, _: GatewaySettings) -> int:
        key = state.revoke_key(arguments.id, why=arguments.reason)
        if key is not None:
            note(state, "key revoke", f"{key.id} {key.name}", arguments.reason)
        return _tell(arguments, key)

    return with_state("keys", arguments, run)


def _new(key_id: str = "") -> tuple[str, KeyText]:
    text = make_key(key_id)
    made = parse_key(text)
    assert made is not None  # noqa: S101  # it was made a moment ago
    return text, made


def _no(why: str) -> int:
    print(f"falcongate keys: {why}", file=sys.stderr)
    return 1


def _warn_of_forgetting(settings: GatewaySettings) -> None:
    if settings.redis.url is None and settings.redis.embedded_directory is None:
        remedy = "set redis.embedded_directory, or REDIS_URL"
        print(f"warning: the gateway's own Redis forgets keys when it ends; {remedy}", file=sys.stderr)


def _show_once(arguments: Namespace, text: str, key: ApiKey) -> int:
    if arguments.json:
        print(json.dumps({"key": text, **_plain(key)}, indent=2))
        return 0
    print(f"{text}\n\n{_ONCE}\n")
    return _tell(arguments, key)


def _tell(arguments: Namespace, key: ApiKey | None) -> int:
    if key is None:
        return _no(f"there is no key {arguments.id}")
    if arguments.json:
        print(json.dumps(_plain(key), indent=2))
    else:
        print(aligned(_facts(key)))
    return 0


def _plain(key: ApiKey) -> dict[str, Any]:
    """All but the digests, which are of use to nobody."""
    told = {name: value for name, value in dataclasses.asdict(key).items() if name not in _DIGESTS}
    return {**told, "state": _state(key)}


def _row(key: ApiKey) -> tuple[str, ...]:
    services, limits = " ".join(key.services) or "all", " ".join(key.rates) or "-"
    return key.id, key.name, _state(key), moment(key.created_s), moment(key.ends_s), services, limits


def _facts(key: ApiKey) -> list[tuple[str, str]]:
    old = f"good until {moment(key.old_ends_s)}" if key.old_ends_s > key.now_s else "-"
    return [
        ("id", key.id),
        ("name", key.name),
        ("state", _state(key)),
        ("created", f"{moment(key.created_s)} by {key.by}"),
        ("ends", moment(key.ends_s)),
        ("services", " ".join(key.services) or "all"),
        ("limits", " ".join(key.rates) or "none of its own"),
        ("rotated", moment(key.rotated_s)),
        ("secret before", old),
        ("revoked", moment(key.revoked_s)),
        ("why", key.why or "-"),
    ]


def _state(key: ApiKey) -> str:
    if key.revoked_s:
        return "revoked"
    return "ended" if 0 < key.ends_s <= key.now_s else "valid"
