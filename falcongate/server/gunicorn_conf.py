"""gunicorn's settings, made from ours; what `conf/gunicorn.py` and `falcongate serve` start with.

gunicorn reads the names of this module. A mistake in the configuration ends it here, with status
2, before a socket is opened.
"""

from __future__ import annotations

import math
import os
import secrets
import shutil
import signal
import sys
import tempfile
from contextlib import suppress
from functools import cache, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NoReturn

from falcongate.config.environment import MASTER, OWN_REDIS
from falcongate.config.load import (
    adopt,
    copy_of_environment,
    load,
    load_process,
    render_report,
    set_in_environment,
)
from falcongate.errors import ConfigError
from falcongate.server import notice
from falcongate.server.admin_port import AdminPort
from falcongate.server.machine import workers_unasked
from falcongate.server.own_redis import OwnRedis
from falcongate.server.reload import Reload
from falcongate.server.retirement import RETIRE, RetiredWorkers
from falcongate.server.rollout import Rollout
from falcongate.server.tls import caller_tls, gunicorn_tls
from falcongate.telemetry.metric_files import DIRECTORY_VARIABLE, absorb, clear

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import FrameType

    from gunicorn.arbiter import Arbiter
    from gunicorn.workers.base import Worker

    from falcongate.config.settings import GatewaySettings

_MAX_GUNICORN_REQUEST_LINE: Final = 8_190
_ENDINGS: Final = (signal.SIGTERM, signal.SIGQUIT, RETIRE)
# Made in the master: made after the fork, each worker would be a host of its own.
_OF_THIS_MASTER: Final = secrets.token_hex(3)


def gunicorn_settings(settings: GatewaySettings) -> dict[str, Any]:
    """What gunicorn is told, by the names it knows. Raises ConfigError."""
    process, server = load_process(), settings.server
    return {
        "proc_name": "falcongate",
        "bind": f"0.0.0.0:{process.port or 8000}",
        "workers": process.workers or workers_unasked(),
        "worker_class": "falcongate.server.worker.FalcongateWorker",
        "worker_connections": server.max_connections,
        # gunicorn counts whole seconds and takes 0 for "never".
        "keepalive": math.ceil(server.keepalive_timeout_s),
        "graceful_timeout": math.ceil(server.graceful_timeout_s),
        # Only how long a worker may be stuck: a request has deadlines of its own.
        "timeout": 60,
        "max_requests": 0,
        # Sockets must not be made before gevent has patched the worker.
        "preload_app": False,
        "accesslog": None,
        "loglevel": settings.log.level,
        "control_socket_disable": True,
        # SECURITY: gunicorn believes SCRIPT_NAME, PATH_INFO and X-Forwarded-Proto of local peers, and
        # of every peer on a Unix socket. Whom we believe is decided in `middleware/caller_address.py`.
        "forwarded_allow_ips": "",
        "forwarder_headers": "",
        "secure_scheme_headers": {},
        # What follows is for gunicorn's stock worker; ours has the same limits from its settings.
        # SECURITY: gunicorn's optional C parser takes bare line feeds in some versions.
        "http_parser": "python",
        "limit_request_line": min(server.max_request_line_bytes, _MAX_GUNICORN_REQUEST_LINE),
        "limit_request_fields": server.max_headers,
        "limit_request_field_size": server.max_head_bytes,
        **gunicorn_tls(server.tls),
        "ssl_context": caller_tls(server),
    }


try:
    _settings = load()
    globals().update(gunicorn_settings(_settings))
except ConfigError as _error:
    sys.stderr.write(render_report(_error))
    sys.exit(2)


def when_ready(server: Arbiter) -> None:
    """The sockets are open and no worker runs yet: make what workers share, and guard SIGHUP."""
    # A master that takes over from another (SIGUSR2) finds the files of workers that still run.
    directory, is_ours = _metrics_directory()
    if not server.master_pid:
        clear(directory)
    if is_ours and server.cfg.uid != os.geteuid():
        os.chown(directory, server.cfg.uid, server.cfg.gid)
    try:
        _provide(server, _settings)
    except ConfigError as error:
        server.halt(render_report(error), exit_status=2)
    server.spawn_worker = partial(_spawn_deaf, server.spawn_worker)  # type: ignore[method-assign]
    provide = partial(_provide, server)
    rollout = Rollout(server, _retired(server), _settings, provide=provide)
    Reload(
        server,
        rollout,
        provide=provide,
        configure=lambda settings: globals().update(gunicorn_settings(settings)),
        directory=directory,
    )
    # There is no hook for it, but this the master does every second.
    server.murder_workers = partial(_look_after, server.murder_workers)  # type: ignore[method-assign]


