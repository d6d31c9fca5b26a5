"""`conf/gateway.toml`: every setting with its meaning and default, made from the models."""

from __future__ import annotations

import json
import sys
import textwrap
from typing import TYPE_CHECKING, Any, Final

from pydantic import BaseModel, SecretStr

from falcongate.config.settings import GatewaySettings, ServiceSettings

if TYPE_CHECKING:
    from pydantic.fields import FieldInfo

_WIDTH: Final = 96
_HEAD: Final = """\
# Every setting of falcongate, with its meaning and its default.
#
# Settings that are commented out show their default. Any text may hold ${NAME}, ${NAME:-default}
# or ${file:/run/secrets/name}. `falcongate check` says what is wrong with a file; this one is
# made from the gateway's own models, and a test keeps it true.
"""
_EXAMPLE: Final = """\
# A service is a table of its own. Only `url` must be there.
[services.hello]
url = "${HELLO_URL:-http://127.0.0.1:8001}"
"""


def render_reference() -> str:
    """The whole file."""
    parts = [_HEAD, *_table(GatewaySettings, "")]
    for name, field in GatewaySettings.model_fields.items():
        if _is_table(field):
            parts += _section(name, field)
    parts.append(_EXAMPLE)
    parts += _table(ServiceSettings, "", without="url")
    for name, field in ServiceSettings.model_fields.items():
        if _is_table(field):
            parts += _section(f"services.hello.{name}", field)
    return "\n".join(parts)


def _section(name: str, field: FieldInfo) -> list[str]:
    model = field.annotation
    assert isinstance(model, type) and issubclass(model, BaseModel)  # noqa: S101, PT018
    return [f"{_comment(model.__doc__ or '')}[{name}]", *_table(model, "")]


def _table(model: type[BaseModel], indent: str, without: str = "") -> list[str]:
    lines = []
    for name, field in model.model_fields.items():
        if name in (without, "services") or _is_table(field):
            continue
        lines.append(f"{_comment(field.description or '')}{indent}# {_assignment(name, field)}\n")
    return lines


def _is_table(field: FieldInfo) -> bool:
    return isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel)


def _assignment(name: str, field: FieldInfo) -> str:
    default: Any = field.get_default(call_default_factory=True)
    if default is None:
        example = '"redis://127.0.0.1:6379/0"' if _is_secret(field) else '""'
        return f"{name} = {example}  # unset by default"
    return f"{name} = {_toml(default)}"


def _is_secret(field: FieldInfo) -> bool:
    return SecretStr in getattr(field.annotation, "__args__", ())


def _toml(value: object) -> str:
    """A value in TOML; JSON's way to write texts, numbers and lists is TOML's as well."""
    if isinstance(value, dict):
        return "{}"
    if isinstance(value, tuple):
        return "[" + ", ".join(_toml(item) for item in value) + "]"
    return json.dumps(value)


def _comment(text: str) -> str:
    lines = textwrap.wrap(" ".join(text.split()), _WIDTH)
    return "".join(f"# {line}\n" for line in lines)


if __name__ == "__main__":
    sys.stdout.write(render_reference())
