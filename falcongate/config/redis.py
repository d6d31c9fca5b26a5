"""Settings of the state that all workers and hosts share."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, SecretStr, model_validator

from falcongate.config.model import Settings
from falcongate.config.values import EmptyIsUnset, NotBoolean, RedisUrl


class RedisSettings(Settings):
    """The state that all workers and hosts share."""

    url: Annotated[RedisUrl | None, EmptyIsUnset] = None
    """Address: `redis://`, `rediss://` (TLS) or `unix://`; with Sentinel
    `redis+sentinel://host:port,host:port/service`. Unset: `REDIS_URL` of the environment, else a server
    of the gateway's own, for the workers of this host."""

    cluster: bool = False
    """The address is a node of a Redis Cluster; the others are found through it."""

    sentinel_password: Annotated[SecretStr | None, EmptyIsUnset] = None
    """Password of the Sentinels themselves. Unset: they ask for none. That of the servers is in `url`."""

    ca_file: Annotated[str | None, EmptyIsUnset] = None
    """PEM file of the authorities to trust for the server's certificate. Unset: the system's."""

    insecure_skip_verify: bool = False
    """Accept any certificate of the server, as Heroku's self-signed ones need. Anyone between can then
    read and change everything. Unset: `REDIS_INSECURE_SKIP_VERIFY` of the environment, where `url` begins
    with rediss."""

    budget_ms: Annotated[int, Field(ge=5, le=5_000), NotBoolean] = 50
    """Most milliseconds a request waits for the shared state; then its policies do without."""

    embedded_directory: Annotated[str | None, EmptyIsUnset] = None
    """Directory in which the gateway's own server keeps the state over restarts. Unset: it is forgotten."""

    embedded_max_memory_bytes: Annotated[int, Field(ge=4_194_304), NotBoolean] = 67_108_864
    """Most memory for the data of the gateway's own server; when full, what would expire next goes."""

    @model_validator(mode="after")
    def _cluster_is_reached_by_network(self) -> RedisSettings:
        scheme = self.url.get_secret_value().partition("://")[0] if self.url else ""
        if self.cluster and scheme not in ("redis", "rediss"):
            raise ValueError("cluster needs a url that begins with redis:// or rediss://")
        return self
