"""`falcongate doctor`: what is wrong with configuration, Redis, services and machine, and what to do.

Nothing is judged here. Checks run at the same time, each with an end; what hangs is told as such, and the
process ends without it.
"""

from __future__ import annotations

import sys
from collections import deque
from functools import partial
from queue import Empty, SimpleQueue
from threading import Thread
from time import monotonic
from typing import TYPE_CHECKING, Final, NamedTuple

from falcongate.commands.terminal import shown
from falcongate.config.advice import advice_on
from falcongate.config.load import copy_of_environment, load, load_process
from falcongate.config.version import version_of
from falcongate.errors import StoreAway
from falcongate.findings import Finding, Level, ok, problem, warning
from falcongate.server import notice
from falcongate.server.machine import read_machine, workers_unasked
from falcongate.server.machine_verdict import verdict_on_machine
from falcongate.server.platform_verdict import verdict_on_platform
from falcongate.state.embedded import find_program
from falcongate.state.redis_checkup import look_at_redis, why_away
from falcongate.state.redis_verdict import verdict_on, verdict_on_own
from falcongate.upstream.checkup import check_target

if TYPE_CHECKING:
    from argparse import ArgumentParser, Namespace
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from falcongate.config.redis import RedisSettings
    from falcongate.config.settings import GatewaySettings
    from falcongate.server.machine import Machine

_AT_ONCE: Final = 32
_LOOK_S: Final = 0.05
_MAX_SHOWN: Final = 1_000
_SAY_AFTER_S: Final = 1.0
_REDIS_S: Final = 20.0
_MACHINE_S: Final = 5.0
_NAME_S: Final = 5.0
_SECTIONS: Final = ("Configuration", "Redis", "Services", "Platform and machine")
_HOSTS: Final = {"Heroku": "dynos", "Kubernetes": "pods"}


class Check(NamedTuple):
    """Something to look at, in a section, within some seconds."""

    section: str
    name: str
    within_s: float
    run: Callable[[], Iterable[Finding]]


def add_doctor_command(command: Callable[..., ArgumentParser], *options: ArgumentParser) -> None:
    """Let `command` add what this module runs."""
    command("doctor", _doctor, "Look for what is wrong, and say what to do.", *options)


def _doctor(arguments: Namespace) -> int:
    settings = load(path=arguments.config)
    checks = _checks(settings, arguments.config)
    findings: dict[Check, Sequence[Finding]] = {}
    sections = deque(_SECTIONS)
    progress = _Progress()
    for check, found in run_checks(checks, progress.show):
        findings[check] = found
        while sections and all(one in findings for one in checks if one.section == sections[0]):
            progress.clear()
            section = sections.popleft()
            _print_section(
                section, [line for one in checks if one.section == section for line in findings[one]]
            )
    levels = [finding.level for found in findings.values() for finding in found]
    problems, warnings = levels.count(Level.PROBLEM), levels.count(Level.WARNING)
    print(f"{_many(problems, 'problem')}, {_many(warnings, 'warning')}.")
    return 1 if problems else 0


def _checks(settings: GatewaySettings, path: str | None) -> list[Check]:
    redis, machine = settings.redis, partial(read_machine, copy_of_environment())
    return [
        Check("Configuration", "configuration", _MACHINE_S, partial(_configuration, settings, path)),
        Check("Redis", "Redis", _REDIS_S, partial(check_redis, redis, machine)),
        *(
            Check(
                "Services",
                f"{name} at {url}",
                service.connect_timeout_s + _NAME_S,
                partial(check_target, name, url, service),
            )
            for name, service in settings.services.items()
            for url in service.url
        ),
        Check("Platform and machine", "this machine", _MACHINE_S, partial(_surroundings, settings, machine)),
    ]


def _configuration(settings: GatewaySettings, path: str | None) -> Iterator[Finding]:
    source = path or copy_of_environment().get("FALCONGATE_CONFIG")
    services = _many(len(settings.services), "service")
    yield ok(f"{source or 'no file, the environment alone'}: can be read and is valid, {services}")
    yield from advice_on(settings)
    version = version_of(settings)
    for gateway in notice.read_all():
        name = f"gateway {gateway.pid} on {gateway.listens}"
        if gateway.configuration == version:
            yield ok(f"{name} runs this configuration ({version})")
        else:
            yield warning(
                f"{name} runs another configuration ({gateway.configuration}, this is {version})",
                "falcongate reload, if it should run this one",
            )


