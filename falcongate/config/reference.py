"""`conf/gateway.toml`: every setting with its meaning and default, made from the models."""

from __future__ import annotations

import json
import sys
import textwrap
from types import MappingProxyType
from typing import TYPE_CHECKING, Final

from pydantic import BaseModel

from falcongate.config.access import AccessSettings
from falcongate.config.identity import IssuerSettings
from falcongate.config.policies import ConcurrencySettings, LimitSettings
from falcongate.config.settings import GatewaySettings, ServiceSettings

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

_WIDTH: Final = 96
_HEAD: Final = """\
# Every setting of falcongate, with its meaning and its default.
#
# A line like `# name = value` shows a default: without the `#` it changes nothing until the value
# is another. Any text may hold ${NAME}, ${NAME:-default} or ${file:/run/secrets/name}.
# `falcongate check --config FILE` reports every mistake in a file. docs/configuration.md tells what
# to set for which purpose. This file is made from the gateway's own models.
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
_TABLES_BY_NAME: Final = frozenset(table for table, _, _ in _EXAMPLES.values())


def render_reference() -> str:
    """The whole file."""
    tables = [_HEAD, *_settings_of(GatewaySettings), *_tables_of(GatewaySettings, "")]
    for model, (table, name, said) in _EXAMPLES.items():
        about = " ".join((GatewaySettings.model_fields[table].description or "").split())
        lead = _comment(f"{about} `{name}` is an example, with what it needs.")
        tables.append(f"{lead}[{table}.{name}]\n" + "\n".join(_settings_of(model, said)))
        tables += _tables_of(model, f"{table}.{name}.")
    return "\n".join(tables)


def _tables_of(model: type[BaseModel], prefix: str) -> Iterator[str]:
    for name, field in model.model_fields.items():
        table = field.annotation
        if isinstance(table, type) and issubclass(table, BaseModel):
            yield f"{_comment(table.__doc__ or '')}[{prefix}{name}]\n" + "\n".join(_settings_of(table))
            yield from _tables_of(table, f"{prefix}{name}.")


def _settings_of(model: type[BaseModel], said: Mapping[str, str] = MappingProxyType({})) -> Iterator[str]:
    """Each setting with its meaning: as it is `said`, else with its default in a comment."""
    for name, field in model.model_fields.items():
        default = field.get_default(call_default_factory=True)
        if isinstance(default, BaseModel) or (model is GatewaySettings and name in _TABLES_BY_NAME):
            continue
        assignment = f"{name} = {said[name]}\n" if name in said else f"# {name} = {_toml(default)}\n"
        yield _comment(field.description or "") + assignment


def _toml(value: object) -> str:
    """A value in TOML; JSON's way to write texts, numbers and lists is TOML's as well."""
    # An empty text leaves a setting unset.
    return json.dumps("" if value is None else value)


def _comment(text: str) -> str:
    lines = textwrap.wrap(" ".join(text.split()), _WIDTH)
    return "".join(f"# {line}\n" for line in lines)


if __name__ == "__main__":
    sys.stdout.write(render_reference())
