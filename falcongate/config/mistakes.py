"""What is wrong with a configuration, in an operator's words.

SECURITY: `found` is the only place where a value of the configuration is shown, and `shown` and
`is_secret` decide whether it is.
"""

from __future__ import annotations

import difflib
import json
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, get_args

from pydantic import BaseModel, SecretStr

from falcongate.config.settings import GatewaySettings

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

    from pydantic import ValidationError
    from pydantic.fields import FieldInfo
    from pydantic_core import ErrorDetails

Location = tuple[str | int, ...]

_MAX_SHOWN: Final = 80
_MAX_SHOWN_BITS: Final = 128
_BARE_KEY: Final = re.compile(r"[A-Za-z0-9_-]+")
_NUMBER: Final = "must be a number"
_WHOLE_NUMBER: Final = "must be a whole number"
_TRUTH: Final = "must be true or false"
_WORDS: Final = {
    "bool_parsing": _TRUTH,
    "bool_type": _TRUTH,
    "float_parsing": _NUMBER,
    "float_type": _NUMBER,
    "greater_than": "must be more than {gt:.15g}",
    "greater_than_equal": "must be at least {ge:.15g}",
    "int_from_float": _WHOLE_NUMBER,
    "int_parsing": _WHOLE_NUMBER,
    "int_parsing_size": _WHOLE_NUMBER,
    "int_type": _WHOLE_NUMBER,
    "less_than_equal": "must be at most {le:.15g}",
    "literal_error": "must be {expected}",
    "string_type": "must be a text in quotes",
    "string_unicode": "must be text that UTF-8 can hold",
    "tuple_type": 'must be a list like ["a", "b"]',
}


@dataclass(frozen=True, slots=True)
class Mistake:
    """One mistake: where in the document, what to do, and what was found there, ready to be shown."""

    location: Location
    remedy: str
    found: str = ""


def mistakes_of(error: ValidationError) -> Iterator[Mistake]:
    """What pydantic has found, in our words."""
    for detail in error.errors(include_url=False):
        location = detail["loc"]
        if location[-1] == "[key]":  # the mistake is in the key itself, not in what it is set to
            location = location[:-1]
            yield Mistake(location, f"its name {_remedy(detail, location)}")
        elif detail["type"] in ("missing", "extra_forbidden") or _is_of_a_table(detail):
            # The value of an unknown setting may be a secret, misspelt.
            yield Mistake(location, _remedy(detail, location))
        else:
            yield Mistake(location, _remedy(detail, location), shown(detail["input"]))


def key_text(location: Location) -> str:
    """A location as one would write it in TOML."""
    text = ""
    for part in location:
        if isinstance(part, int):
            text += f"[{part}]"
        else:
            is_bare = _BARE_KEY.fullmatch(part) is not None
            name = part if is_bare else json.dumps(part, ensure_ascii=not part.isprintable())
            text += f".{name}" if text else name
    return text


def is_secret(location: Location) -> bool:
    """Whether a secret is expected at a location, or below it."""
    fields = list(_fields_along(location))
    return bool(fields) and _holds_secret(fields[-1].annotation)


def shown(value: object) -> str:
    """A value for people: short, on one line, without the credentials that a URL may hold."""
    if value is None or isinstance(value, bool):
        return json.dumps(value)
    if isinstance(value, dict | BaseModel):
        return "a table"
    if isinstance(value, list | tuple):
        return "a list"
    if isinstance(value, int) and value.bit_length() > _MAX_SHOWN_BITS:
        return "a very large number"  # which Python may refuse to write out
    if isinstance(value, str):
        value = re.sub(r"(://)\S*@", r"\1***@", value)
        value = re.sub(r"(://\S*?[?#])\S+", r"\1***", value)
    text = repr(value) if isinstance(value, str) else str(value)
    return text if len(text) <= _MAX_SHOWN else text[:_MAX_SHOWN] + "…"


def no_such(name: str, known: Collection[str], what: str = "service") -> str:
    """What to say of a name that is none of these."""
    near = difflib.get_close_matches(name, known, 1)
    if near:
        return f"no {what} has this name; did you mean {near[0]}?"
    return f"no {what} has this name; there are {', '.join(known) or 'none'}"


def _is_of_a_table(detail: ErrorDetails) -> bool:
    """Whether settings that are valid one by one contradict each other."""
    return detail["type"] == "value_error" and isinstance(detail["input"], dict)


def _remedy(detail: ErrorDetails, location: Location) -> str:
    kind = detail["type"]
    if kind == "missing":
        *_, field = _fields_along(location)
        meaning = " ".join((field.description or "").split()).rstrip(".")
        return f"is missing: {meaning[:1].lower()}{meaning[1:]}"
    if kind == "extra_forbidden":
        return _remedy_for_unknown(location)
    if kind in ("model_type", "dict_type"):
        example = "services.<name>" if location == ("services",) else key_text(location)
        return f"must be a table: [{example}] with its settings below"
    words = _WORDS.get(kind)
    return words.format(**detail.get("ctx", {})) if words else detail["msg"].removeprefix("Value error, ")


def _remedy_for_unknown(location: Location) -> str:
    name = str(location[-1])
    model: type[BaseModel] = GatewaySettings
    for field in _fields_along(location[:-1]):
        model = _model_in(field.annotation) or model
    homes = sorted(home for home, known in _homes(GatewaySettings) if known == name)
    hints = [f"{name} belongs {' or '.join(homes)}"] if homes else []
    # What exists elsewhere is seldom misspelt as well.
    nearest = difflib.get_close_matches(name, model.model_fields, n=1, cutoff=0.75 if homes else 0.6)
    if nearest:
        hints.append(f"did you mean {nearest[0]}?")
    if not hints:
        hints.append(f"known here: {', '.join(sorted(model.model_fields))}")
    return "; ".join(["no such setting here" if homes else "no such setting", *hints])


def _homes(model: type[BaseModel], table: str = "") -> Iterator[tuple[str, str]]:
    """Where each setting belongs, and its name."""
    home = f"in [{table}]" if table else "at the top of the file, before the first [table]"
    for name, field in model.model_fields.items():
        yield home, name
        below = _model_in(field.annotation)
        if below is not None:
            named = "" if field.annotation is below else ".<name>"
            yield from _homes(below, (f"{table}.{name}" if table else name) + named)


def _fields_along(location: Location) -> Iterator[FieldInfo]:
    """The settings that a location leads through, the outermost first."""
    model: type[BaseModel] | None = GatewaySettings
    parts = iter(location)
    for part in parts:
        field = model.model_fields.get(str(part)) if model is not None else None
        if field is None:
            return
        yield field
        model = _model_in(field.annotation)
        if model is not None and field.annotation is not model:
            next(parts, None)  # the name of a service is none of a setting, even if it looks like one


def _model_in(annotation: Any) -> type[BaseModel] | None:
    """The model of a table, or of a table of tables."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    return next((model for inner in get_args(annotation) if (model := _model_in(inner))), None)


def _holds_secret(annotation: Any) -> bool:
    model = _model_in(annotation)
    inner = [field.annotation for field in model.model_fields.values()] if model else get_args(annotation)
    return annotation is SecretStr or any(map(_holds_secret, inner))
