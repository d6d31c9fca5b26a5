"""What an operator has said, in a file and in variables, and where each part of it stands."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from pydantic import BaseModel, ValidationError

from falcongate.config.checks import contradictions
from falcongate.config.checks_admin import one_port_for_two
from falcongate.config.environment import (
    ENVIRONMENT,
    MASTER,
    MICROSERVICE_URLS,
    REDIS_TRUST,
    parse_microservice_urls,
    parse_process,
)
from falcongate.config.expand import Expansion
from falcongate.config.lines import line_of
from falcongate.config.mistakes import Mistake, is_secret, key_text, mistakes_of
from falcongate.config.settings import GatewaySettings
from falcongate.errors import ConfigProblem

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from falcongate.config.mistakes import Location

_SKIP: Final = "insecure_skip_verify"
_AT_LINE: Final = re.compile(r"\(at line (\d+)")


class Document:
    """A file, with references replaced and the environment's own words put in their places.

    `path` may be empty: then there is the environment alone. `problems` are complete after
    `settings()` was asked for: the file's in the order of their lines, then the environment's.
    """

    def __init__(self, path: str, environ: Mapping[str, str]) -> None:
        self.problems: list[ConfigProblem] = []
        self._path = path
        self._port = parse_process(environ)[0].port
        self._text = ""
        self._expansion = Expansion(environ)
        self._is_in_worker = bool(environ.get(MASTER))
        self._content: dict[str, Any] = self._expanded() if path else {}
        # Which variable a location came from as a whole.
        self._variables: dict[Location, str] = {}
        self._take_urls(environ.get(MICROSERVICE_URLS, ""))
        self._take_redis(environ.get("REDIS_URL", ""), environ.get(REDIS_TRUST, "").strip())

    def settings(self) -> GatewaySettings:
        """The settings of all that is right; what is wrong is in `problems`."""
        mistakes = list(self._expansion.mistakes)
        # A value that could not be expanded is reported once, for what it is.
        unfinished = {mistake.location for mistake in mistakes}
        mistakes += [
            mistake
            for mistake in _mistakes_in(self._content)
            if not _holds(self._as_written(mistake.location), unfinished)
        ]
        settings = GatewaySettings.model_validate(_sound_part(self._content, mistakes))
        mistakes += contradictions(settings, in_worker=self._is_in_worker)
        mistakes += one_port_for_two(settings.admin, self._port)
        if not mistakes:
            for location in self._expansion.hidden:
                _hide(settings, location)
        self._note(mistakes)
        return settings

    def _expanded(self) -> dict[str, Any]:
        try:
            content: dict[str, Any] = self._expansion.expand(self._read())
        except RecursionError:
            self.problems.append(ConfigProblem(self._path, "", "", "not valid TOML: nested too deeply"))
            return {}
        return content

    def _read(self) -> dict[str, Any]:
        try:
            # Editors on Windows begin a file with a byte order mark, which TOML 1.0 does not know.
            self._text = Path(self._path).read_bytes().decode("utf-8-sig").replace("\r\n", "\n")
            return tomllib.loads(self._text)
        except OSError as error:
            remedy = f"the file cannot be read: {error.strerror}"
        except UnicodeDecodeError:
            remedy = "the file must be UTF-8 text"
        except tomllib.TOMLDecodeError as error:
            remedy = f"not valid TOML: {error}"
        except RecursionError:
            remedy = "not valid TOML: nested too deeply"
        except ValueError:
            remedy = "not valid TOML: a number is too long"
        found = _AT_LINE.search(remedy)
        source = f"{self._path}:{found[1]}" if found else self._path
        self.problems.append(ConfigProblem(source, "", "", remedy))
        return {}

    def _take_urls(self, text: str) -> None:
        urls, problems = parse_microservice_urls(text)
        self.problems += problems
        services = self._content.setdefault("services", {})
        if not isinstance(services, dict):
            return  # a mistake that will be found
        for name, addresses in urls.items():
            service = services.get(name)
            if isinstance(service, dict):
                service["url"] = addresses
                self._variables["services", name, "url"] = MICROSERVICE_URLS
                self._expansion.forget(("services", name, "url"))
            elif service is None:
                services[name] = {"url": addresses}
                self._variables["services", name] = MICROSERVICE_URLS

    def _take_redis(self, url: str, trust: str) -> None:
        redis = self._content.setdefault("redis", {})
        if not isinstance(redis, dict):
            return  # a mistake that will be found
        if url and redis.get("url", "") == "":
            redis["url"] = url
            self._variables["redis", "url"] = "REDIS_URL"
        # The same variables are set for a machine whose Redis is spoken to without TLS.
        if trust and str(redis.get("url", "")).startswith("rediss") and _SKIP not in redis:
            redis[_SKIP] = trust
            self._variables["redis", _SKIP] = REDIS_TRUST

    def _note(self, mistakes: Iterable[Mistake]) -> None:
        from_file: list[tuple[int, ConfigProblem]] = []
        for mistake in mistakes:
            location = self._as_written(mistake.location)
            key, found = key_text(location), self._found(mistake, location)
            variable = self._variable_of(location)
            if variable:
                problem = ConfigProblem(ENVIRONMENT, f"{variable}: {key}", found, mistake.remedy)
                self.problems.append(problem)
            else:
                line = line_of(self._text, location) or 0
                source = f"{self._path}:{line}" if line else self._path
                from_file.append((line, ConfigProblem(source, key, found, mistake.remedy)))
        self.problems[:0] = [problem for _, problem in sorted(from_file, key=lambda noted: noted[0])]

    def _variable_of(self, location: Location) -> str:
        lengths = range(len(location), 0, -1)
        return next((name for end in lengths if (name := self._variables.get(location[:end], ""))), "")

    def _found(self, mistake: Mistake, location: Location) -> str:
        if not mistake.found:
            return ""
        from_file = any(
            location[: len(hidden)] == hidden or hidden[: len(location)] == location
            for hidden in self._expansion.hidden
        )
        if from_file or is_secret(location):
            return "a secret, not shown"
        references = self._expansion.variables.get(location)
        return f"{mistake.found} from {', '.join(references)}" if references else mistake.found

    def _as_written(self, location: Location) -> Location:
        """Without the index that pydantic gives to a text that stands for a list of one."""
        here: Any = self._content
        for at, part in enumerate(location):
            if isinstance(part, int) and not isinstance(here, list):
                return location[:at]
            try:
                here = here[part]
            except (KeyError, IndexError, TypeError):
                here = None  # a setting that is missing, or the default of one
        return location


def _mistakes_in(content: dict[str, Any]) -> list[Mistake]:
    try:
        GatewaySettings.model_validate(content)
    except ValidationError as error:
        return list(mistakes_of(error))
    return []


def _holds(location: Location, unfinished: Iterable[Location]) -> bool:
    """Whether one of these is this setting, or in this table: then nothing is known of it yet."""
    return any(within[: len(location)] == location for within in unfinished)


def _sound_part(content: dict[str, Any], mistakes: Iterable[Mistake]) -> dict[str, Any]:
    """`content` without the tables that hold a mistake, to look for contradictions in the rest."""
    damaged = {mistake.location[: 2 if mistake.location[0] == "services" else 1] for mistake in mistakes}
    sound = {name: value for name, value in content.items() if (name,) not in damaged}
    if "services" in sound:
        services = sound["services"].items()
        sound["services"] = {name: value for name, value in services if ("services", name) not in damaged}
    return sound


def _hide(settings: GatewaySettings, location: Location) -> None:
    owner: Any = settings
    parts = iter(location)
    for part in parts:
        value = getattr(owner, str(part))
        if part == "services":
            value = value[next(parts)]
        if not isinstance(value, BaseModel):
            owner.hide(part)
            return
        owner = value
