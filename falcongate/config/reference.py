"""All settings with their meaning: `conf/gateway.toml` and `docs/reference.md`, made from the models.

One walk over the models, two renderings.
"""

from __future__ import annotations

import json
import sys
import textwrap
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from pydantic import BaseModel
from pydantic_core import PydanticUndefined

from falcongate.config.access import AccessSettings
from falcongate.config.identity import IssuerSettings
from falcongate.config.policies import ConcurrencySettings, LimitSettings
from falcongate.config.settings import GatewaySettings, ServiceSettings

if TYPE_CHECKING:
    from collections.abc import Iterator

_WIDTH: Final = 96
_HEAD: Final = """\
# Every setting of falcongate, with its meaning and its default.
#
# A line like `# name = value` shows a default: without the `#` it changes nothing until the value
# is another. Any text may hold ${NAME}, ${NAME:-default} or ${file:/run/secrets/name}.
# `falcongate check --config FILE` reports every mistake in a file. docs/configuration.md tells what
# to set for which purpose. This file is made from the gateway's own models.
"""
_PAGE_HEAD: Final = """\
# Reference

Every setting, by the table of TOML that it stands in; made from the gateway's own models, like
[`conf/gateway.toml`](../conf/gateway.toml), which has the same as a file to begin with.
[Configuration](configuration.md) tells what to set for which purpose, and how values come from the
environment and from files.
Settings of the first section stand at the top of the file, before any table.
An empty default leaves a setting unset.
A number has a range where one is given; both ends count unless it says *above*.
"""
_EXAMPLES: Final[dict[type[BaseModel], tuple[str, str, dict[str, str]]]] = {
    IssuerSettings: (
        "issuers",
        "sign-on",
        {"algorithms": '"RS256"', "jwks_url": '"https://login.example.com/jwks.json"'},
    ),
    AccessSettings: ("access", "watched", {"mode": '"shadow"', "identity": '"required"'}),
    LimitSettings: ("limits", "api", {"rate": '"200/m"'}),
    ConcurrencySettings: ("concurrency", "uploads", {"limit": "20"}),
    ServiceSettings: ("services", "hello", {"url": '"${HELLO_URL:-http://127.0.0.1:8001}"'}),
}
"""Tables by name: where they stand, a name for the example, and what is said in it."""
_UNITS: Final = {"_per_s": "1/s", "_ms": "ms", "_s": "s", "_bytes": "bytes"}
_KINDS: Final = {"integer": "whole number", "number": "number", "boolean": "true or false"}
_TABLES_BY_NAME: Final = frozenset(table for table, _, _ in _EXAMPLES.values())


class Setting(NamedTuple):
    """One setting that holds a value; `said` is what an example says, in TOML."""

    name: str
    about: str
    default: object
    said: str | None
    schema: dict[str, Any]


class Table(NamedTuple):
    """One table of TOML with its settings; `path` is empty for those at the top."""

    path: str
    about: str
    settings: tuple[Setting, ...]
    example: str = ""
    """What its name is in `conf/gateway.toml`, if operators give it one."""


def walk() -> Iterator[Table]:
    """Every table, in the order in which both show them."""
    yield Table("", "", tuple(_settings_of(GatewaySettings)))
    yield from _tables_of(GatewaySettings, "")
    for model, (table, name, said) in _EXAMPLES.items():
        about = GatewaySettings.model_fields[table].description or ""
        yield Table(f"{table}.{name}", about, tuple(_settings_of(model, said)), name)
        yield from _tables_of(model, f"{table}.{name}.", name)


def _tables_of(model: type[BaseModel], prefix: str, example: str = "") -> Iterator[Table]:
    for name, field in model.model_fields.items():
        table = field.annotation
        if isinstance(table, type) and issubclass(table, BaseModel):
            yield Table(f"{prefix}{name}", table.__doc__ or "", tuple(_settings_of(table)), example)
            yield from _tables_of(table, f"{prefix}{name}.", example)


