"""The operator's commands. Each asks the room it concerns and prints what it is told; no rule is here.

Exit statuses: 0, 1 for "no" (explained: the gateway would refuse it), 2 for mistakes in the
configuration or the command line.
"""

from __future__ import annotations

import json
import os
import sys
from argparse import ArgumentParser, ArgumentTypeError, Namespace
from functools import partial
from io import TextIOWrapper
from typing import TYPE_CHECKING, Any, Final, NoReturn

from falcongate import __version__, demo
from falcongate.commands.audit import add_audit_command
from falcongate.commands.breaker import add_breaker_command
from falcongate.commands.doctor import add_doctor_command
from falcongate.commands.explain import explain, rewriting
from falcongate.commands.keys import add_keys_command
from falcongate.commands.reload import add_reload_command
from falcongate.commands.terminal import aligned, number, shown
from falcongate.commands.tokens import add_tokens_command
from falcongate.commands.why import add_why_command
from falcongate.config.advice import advice_on
from falcongate.config.load import copy_of_environment, json_schema, load, load_process, render_report
from falcongate.errors import ConfigError
from falcongate.refusals import Refusal
from falcongate.routing.table import Route, RouteTable
from falcongate.state.embedded import find_program

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from falcongate.config.redis import RedisSettings
    from falcongate.config.settings import GatewaySettings

