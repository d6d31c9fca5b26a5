"""What the workers of all hosts share, and what each host is called and says of itself there."""

from __future__ import annotations

import os
import platform
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from pydantic import SecretStr

from falcongate import __version__
from falcongate.config.load import copy_of_environment
from falcongate.config.version import version_of
from falcongate.state.heartbeat import Heartbeat, Saying
from falcongate.state.in_process import Fault
from falcongate.state.memory_store import MemoryState
from falcongate.state.redis_line import RedisLine
from falcongate.state.redis_store import RedisState
from falcongate.telemetry.metric_files import DIRECTORY_VARIABLE, running
from falcongate.telemetry.metrics import REDIS

if TYPE_CHECKING:
    from collections.abc import Callable

    from falcongate.config.environment import ProcessSettings
    from falcongate.config.settings import GatewaySettings
    from falcongate.state.store import SharedState


def shared_state(
    gateway: GatewaySettings, process: ProcessSettings, host: str, on_round_trip: Callable[[float], None]
) -> tuple[SharedState, Heartbeat | None]:
    """What all workers and hosts share, and who they are.

    `on_round_trip` is told how long each question took, in seconds, and must not wait. Without a Redis there
    is nothing to share: limits and breakers do what they do when it is away.
    """
    settings = gateway.redis
    if settings.url is None:
        if process.own_redis is None:
            return MemoryState(fault=Fault.AWAY), None
        settings = settings.model_copy(update={"url": SecretStr(process.own_redis)})
    state = RedisState(RedisLine(settings, on_round_trip=on_round_trip), is_cluster=settings.cluster)
    return state, Heartbeat(state, name=host, says=saying_of(gateway, process), tell=REDIS.set)


def saying_of(settings: GatewaySettings, process: ProcessSettings) -> Callable[[], Saying]:
    """Tells what this host says of itself: it has as many workers as run, as far as that can be seen."""
    directory = copy_of_environment().get(DIRECTORY_VARIABLE)
    version = version_of(settings)

    def say() -> Saying:
        workers = process.workers or 1
        if directory:
            with suppress(OSError):
                workers = max(running(Path(directory)), 1)
        return Saying(__version__, workers, version)

    return say


def host_name(process: ProcessSettings) -> str:
    """The same in all workers of one master, and another on every host.

    Containers may share a name, and the numbers of their processes be the same: the master says what is
    its own alone.
    """
    return f"{platform.node()}:{process.master or os.getppid()}"
