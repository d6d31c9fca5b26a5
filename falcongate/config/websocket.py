"""Settings of WebSockets that are relayed."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from falcongate.config.model import Settings
from falcongate.config.values import NotBoolean


class WebSocketSettings(Settings):
    """WebSockets between callers and services; which services have them is said with each."""

    check_origin: bool = True
    """Refuse pages of other origins than the gateway's own and those of `cors.origins`; a browser would
    send them the user's cookies along. Callers without an Origin are no browsers."""

    max_message_bytes: Annotated[int, Field(ge=0), NotBoolean] = 0
    """Longest message, all its frames together; longer ends with 1009. 0: no limit, as nothing is held."""

    max_messages_per_s: Annotated[int, Field(ge=0), NotBoolean] = 0
    """Most messages a caller may send in a second; more ends with 1008. Parts of messages and pings count
    as well. 0: no limit."""

    idle_timeout_s: Annotated[float, Field(ge=0, le=86_400), NotBoolean] = 300
    """Seconds without a byte in either direction until it is ended with 1001. 0: never."""

    ping_interval_s: Annotated[float, Field(ge=0, le=3_600), NotBoolean] = 0
    """Seconds without a byte after which the caller is sent a ping; its pong is passed on to the service,
    which must take one that it did not ask for (RFC 6455, 5.5.3). 0: none is sent."""
