"""What all commands on the shared state have in common: how they reach it, and what they note of it.

They ask no gateway, so they work from any host that reaches Redis, also while gateways are drowning.
"""

from __future__ import annotations

import getpass
import platform
import sys
import warnings
from typing import TYPE_CHECKING, Final

from gevent import monkey
from pydantic import SecretStr

from falcongate.config.load import load
from falcongate.errors import ConfigError, ConfigProblem, StoreAway
from falcongate.state.audit import Change, audit
from falcongate.state.embedded_place import running_embedded
from falcongate.state.redis_line import RedisLine
from falcongate.state.redis_store import RedisState

if TYPE_CHECKING:
    from argparse import Namespace
    from collections.abc import Callable

    from falcongate.config.redis import RedisSettings
    from falcongate.config.settings import GatewaySettings
    from falcongate.state.store import SharedState

_PATIENCE_MS: Final = 2_000


def with_state(command: str, arguments: Namespace, run: Callable[[SharedState, GatewaySettings], int]) -> int:
    """Do something with the shared state of the configuration; 1 if it does not answer."""
    settings = load(path=arguments.config)
    redis = _reachable(settings.redis)
    # What speaks to Redis is made for the workers, which are patched before anything else.
    with warnings.catch_warnings(action="ignore", category=monkey.MonkeyPatchWarning):
        monkey.patch_all()
    state = RedisState(RedisLine(redis), is_cluster=redis.cluster)
    try:
        return run(state, settings)
    except StoreAway as error:
        print(f"falcongate {command}: Redis did not answer: {error}", file=sys.stderr)
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


def who_orders() -> str:
    """Who gives the command, for the record."""
    return f"{getpass.getuser()}@{platform.node()}"


def note(state: SharedState, what: str, on: str, why: str = "") -> None:
    """Note a change that a command has made."""
    audit(state, Change(who_orders(), "command line", what, on, why))


def mistake(argument: str, found: str, remedy: str) -> ConfigError:
    """What is wrong with an argument that only the configuration shows."""
    return ConfigError((ConfigProblem(source="command line", key=argument, found=found, remedy=remedy),))
