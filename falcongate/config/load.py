"""From a file and the environment to settings, or to one report of every mistake.

The only reader of the environment. Nothing is started, changed or connected to here.
"""

from __future__ import annotations

import difflib
import json
import os
import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from pydantic import BaseModel, ValidationError

from falcongate.config.checks import contradictions
from falcongate.config.expand import Expansion
from falcongate.config.settings import GatewaySettings, ServiceSettings
from falcongate.errors import ConfigError, ConfigProblem

if TYPE_CHECKING:
    from collections.abc import Mapping

_ENVIRONMENT: Final = "environment"
_SECRETS: Final = frozenset(("redis.url", "REDIS_URL"))
_MAX_SHOWN: Final = 80


@dataclass(frozen=True, slots=True)
class ProcessSettings:
    """What the platform says of the processes: `port` to listen on (None: not said), `workers`."""

    port: int | None
    workers: int | None


def load(environ: Mapping[str, str] | None = None, path: str | None = None) -> GatewaySettings:
    """The settings of `path`, else of the file in FALCONGATE_CONFIG, else of the environment alone.

    Raises ConfigError with all mistakes at once.
    """
    environ = os.environ if environ is None else environ
    path = path or environ.get("FALCONGATE_CONFIG") or None
    source = path or _ENVIRONMENT
    expansion = Expansion(environ, source)
    document = expansion.expand(_read(path)) if path else {}
    problems = list(expansion.problems)
    if not isinstance(document.get("services", {}), dict):
        problems.append(ConfigProblem(source, "services", "", "must be tables like [services.hr]"))
        raise ConfigError(tuple(problems))
    from_environment = _take_environment(document, environ, problems)
    secrets = _SECRETS | expansion.secret_keys
    unfinished = {problem.key.partition("[")[0] for problem in problems}
    try:
        settings = GatewaySettings.model_validate(document)
    except ValidationError as error:
        found = _problems_of(error, source, from_environment, secrets)
        # A value that could not be expanded is reported once, for what it is.
        problems += [problem for problem in found if problem.key.partition("[")[0] not in unfinished]
        raise ConfigError(tuple(problems)) from None
    problems += contradictions(settings, source)
    if problems:
        raise ConfigError(tuple(problems))
    return settings


def load_process(environ: Mapping[str, str] | None = None) -> ProcessSettings:
    """PORT and WEB_CONCURRENCY. Raises ConfigError."""
    environ = os.environ if environ is None else environ
    problems: list[ConfigProblem] = []
    port = _number(environ, "PORT", 65_535, problems)
    workers = _number(environ, "WEB_CONCURRENCY", 256, problems)
    if problems:
        raise ConfigError(tuple(problems))
    return ProcessSettings(port, workers)


def copy_of_environment() -> dict[str, str]:
    """The environment, for processes that are to be started with it."""
    return dict(os.environ)


def set_in_environment(name: str, value: str) -> str:
    """Set a variable for this process and those it starts, unless it is set; answer what it is."""
    return os.environ.setdefault(name, value)


def render_report(error: ConfigError) -> str:
    """The report for people: a line for each mistake, then how many there are."""
    lines = [f"  {problem}" for problem in error.problems]
    count = len(error.problems)
    mistakes = "1 mistake" if count == 1 else f"{count} mistakes"
    return "\n".join(["The configuration cannot be used:", *lines, f"{mistakes}; nothing was started.", ""])


def json_schema() -> dict[str, Any]:
    """The schema for editors. Any value may also be a text with a reference like `${NAME}`."""
    schema = GatewaySettings.model_json_schema()
    reference = {"type": "string", "pattern": r"\$\{"}

    def loosen(node: Any) -> Any:
        if isinstance(node, list):
            return [loosen(item) for item in node]
        if not isinstance(node, dict):
            return node
        node = {key: loosen(item) for key, item in node.items()}
        if node.get("type") in ("string", "number", "integer", "boolean") and "properties" not in node:
            kept = {key: node.pop(key) for key in ("description", "title", "default") if key in node}
            return {**kept, "anyOf": [node, reference]}
        return node

    loosened = loosen(schema)
    assert isinstance(loosened, dict)  # noqa: S101  # a schema is an object
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **loosened}


def _read(path: str) -> dict[str, Any]:
    try:
        with Path(path).open("rb") as file:
            return tomllib.load(file)
    except OSError as error:
        problem = ConfigProblem(path, "", "", f"the file cannot be read: {error.strerror}")
    except UnicodeDecodeError:
        problem = ConfigProblem(path, "", "", "the file must be UTF-8 text")
    except tomllib.TOMLDecodeError as error:
        problem = ConfigProblem(path, "", "", f"not valid TOML: {error}")
    raise ConfigError((problem,))


