"""The operator's commands. Each asks the room it concerns and prints what it is told; no rule is here.

Exit statuses: 0, 1 for "no" (explained: the gateway would refuse it), 2 for mistakes in the
configuration or the command line.
"""

from __future__ import annotations

import json
import os
import re
import sys
from argparse import ArgumentParser, ArgumentTypeError, Namespace
from functools import partial
from io import TextIOWrapper
from typing import TYPE_CHECKING, Any, Final, NoReturn
from urllib.parse import urlsplit

from falcongate import __version__, demo
from falcongate.config.load import copy_of_environment, json_schema, load, load_process, render_report
from falcongate.errors import ConfigError, MalformedRequest, MethodNotAllowed, Refusal
from falcongate.routing.path import normal_form, origin_form, split_target
from falcongate.routing.table import Match, Route, RouteTable
from falcongate.server.http1 import parse_head
from falcongate.upstream.rewrite import rewritten_target, strips_prefix
from falcongate.wire.fields import FieldBlock

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from falcongate.config.settings import GatewaySettings

_HOST: Final = "127.0.0.1"
_PORT: Final = 8000
# What `app.py` adds as doors of our own; all else is for the services.
_OWN_PATH: Final = re.compile(r"/(?:health(?:/live|/ready)?|metrics|ws/[^/]+(?:/.*)?)/?")


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command and answer its exit status."""
    if isinstance(sys.stdout, TextIOWrapper):
        # A path may be of bytes that no terminal has signs for; that is when it most needs explaining.
        sys.stdout.reconfigure(errors="backslashreplace")
    arguments = _parser().parse_args(argv)
    try:
        status: int = arguments.run(arguments)
    except ConfigError as error:
        sys.stderr.write(render_report(error))
        return 2
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
    with_workers.add_argument("--workers", type=_number, metavar="N", help="processes; else WEB_CONCURRENCY")

    serve = command("serve", _serve, "Run the gateway.", with_config, with_workers)
    serve.add_argument("--bind", metavar="ADDRESS", help="host:port or unix:path; else 127.0.0.1 and PORT")
    check = command("check", _check, "Validate the configuration and print what would run.", with_config)
    check.add_argument("--json-schema", action="store_true", help="print the schema of the file, for editors")
    command("routes", _routes, "Print which path leads to which service.", with_config)
    explain = command("explain", _explain, "Tell what would happen to a request.", with_config)
    explain.add_argument("method", metavar="METHOD")
    explain.add_argument("target", metavar="PATH", help="as in a request line: /api/hr/x?y=z")
    demonstrate = command("demo", _demo, "Run small services to try the gateway with.", with_workers)
    demonstrate.add_argument("--host", default="127.0.0.1", help="address they listen on")
    demonstrate.add_argument(
        "--port", type=partial(_number, least=0, most=65_535), help="play all services on this one port"
    )
    demonstrate.add_argument("--serve", action="store_true", help="run the gateway in front of them, too")
    demonstrate.add_argument("--bind", type=_host_and_port, metavar="HOST:PORT", help="of the gateway")
    return parser


def _number(text: str, least: int = 1, most: int = 256) -> int:
    if not text.isascii() or not text.isdigit() or not least <= int(text) <= most:
        raise ArgumentTypeError(f"must be a number from {least} to {most}, not {text!r}")
    return int(text)


def _host_and_port(text: str) -> tuple[str, int]:
    host, _, port = text.rpartition(":")
    if not host:
        raise ArgumentTypeError(f"must be like 127.0.0.1:8000, not {text!r}")
    return host, _number(port, 0, 65_535)


def _serve(arguments: Namespace) -> int:
    settings, process = load(path=arguments.config), load_process()
    for warning in _warnings(settings):
        print(f"warning: {warning}", file=sys.stderr)
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
    print("\nSet, where it differs from the default:")
    said = dict(_flat(settings.model_dump(mode="json", exclude_defaults=True)))
    print("\n".join(f"  {key} = {value}" for key, value in said.items()) or "  nothing")
    for warning in _warnings(settings):
        print(f"\nwarning: {warning}")
    return 0


def _flat(table: Mapping[str, Any], before: str = "") -> Iterator[tuple[str, str]]:
    """Settings by their full key, as text; secrets have been masked by their type."""
    for key, value in table.items():
        name = before + (key if key.replace("_", "").replace("-", "").isalnum() else json.dumps(key))
        if isinstance(value, dict):
            yield from _flat(value, name + ".")
        else:
            yield name, json.dumps(value, ensure_ascii=False)


def _warnings(settings: GatewaySettings) -> Iterator[str]:
    if not settings.services:
        yield "no service is configured; set MICROSERVICE_URLS or write [services.<name>] in a file"
    for name, service in settings.services.items():
        if service.tls.insecure_skip_verify:
            yield (
                f"services.{name}.tls.insecure_skip_verify is on:"
                " anyone between the gateway and the service can read and change everything"
            )


def _routes(arguments: Namespace) -> int:
    settings = load(path=arguments.config)
    table = RouteTable(settings)
    rows = [("PATH", "SERVICE", "TARGETS", "TIMEOUT", "PUBLIC", "REWRITING")]
    for route in sorted(table.routes, key=lambda route: route.prefix):
        targets, timeout = ", ".join(route.settings.url), f"{route.settings.timeout_s:g} s"
        public = _public_below(settings, table, route)
        rows.append((route.prefix, route.service, targets, timeout, public, _rewriting(route)))
    print(_aligned(rows))
    print("\nPublic paths:", *(settings.public_paths or ["none"]), sep="\n  ")
    timeouts = [f"{seconds:g} s  {endpoint}" for endpoint, seconds in settings.endpoint_timeouts.items()]
    print("\nTimeouts by endpoint:", *(timeouts or ["none"]), sep="\n  ")
    return 0


def _public_below(settings: GatewaySettings, table: RouteTable, route: Route) -> str:
    """How many of the public paths lie on a route."""
    examples = [text.rstrip("/").removesuffix("/**").replace("*", "x") for text in settings.public_paths]
    count = sum(table.candidates(example)[:1] == [route] for example in examples)
    return str(count) if count else "-"


def _rewriting(route: Route) -> str:
    service = route.settings
    parts = [
        f"strip {service.strip_prefix}" if strips_prefix(route) else "",
        f"add {service.add_prefix}" if service.add_prefix else "",
        "append /" if service.append_slash else "",
    ]
    return ", ".join(filter(None, parts)) or "-"


def _aligned(rows: Sequence[Sequence[str]]) -> str:
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    padded = ("  ".join(map(str.ljust, row, widths)).rstrip() for row in rows)
    return "\n".join(padded)


def _explain(arguments: Namespace) -> int:
    settings = load(path=arguments.config)
    table = RouteTable(settings)
    method, raw_target = arguments.method, os.fsencode(arguments.target)
    print(f"{_shown(method)} {_shown(arguments.target)}\n")
    try:
        target, path = _judge(settings, method, raw_target)
        rows = [("judged as", _shown(path))]
        if is_own_path(path):
            rows += [("answered by", "the gateway itself")]
        else:
            match = table.match(path)
            rows += [*_way(match, method, target, table.candidates(path)[1:]), *_rules(settings, match)]
    except Refusal as refusal:
        why = f"{refusal.status} {refusal.problem}: {refusal.detail}"
        print(_aligned([("refused", why), ("", refusal.suggestion)]))
        return 1
    print(_aligned(rows))
    return 0


def _shown(text: str) -> str:
    """An argument without what would move a terminal's cursor."""
    return "".join(sign if sign.isprintable() else ascii(sign)[1:-1] for sign in text)