def post_fork(server: Arbiter, worker: Worker) -> None:
    """In the new worker: let it be stopped from the start, and tell it what it shares with whom.

    Until gunicorn sets its handlers, a tenth of a second later, the worker has the master's, which
    do nothing here: it would not hear that it should end, and hold up the end of all.
    """
    del worker
    for number in _ENDINGS:
        signal.signal(number, _leave)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, _ENDINGS)
    _retired(server).forget_in_child()
    # Limits are divided among them while the shared state is away.
    set_in_environment("WEB_CONCURRENCY", str(server.num_workers))
    set_in_environment(MASTER, f"{server.pid}-{_OF_THIS_MASTER}")
    # Only for workers: the master, when it reads the configuration anew, must not take it for an answer.
    if url := _own_redis().url:
        set_in_environment(OWN_REDIS, url)
    # prometheus_client looks once, when it is imported. A file of this number is of one that has ended.
    directory = _metrics_directory()[0]
    try:
        absorb(directory, (os.getpid(),))
    except OSError as error:
        # This worker goes on where that one ended, in the same file.
        _tell_not_added_up(error)
    set_in_environment(DIRECTORY_VARIABLE, str(directory))


def child_exit(server: Arbiter, worker: Worker) -> None:
    """Forget the gauges of a worker that has ended; what it has counted is added to that of others.

    It looks tidier to have prometheus_client do it; but once imported in the master, where the
    metrics are not shared, it would not share those of later workers either.
    """
    del server
    _gone().add(int(worker.pid))
    try:
        _absorb_gone()
    except OSError as error:
        _tell_not_added_up(error)


def _tell_not_added_up(error: OSError) -> None:
    sys.stderr.write(f"Metrics of workers that have ended could not be added up yet: {error}\n")


def _absorb_gone() -> None:
    """Add up what workers that have ended have counted. Raises OSError; it is tried again each second."""
    if _gone():
        absorb(_metrics_directory()[0], _gone())
        _gone().clear()


def on_exit(server: Arbiter) -> None:
    """Take away what was said of this gateway, and the directory of the metrics, if we have made it."""
    notice.withdraw(server.pid)
    directory, is_ours = _metrics_directory()
    if is_ours:
        shutil.rmtree(directory, ignore_errors=True)


def _spawn_deaf(spawn: Callable[[], int]) -> int:
    """Start a worker that hears only once it has an ear of its own, and then what was said meanwhile.

    With the master's handlers it would take its end for the master's, and forget it.
    """
    signal.pthread_sigmask(signal.SIG_BLOCK, _ENDINGS)
    try:
        return spawn()
    finally:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, _ENDINGS)


def _leave(number: int, frame: FrameType | None) -> NoReturn:
    del number, frame
    os._exit(0)


@cache
def _gone() -> set[int]:
    """Workers that have ended and whose metrics have not been added up."""
    return set()


@cache
def _own_redis() -> OwnRedis:
    return OwnRedis()


@cache
def _admin_port() -> AdminPort:
    return AdminPort()


@cache
def _retired(server: Arbiter) -> RetiredWorkers:
    # Processes of a dyno may get several SIGTERMs that mean one (Heroku, "Dyno Shutdown Behavior").
    return RetiredWorkers(server, may_be_told_again="DYNO" in copy_of_environment())


@cache
def _metrics_directory() -> tuple[Path, bool]:
    """Where the workers share their metrics, and whether it is ours to remove."""
    given = copy_of_environment().get(DIRECTORY_VARIABLE)
    if not given:
        return Path(tempfile.mkdtemp(prefix="falcongate-metrics-")), True
    directory = Path(given)
    try:
        directory.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        sys.stderr.write(f"{DIRECTORY_VARIABLE}: cannot make the directory {given}: {error.strerror}\n")
        sys.exit(2)
    return directory, False


def _look_after(go_on: Callable[[], None]) -> None:
    go_on()
    _own_redis().look_after()
    with suppress(OSError):
        _absorb_gone()


def _provide(server: Arbiter, settings: GatewaySettings) -> None:
    """Let workers that are started from now on find what these settings need. Raises ConfigError."""
    _own_redis().provide(settings.redis, server)
    _admin_port().provide(settings.admin.bind, server)
    adopt(settings)
