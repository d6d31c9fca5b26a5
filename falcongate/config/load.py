"""From a file and the environment to settings, or to one report of every mistake.

The only reader of the environment. Nothing is started, changed or connected to here.
"""

from __future__ import annotations

import os
from functools import cache
from typing import TYPE_CHECKING, Any

from falcongate.config.document import Document
from falcongate.config.environment import parse_process
from falcongate.config.settings import GatewaySettings
from falcongate.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from falcongate.config.environment import ProcessSettings


def load(environ: Mapping[str, str] | None = None, path: str | None = None) -> GatewaySettings:
    """The settings of `path`, else of the file in FALCONGATE_CONFIG, else of the environment alone.

    Raises ConfigError with all mistakes at once, those in PORT and its like among them.
    """
    environ = os.environ if environ is None else environ
    document = Document(path or environ.get("FALCONGATE_CONFIG") or "", environ)
    settings = document.settings()
    problems = [*document.problems, *parse_process(environ)[1]]
    if problems:
        raise ConfigError(tuple(problems))
    return settings


def adopt(settings: GatewaySettings) -> None:
    """Let this process, and those forked from it, run these.

    A worker that is started later than others must not take an edit of the file that nobody has looked at.
    """
    _adopted()[:] = [settings]


def load_adopted() -> GatewaySettings:
    """What this process is to run: what was adopted, else what `load` finds. Raises ConfigError."""
    return _adopted()[0] if _adopted() else load()


@cache
def _adopted() -> list[GatewaySettings]:
    return []


def load_process(environ: Mapping[str, str] | None = None) -> ProcessSettings:
    """PORT, WEB_CONCURRENCY and FALCONGATE_ADMIN_TOKEN, and what the master has said. Raises ConfigError."""
    settings, problems = parse_process(os.environ if environ is None else environ)
    if problems:
        raise ConfigError(tuple(problems))
    return settings


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
    """The schema of the file, for editors. For any value it allows a text with a reference like `${NAME}`."""
    # Editors for TOML know this draft; all that pydantic says can be said in it.
    schema = _loosened(GatewaySettings.model_json_schema())
    return {"$schema": "http://json-schema.org/draft-07/schema#", **schema}


def _loosened(schema: dict[str, Any]) -> dict[str, Any]:
    made: dict[str, Any] = dict(schema)
    for key in ("properties", "$defs"):
        if key in made:
            made[key] = {name: _loosened(inner) for name, inner in made[key].items()}
    for key in ("items", "additionalProperties"):
        if isinstance(made.get(key), dict):
            made[key] = _loosened(made[key])
    if "anyOf" in made:
        made["anyOf"] = [_loosened(inner) for inner in made["anyOf"]]
    is_restricted_text = made.get("type") == "string" and "enum" in made
    if made.get("type") in ("number", "integer", "boolean") or is_restricted_text:
        # What editors show must stand outside of the alternatives.
        told: dict[str, Any] = {
            key: made.pop(key) for key in ("title", "description", "default") if key in made
        }
        told["anyOf"] = [made, {"type": "string", "pattern": r"\$\{"}]
        return told
    return made