def _take_environment(
    document: dict[str, Any], environ: Mapping[str, str], problems: list[ConfigProblem]
) -> dict[str, str]:
    """Put what the environment says into `document`; answer which keys came from which variable."""
    origin: dict[str, str] = {}
    services = document.setdefault("services", {})
    for name, urls in _microservice_urls(environ.get("MICROSERVICE_URLS", ""), problems).items():
        service = services.setdefault(name, {})
        if isinstance(service, dict):
            service["url"] = urls
            origin[f"services.{name}"] = "MICROSERVICE_URLS"
    redis = document.setdefault("redis", {})
    if environ.get("REDIS_URL") and isinstance(redis, dict) and "url" not in redis:
        redis["url"] = environ["REDIS_URL"]
        origin["redis.url"] = "REDIS_URL"
    return origin


def _microservice_urls(text: str, problems: list[ConfigProblem]) -> dict[str, Any]:
    """Both ways to write it: a JSON object, or `hr=http://a:1,messaging=http://b:2`."""
    text = text.strip()
    remedy = 'write {"hr": "http://host:8004"} or hr=http://host:8004,lms=http://host:8005'
    if text.startswith("{"):
        try:
            value = json.loads(text)
        except ValueError as error:
            remedy = f"not valid JSON ({error}); {remedy}"
            problems.append(ConfigProblem(_ENVIRONMENT, "MICROSERVICE_URLS", "", remedy))
            return {}
        return value if isinstance(value, dict) else {}
    services: dict[str, Any] = {}
    for entry in filter(None, (part.strip() for part in text.split(","))):
        name, equals, url = entry.partition("=")
        if not equals or not name.strip() or not url.strip():
            problems.append(ConfigProblem(_ENVIRONMENT, "MICROSERVICE_URLS", repr(entry), remedy))
        elif name.strip() in services:
            services[name.strip()] = [*services[name.strip()], url.strip()]
        else:
            services[name.strip()] = [url.strip()]
    return services


def _number(environ: Mapping[str, str], name: str, most: int, problems: list[ConfigProblem]) -> int | None:
    text = environ.get(name, "").strip()
    if not text:
        return None
    if not text.isascii() or not text.isdigit() or not 1 <= int(text) <= most:
        problems.append(ConfigProblem(_ENVIRONMENT, name, repr(text), f"must be a number from 1 to {most}"))
        return None
    return int(text)


def _problems_of(
    error: ValidationError, source: str, origin: dict[str, str], secrets: frozenset[str] | set[str]
) -> list[ConfigProblem]:
    problems = []
    for detail in error.errors(include_url=False, include_context=False):
        location = tuple(part for part in detail["loc"] if part != "[key]")
        key = _key_of(location)
        variable = next((name for prefix, name in origin.items() if key.startswith(prefix)), "")
        is_secret = any(key == secret or key.startswith(secret + ".") for secret in secrets)
        found = "" if detail["type"] == "missing" else _shown(detail["input"], is_secret=is_secret)
        problems.append(
            ConfigProblem(
                source=_ENVIRONMENT if variable else source,
                key=f"{variable}: {key}" if variable else key,
                found=found,
                remedy=_remedy(detail["type"], detail["msg"], location),
            )
        )
    return problems


def _key_of(location: tuple[int | str, ...]) -> str:
    key = ""
    for part in location:
        key += f"[{part}]" if isinstance(part, int) else f".{part}" if key else part
    return key


def _shown(value: object, *, is_secret: bool) -> str:
    if is_secret:
        return "a secret, not shown"
    if isinstance(value, (dict, BaseModel)):
        return "a table"
    text = repr(value)
    return text if len(text) <= _MAX_SHOWN else text[:_MAX_SHOWN] + "…"


def _remedy(kind: str, message: str, location: tuple[int | str, ...]) -> str:
    if kind == "missing":
        return "is missing"
    if kind != "extra_forbidden":
        return message.removeprefix("Value error, ").removeprefix("Input ")
    known = _names_beside(location)
    nearest = difflib.get_close_matches(str(location[-1]), known, n=1, cutoff=0.5)
    if nearest:
        return f"no such setting; did you mean {nearest[0]}?"
    return f"no such setting; known here: {', '.join(known)}"


def _names_beside(location: tuple[int | str, ...]) -> list[str]:
    """The names of all settings in the table that `location` is in."""
    model: Any = GatewaySettings
    for part in location[:-1]:
        field = model.model_fields.get(part) if hasattr(model, "model_fields") else None
        if field is None:
            continue  # the name of a service
        model = field.annotation
        if part == "services":
            model = ServiceSettings
    return sorted(getattr(model, "model_fields", {}))