def _settings_of(model: type[BaseModel], said: dict[str, str] | None = None) -> Iterator[Setting]:
    schemas = model.model_json_schema()["properties"]
    for name, field in model.model_fields.items():
        default = field.get_default(call_default_factory=True)
        if isinstance(default, BaseModel) or (model is GatewaySettings and name in _TABLES_BY_NAME):
            continue
        yield Setting(name, field.description or "", default, (said or {}).get(name), schemas[name])


def render_reference() -> str:
    """`conf/gateway.toml`: each setting as an example says it, else with its default in a comment."""
    parts = []
    for table in walk():
        lead = f"{_comment(_about(table))}[{table.path}]\n" if table.path else f"{_HEAD}\n"
        parts.append(lead + "\n".join(map(_assignment, table.settings)))
    return "\n".join(parts)


def _about(table: Table) -> str:
    is_itself = table.example and table.path.endswith(f".{table.example}")
    example = f" `{table.example}` is an example, with what it needs." if is_itself else ""
    return " ".join(table.about.split()) + example


def _assignment(setting: Setting) -> str:
    is_said = setting.said is not None
    assignment = (
        f"{setting.name} = {setting.said}\n" if is_said else f"# {setting.name} = {_toml(setting.default)}\n"
    )
    return _comment(setting.about) + assignment


def _toml(value: object) -> str:
    """A value in TOML; JSON's way to write texts, numbers and lists is TOML's as well."""
    # An empty text leaves a setting unset.
    return json.dumps("" if value is None else value)


def _comment(text: str) -> str:
    lines = textwrap.wrap(" ".join(text.split()), _WIDTH)
    return "".join(f"# {line}\n" for line in lines)


def render_page() -> str:
    """`docs/reference.md`: a section for each table, a row for each setting."""
    parts = [_PAGE_HEAD]
    for table in walk():
        path = table.path.replace(f".{table.example}", ".NAME") if table.example else table.path
        about = " ".join(table.about.split())
        heading = f"## `[{path}]`\n\n{about}\n" if path else "## At the top\n"
        rows = "".join(map(_row, table.settings))
        columns = "| key | type | default | unit | meaning |\n| --- | --- | --- | --- | --- |\n"
        parts.append(f"{heading}\n{columns}{rows}" if rows else heading)
    return "\n".join(parts)


def _row(setting: Setting) -> str:
    is_needed = setting.default is PydanticUndefined
    default = (
        "must be said" if is_needed else "" if setting.default is None else f"`{_toml(setting.default)}`"
    )
    cells = (f"`{setting.name}`", _kind(setting.schema), default, _unit(setting.name), setting.about)
    return "| " + " | ".join(" ".join(cell.split()).replace("|", "\\|") for cell in cells) + " |\n"


def _unit(name: str) -> str:
    return next((unit for ending, unit in _UNITS.items() if name.endswith(ending)), "")


def _kind(schema: dict[str, Any]) -> str:
    """What a value may be, in words."""
    if "anyOf" in schema:
        return " or ".join(_kind(each) for each in schema["anyOf"] if each["type"] != "null")
    if "enum" in schema:
        return ", ".join(f"`{json.dumps(each)}`" for each in schema["enum"])
    kind: str = schema["type"]
    if kind == "array":
        return f"list of {_kind(schema['items'])}"
    if kind == "object":
        return f"table of {_kind(schema['additionalProperties'])}"
    if kind == "string":
        return "secret" if schema.get("format") == "password" else "text"
    return _KINDS[kind] + _range(schema)


def _range(schema: dict[str, Any]) -> str:
    least = schema.get("minimum", schema.get("exclusiveMinimum"))
    above = "above " if "exclusiveMinimum" in schema else ""
    if least is None:
        return ""
    most = f" to {schema['maximum']:,}" if "maximum" in schema else " or more"
    return f", {above}{least:,}{most}"


if __name__ == "__main__":
    sys.stdout.write(render_page() if sys.argv[1:] == ["--page"] else render_reference())