_HOST: Final = "127.0.0.1"
_PORT: Final = 8000


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command and answer its exit status."""
    if isinstance(sys.stdout, TextIOWrapper):
        # A path may be of bytes that no terminal has signs for; that is when it most needs explaining.
        sys.stdout.reconfigure(errors="backslashreplace")
    arguments = _parser().parse_args(argv)
    try:
        status: int = arguments.run(arguments)
        sys.stdout.flush()
    except ConfigError as error:
        sys.stderr.write(render_report(error))
        return 2
    except BrokenPipeError:
        # Whoever read it, `head` for one, has seen enough; what is left must not fail at the end.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    return status


def _parser() -> ArgumentParser:
    parser = ArgumentParser(prog="falcongate", description="An API gateway.")
    parser.add_argument("--version", action="version", version=f"falcongate {__version__}")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    def command(name: str, run: object, purpose: str, *options: ArgumentParser) -> ArgumentParser:
        made = commands.add_parser(name, help=purpose, description=purpose, parents=options)
        made.set_defaults(run=run)
        return made

    with_config, with_workers = (ArgumentParser(add_help=False) for _ in range(2))
    with_config.add_argument("--config", metavar="FILE", help="TOML file; else the one in FALCONGATE_CONFIG")
    with_workers.add_argument("--workers", type=number, metavar="N", help="processes; else WEB_CONCURRENCY")

    serve = command("serve", _serve, "Run the gateway.", with_config, with_workers)
    serve.add_argument("--bind", metavar="ADDRESS", help="host:port or unix:path; else 127.0.0.1 and PORT")
    check = command("check", _check, "Validate the configuration and print what would run.", with_config)
    check.add_argument("--json-schema", action="store_true", help="print the schema of the file, for editors")
    command("routes", _routes, "Print which path leads to which service.", with_config)
    explain = command("explain", _explain, "Tell what would happen to a request.", with_config)
    explain.add_argument("method", metavar="METHOD")
    explain.add_argument("target", metavar="PATH", help="as in a request line: /api/hr/x?y=z")
    add_reload_command(command)
    add_doctor_command(command, with_config)
    add_breaker_command(command, with_config)
    add_keys_command(command, with_config)
    add_audit_command(command, with_config)
    add_tokens_command(command, with_config)
    add_why_command(command, with_config)
    demonstrate = command("demo", _demo, "Run small services to try the gateway with.", with_workers)
    demonstrate.add_argument("--host", default="127.0.0.1", help="address they listen on")
    demonstrate.add_argument(
        "--port", type=partial(number, least=0, most=65_535), help="play all services on this one port"
    )
    demonstrate.add_argument("--serve", action="store_true", help="run the gateway in front of them, too")
    demonstrate.add_argument("--bind", type=_host_and_port, metavar="HOST:PORT", help="of the gateway")
    return parser


def _host_and_port(text: str) -> tuple[str, int]:
    host, _, port = text.rpartition(":")
    if not host:
        raise ArgumentTypeError(f"must be like 127.0.0.1:8000, not {text!r}")
    return host, number(port, 0, 65_535)


def _serve(arguments: Namespace) -> int:
    settings, process = load(path=arguments.config), load_process()
    for advice in advice_on(settings):
        print(f"warning: {advice.found}; {advice.remedy}", file=sys.stderr)
    changes = {"FALCONGATE_CONFIG": arguments.config} if arguments.config else {}
    bind = arguments.bind or f"{_HOST}:{process.port or _PORT}"
    _become_gunicorn(changes, bind=bind, workers=arguments.workers)


def _become_gunicorn(changes: Mapping[str, str], *, bind: str, workers: int | None) -> NoReturn:
    """Let gunicorn take the place of this process, so that signals reach it."""
    command = [
        sys.executable,
        "-m",
        "gunicorn",
        "-c",
        "python:falcongate.server.gunicorn_conf",
        "--bind",
        bind,
    ]
    command += ["--workers", str(workers)] if workers else []
    sys.stdout.flush()
    sys.stderr.flush()
    os.execve(sys.executable, [*command, "falcongate.wsgi:app"], copy_of_environment() | dict(changes))  # noqa: S606


def _check(arguments: Namespace) -> int:
    if arguments.json_schema:
        print(json.dumps(json_schema(), indent=2))
        return 0
    settings, process = load(path=arguments.config), load_process()
    services = "1 service" if len(settings.services) == 1 else f"{len(settings.services)} services"
    port = process.port or f"{_PORT} (PORT is not set)"
    workers = process.workers or "one a core, four at most (WEB_CONCURRENCY is not set)"
    print(f"The configuration is valid: {services}, port {port}, workers: {workers}.")
    print(f"Shared state: {_shared_state(settings.redis)}.")
    print("\nSet, where it differs from the default:")
    said = dict(_flat(settings.model_dump(mode="json", exclude_defaults=True)))
    print("\n".join(f"  {key} = {value}" for key, value in said.items()) or "  nothing")
    for advice in advice_on(settings):
        print(f"\nwarning: {advice.found}; {advice.remedy}")
    return 0


def _shared_state(settings: RedisSettings) -> str:
    if settings.url is not None:
        return "the Redis of redis.url"
    program = find_program()
    if program is None:
        return "none, each worker keeps its own; set REDIS_URL, or install redis-server"
    kept = f"kept in {settings.embedded_directory}" if settings.embedded_directory else "forgotten at the end"
    return f"a Redis of the gateway's own, {program}, {kept}"


def _flat(table: Mapping[str, Any], before: str = "") -> Iterator[tuple[str, str]]:
    """Settings by their full key, as text; secrets have been masked by their type."""
    for key, value in table.items():
        name = before + (key if key.replace("_", "").replace("-", "").isalnum() else json.dumps(key))
        if isinstance(value, dict):
            yield from _flat(value, name + ".")
        else:
            yield name, json.dumps(value, ensure_ascii=False)


def _routes(arguments: Namespace) -> int:
    settings = load(path=arguments.config)
    table = RouteTable(settings)
    rows = [("PATH", "SERVICE", "TARGETS", "TIMEOUT", "PUBLIC", "REWRITING")]
    for route in sorted(table.routes, key=lambda route: route.prefix):
        targets, timeout = ", ".join(route.settings.url), f"{route.settings.timeout_s:g} s"
        public = _public_below(settings, table, route)
        rows.append((route.prefix, route.service, targets, timeout, public, rewriting(route)))
    print(aligned(rows))
    print("\nPublic paths:", *(settings.public_paths or ["none"]), sep="\n  ")
    timeouts = [f"{seconds:g} s  {endpoint}" for endpoint, seconds in settings.endpoint_timeouts.items()]
    print("\nTimeouts by endpoint:", *(timeouts or ["none"]), sep="\n  ")
    return 0


def _public_below(settings: GatewaySettings, table: RouteTable, route: Route) -> str:
    """How many of the public paths lie on a route."""
    examples = [text.rstrip("/").removesuffix("/**").replace("*", "x") for text in settings.public_paths]
    count = sum(table.candidates(example)[:1] == [route] for example in examples)
    return str(count) if count else "-"


def _explain(arguments: Namespace) -> int:
    settings = load(path=arguments.config)
    print(f"{shown(arguments.method)} {shown(arguments.target)}\n")
    try:
        rows = explain(settings, arguments.method, os.fsencode(arguments.target))
    except Refusal as refusal:
        why = f"{refusal.status} {refusal.problem}: {refusal.detail}"
        print(aligned([("refused", why), ("", refusal.suggestion)]))
        return 1
    print(aligned(list(rows)))
    return 0


def _demo(arguments: Namespace) -> int:
    bind = arguments.bind or (_HOST, load_process().port or _PORT)
    place, remedy = f"{arguments.host}:{arguments.port or '*'}", "give another --host or --port"
    try:
        services = demo.listen(arguments.host, arguments.port)
        place, remedy = f"{bind[0]}:{bind[1]}", "give another --bind, or set PORT"
        entrance = demo.Entrance(*bind) if arguments.serve else None
    except OSError as error:
        print(f"falcongate demo: cannot listen on {place}: {error.strerror}; {remedy}", file=sys.stderr)
        return 1
    urls = demo.urls_of(services)
    if entrance is None:
        print(f"MICROSERVICE_URLS='{urls}'", flush=True)
        demo.serve(services)
        return 0
    demo.serve_behind(entrance, services)
    _become_gunicorn({"MICROSERVICE_URLS": urls}, bind=f"fd://{entrance.fileno()}", workers=arguments.workers)
