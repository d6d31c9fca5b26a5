"""What the variables of a platform say, as values; pure."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from pydantic import SecretStr

from falcongate.config.mistakes import shown
from falcongate.errors import ConfigProblem

if TYPE_CHECKING:
    from collections.abc import Mapping

ENVIRONMENT: Final = "environment"
MICROSERVICE_URLS: Final = "MICROSERVICE_URLS"
REDIS_TRUST: Final = "REDIS_INSECURE_SKIP_VERIFY"
"""How `redis.insecure_skip_verify` is said where there is no file, as REDIS_URL says `redis.url`."""
OWN_REDIS: Final = "FALCONGATE_OWN_REDIS"
"""How gunicorn's master tells its workers where the Redis is that it has started for them."""
MASTER: Final = "FALCONGATE_MASTER"
"""How gunicorn's master tells its workers by which name it is known, which no other master has."""

_MAX_DIGITS: Final = 9
_MIN_TOKEN_LENGTH: Final = 16
_HOW_TO_SAY_URLS: Final = 'write {"hr": "http://host:8004"} or hr=http://host:8004,lms=http://host:8005'


@dataclass(frozen=True, slots=True)
class ProcessSettings:
    """What the platform says of the processes; None: not said.

    `port` to listen on, how many `workers`, the `admin_token` of those who may steer the gateway. What its
    master says: its own name, `master`, and the address of the gateway's own Redis, `own_redis`. `no_color`
    is what people say who want no colours on their terminals (no-color.org).
    """

    port: int | None
    workers: int | None
    admin_token: SecretStr | None
    master: str | None
    own_redis: str | None
    no_color: bool


def parse_process(environ: Mapping[str, str]) -> tuple[ProcessSettings, list[ConfigProblem]]:
    """PORT, WEB_CONCURRENCY and FALCONGATE_ADMIN_TOKEN, and what is wrong with them."""
    problems: list[ConfigProblem] = []

    def number(name: str, most: int) -> int | None:
        text = environ.get(name, "").strip()
        if text.isascii() and text.isdigit() and len(text) <= _MAX_DIGITS and 1 <= int(text) <= most:
            return int(text)
        if text:
            remedy = f"must be a whole number from 1 to {most}"
            problems.append(ConfigProblem(ENVIRONMENT, name, shown(text), remedy))
        return None

    token = environ.get("FALCONGATE_ADMIN_TOKEN", "").strip()
    if token and (len(token) < _MIN_TOKEN_LENGTH or not token.isascii() or not token.isprintable()):
        remedy = (
            f"must be at least {_MIN_TOKEN_LENGTH} characters of ASCII; make one with: openssl rand -hex 32"
        )
        problems.append(ConfigProblem(ENVIRONMENT, "FALCONGATE_ADMIN_TOKEN", "", remedy))
    made = ProcessSettings(
        port=number("PORT", 65_535),
        workers=number("WEB_CONCURRENCY", 256),
        admin_token=SecretStr(token) if token else None,
        master=environ.get(MASTER) or None,
        own_redis=environ.get(OWN_REDIS) or None,
        no_color=bool(environ.get("NO_COLOR")),
    )
    return made, problems


def parse_microservice_urls(text: str) -> tuple[dict[str, Any], list[ConfigProblem]]:
    """Services and their addresses, and what cannot be read.

    Both ways to write it: a JSON object, with a text or a list for each name, or
    `hr=http://a:1,messaging=http://b:2`, where a name may come again with a further address.
    """
    text = text.strip()
    if text.startswith(("{", "[")):
        return _parse_json_urls(text)
    services: dict[str, Any] = {}
    problems: list[ConfigProblem] = []
    for entry in filter(None, (part.strip() for part in text.split(","))):
        name, _, url = (part.strip() for part in entry.partition("="))
        if name and url:
            services.setdefault(_printable(name), []).append(url)
        else:
            problems.append(ConfigProblem(ENVIRONMENT, MICROSERVICE_URLS, shown(entry), _HOW_TO_SAY_URLS))
    return services, problems


def _parse_json_urls(text: str) -> tuple[dict[str, Any], list[ConfigProblem]]:
    problems: list[ConfigProblem] = []

    def once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        services: dict[str, Any] = {}
        for name, urls in pairs:
            if name in services:
                remedy = "names a service twice; give it one list of addresses"
                problems.append(ConfigProblem(ENVIRONMENT, MICROSERVICE_URLS, shown(name), remedy))
            services[_printable(name)] = urls
        return services

    try:
        value = json.loads(text, object_pairs_hook=once)
    except (ValueError, RecursionError) as error:
        where = f" ({error})" if isinstance(error, json.JSONDecodeError) else ""
        remedy = f"not valid JSON{where}; {_HOW_TO_SAY_URLS}"
        return {}, [ConfigProblem(ENVIRONMENT, MICROSERVICE_URLS, "", remedy)]
    if not isinstance(value, dict):
        return {}, [ConfigProblem(ENVIRONMENT, MICROSERVICE_URLS, shown(value), _HOW_TO_SAY_URLS)]
    return value, problems


def _printable(name: str) -> str:
    """`name` without lone surrogates, which no service may have in its name and pydantic spells anew."""
    return name.encode("utf-8", "replace").decode("utf-8")