def check_redis(settings: RedisSettings, machine: Callable[[], Machine]) -> Iterator[Finding]:
    """Findings on the Redis of the settings, or on there being none. Waits for its servers."""
    if settings.url is None:
        hosts = _HOSTS.get(machine().platform, "")
        yield verdict_on_own(find_program(), workers=_workers(), hosts=hosts)
        return
    try:
        look = look_at_redis(settings)
    except StoreAway as error:
        yield why_away(settings, error)
    else:
        yield from verdict_on(look, budget_ms=settings.budget_ms)


def _surroundings(settings: GatewaySettings, machine: Callable[[], Machine]) -> Iterator[Finding]:
    here = machine()
    yield ok(f"this is {here.platform}" if here.platform != "none" else "no platform is recognised")
    yield from verdict_on_platform(here.platform, settings)
    starts_redis = settings.redis.url is None and find_program() is not None
    yield from verdict_on_machine(
        here,
        workers=_workers(),
        max_connections=settings.server.max_connections,
        own_redis_bytes=settings.redis.embedded_max_memory_bytes if starts_redis else 0,
    )


def _workers() -> int:
    return load_process().workers or workers_unasked()


def run_checks(
    checks: Sequence[Check], waiting: Callable[[Sequence[str]], None]
) -> Iterator[tuple[Check, Sequence[Finding]]]:
    """Every check with its findings, as they end; `waiting` is called now and then with those that run."""
    results: SimpleQueue[tuple[Check, Sequence[Finding]]] = SimpleQueue()
    left, running = deque(checks), dict[Check, float]()
    while left or running:
        while left and len(running) < _AT_ONCE:
            check = left.popleft()
            running[check] = monotonic() + check.within_s
            # A resolver cannot be interrupted: what still hangs must not hold up the end of the process.
            Thread(target=_run_one, args=(check, results), daemon=True).start()
        try:
            check, findings = results.get(timeout=_LOOK_S)
        except Empty:
            waiting([one.name for one in running])
        else:
            if running.pop(check, None) is not None:
                yield check, findings
        for late in [one for one, end in running.items() if monotonic() > end]:
            del running[late]
            yield late, [_no_end(late)]


def _run_one(check: Check, results: SimpleQueue[tuple[Check, Sequence[Finding]]]) -> None:
    try:
        findings = list(check.run())
    except Exception as error:  # noqa: BLE001  # a defect in one check must not hide what the others find
        findings = [
            problem(f"{check.name}: this check failed: {error!r}", "report it, with what was checked")
        ]
    results.put((check, findings))


def _no_end(check: Check) -> Finding:
    return problem(
        f"{check.name}: no answer within {check.within_s:g} s",
        "see whether names are resolved here, and whether a firewall drops packets",
    )


class _Progress:
    """A line on a terminal that tells what is waited for; elsewhere one line, once."""

    def __init__(self) -> None:
        self._began = monotonic()
        self._is_terminal = sys.stderr.isatty()
        self._is_shown = False

    def show(self, names: Sequence[str]) -> None:
        """Tell it, unless it has not lasted long."""
        seconds = monotonic() - self._began
        if seconds < _SAY_AFTER_S or (self._is_shown and not self._is_terminal):
            return
        more = f" and {len(names) - 3} more" if len(names) > 3 else ""
        text = f"waiting for {', '.join(names[:3])}{more}"
        sys.stderr.write(f"\r\x1b[K{text} ({seconds:.0f} s)" if self._is_terminal else f"{text} ...\n")
        sys.stderr.flush()
        self._is_shown = True

    def clear(self) -> None:
        """Take it away before something else is written."""
        if self._is_terminal and self._is_shown:
            sys.stderr.write("\r\x1b[K")
            sys.stderr.flush()


def _print_section(name: str, findings: Sequence[Finding]) -> None:
    if not findings:
        return
    print(name)
    for finding in findings:
        # What servers say is somebody else's text: as long as they like, and it may end like a sentence.
        found = shown(finding.found[:_MAX_SHOWN]).rstrip(".")
        print(f"  {finding.level:<8} {found}{'...' if len(finding.found) > _MAX_SHOWN else '.'}")
        if finding.remedy:
            print(f"  {'':<8} To do: {shown(finding.remedy)}.")
    print(flush=True)


def _many(count: int, thing: str) -> str:
    return f"{count} {thing}{'s' * (count != 1)}"
