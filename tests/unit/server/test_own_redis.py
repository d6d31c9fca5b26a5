"""Whom the gateway's own Redis is started for."""

from __future__ import annotations

import logging
import os
from types import SimpleNamespace
from typing import Any

import pytest

from falcongate.config.redis import RedisSettings
from falcongate.server import own_redis
from falcongate.server.own_redis import OwnRedis


class Server:
    """What `start_embedded` answers, without a process."""

    url = "unix:///somewhere"
    pid = 1

    def __init__(self, user: tuple[int, int] | None) -> None:
        self.user = user

    def stop(self) -> None:
        """At the end of the process."""

    def restart_if_ended(self) -> bool:
        raise OSError("no memory")


@pytest.fixture
def started(monkeypatch: pytest.MonkeyPatch) -> list[Server]:
    servers: list[Server] = []

    def start(settings: RedisSettings, *, user: tuple[int, int] | None) -> Server:
        del settings
        servers.append(Server(user))
        return servers[-1]

    monkeypatch.setattr(own_redis, "start_embedded", start)
    monkeypatch.setattr(own_redis.atexit, "register", lambda _: None)
    return servers


def arbiter(uid: int) -> Any:  # noqa: ANN401  # stands in for gunicorn's
    """As much of gunicorn's master as is asked."""
    return SimpleNamespace(cfg=SimpleNamespace(uid=uid, gid=7), num_workers=2)


def test_it_is_started_once_and_only_if_no_other_is_configured(started: list[Server]) -> None:
    ours, elsewhere = OwnRedis(), RedisSettings.model_validate({"url": "redis://h"})
    ours.provide(elsewhere, arbiter(os.geteuid()))
    assert (ours.url, started) == (None, [])
    for settings in (RedisSettings(), elsewhere, RedisSettings()):
        ours.provide(settings, arbiter(os.geteuid()))
    assert (ours.url, len(started)) == ("unix:///somewhere", 1)


def test_it_has_the_user_of_the_workers_where_that_is_another(started: list[Server]) -> None:
    for uid in (os.geteuid(), os.geteuid() + 1):
        OwnRedis().provide(RedisSettings(), arbiter(uid))
    assert [server.user for server in started] == [None, (os.geteuid() + 1, 7)]


def test_that_it_cannot_be_started_again_does_not_end_the_master(
    started: list[Server], caplog: pytest.LogCaptureFixture
) -> None:
    ours = OwnRedis()
    ours.look_after()
    ours.provide(RedisSettings(), arbiter(os.geteuid()))
    with caplog.at_level(logging.WARNING):
        ours.look_after()
    assert len(started) == 1
    assert "no memory" in caplog.text