def _judge(settings: GatewaySettings, method: str, raw_target: bytes) -> tuple[bytes, str]:
    """The target in origin form and the path that rules see. Raises the Refusal that a caller would get."""
    host = re.split(rb"[/?#]", raw_target.partition(b"://")[2])[0] if raw_target[:1] != b"/" else b""
    request = b"%b %b HTTP/1.1\r\nHost: %b\r\n\r\n" % (os.fsencode(method), raw_target, host or b"gateway")
    head = parse_head(request, settings.server, FieldBlock(b"", [], {}))
    if (head.method, head.target) != (method, raw_target.decode("latin-1")):
        raise MalformedRequest("The request line would be more than one line.")
    if method in ("CONNECT", "TRACE"):
        raise MethodNotAllowed(f"{method} is never forwarded.")
    target = raw_target if raw_target.startswith(b"/") else origin_form(raw_target, host)
    return target, normal_form(split_target(target)[0])


def is_own_path(path: str) -> bool:
    """Whether the gateway answers a path itself, with and without a slash at its end."""
    return _OWN_PATH.fullmatch(path) is not None


def _way(match: Match, method: str, target: bytes, others: Iterable[Route]) -> Iterator[tuple[str, str]]:
    route = match.route
    service = route.settings
    yield "route", f"{route.prefix} -> {route.service}"
    for other in others:
        yield "passed over", f"{other.prefix} -> {other.service}: shorter"
    sent = rewritten_target(target, method, route)
    yield "sends", f"{method} {os.fsdecode(sent)} HTTP/1.1"
    yield "rewriting", _rewriting(route) if sent != target else "none: byte for byte"
    for url in service.url:
        host = "the caller's" if service.preserve_host else urlsplit(url).netloc
        yield "to", f"{url} (Host: {host})"


def _rules(settings: GatewaySettings, match: Match) -> Iterator[tuple[str, str]]:
    service, name = match.route.settings, match.route.service

    def origin(key: str) -> str:
        return f"services.{name}.{key}" if key in service.model_fields_set else "default"

    of_route = match.timeout_from.endswith(".timeout_s")
    yield "first byte", f"{match.timeout_s:g} s ({origin('timeout_s') if of_route else match.timeout_from})"
    for meaning, key in (
        ("connect", "connect_timeout_s"), ("pauses", "idle_timeout_s"), ("whole", "total_timeout_s"),
        ("connection", "pool_wait_s"),
    ):  # fmt: skip
        yield meaning, f"{getattr(service, key):g} s ({origin(key)})"
    yield "largest body", f"{service.max_body_bytes} bytes ({origin('max_body_bytes')})"
    yield "retries", f"{service.retries}, only where repeating is safe ({origin('retries')})"
    if match.is_public:
        cookies = f", cookies {', '.join(settings.credential_cookies)}" if settings.credential_cookies else ""
        yield "public", f"yes; removed: Authorization{cookies}"
    else:
        yield "public", "no; credentials are passed on"
    yield "policies", "none configured: no limit and no breaker applies"


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
