"""The schema for editors: what it lets through, what it marks, what it tells."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from falcongate.config.load import json_schema
from falcongate.config.settings import GatewaySettings, ServiceSettings

CONF = Path(__file__).parents[3] / "conf"
SCHEMA = json_schema()
ANNOTATIONS = {"$schema", "$defs", "title", "description", "default", "format", "writeOnly"}
TYPES = {
    "object": dict, "array": list, "string": str, "boolean": bool, "integer": int, "number": (int, float),
    "null": type(None),
}  # fmt: skip
WORDS: dict[str, Callable[[Any, Any], bool]] = {
    "$ref": lambda said, value: fits(value, SCHEMA["$defs"][said.removeprefix("#/$defs/")]),
    "type": lambda said, value: (
        isinstance(value, TYPES[said]) and (said == "boolean") >= isinstance(value, bool)
    ),
    "anyOf": lambda said, value: any(fits(value, inner) for inner in said),
    "enum": lambda said, value: value in said,
    "pattern": lambda said, value: re.search(said, value) is not None,
    "minimum": lambda said, value: value >= said,
    "maximum": lambda said, value: value <= said,
    "exclusiveMinimum": lambda said, value: value > said,
    "items": lambda said, value: all(fits(item, said) for item in value),
    "required": lambda said, value: set(said) <= value.keys(),
    "properties": lambda said, value: all(
        fits(value[name], said[name]) for name in said.keys() & value.keys()
    ),
}


def fits(value: object, schema: dict[str, Any]) -> bool:
    """Whether a value fits. A word in it that is unknown here is an error: nothing would hold it."""
    words = schema.keys() - ANNOTATIONS - {"type", "additionalProperties"}
    if "type" in schema and not WORDS["type"](schema["type"], value):
        return False
    if isinstance(value, dict) and "additionalProperties" in schema:
        others = value.keys() - schema.get("properties", {}).keys()
        of_others = schema["additionalProperties"]
        if others and (of_others is False or not all(fits(value[name], of_others) for name in others)):
            return False
    return all(WORDS[word](schema[word], value) for word in words)


@pytest.mark.parametrize("file", sorted(CONF.glob("*.toml")), ids=lambda file: file.name)
def test_what_we_ship_fits(file: Path) -> None:
    assert fits(tomllib.loads(file.read_text("utf-8")), SCHEMA)


@pytest.mark.parametrize(
    "text",
    [
        'services.hr.url = "http://hr"',
        'services.hr.url = ["http://hr", "${HR_2}"]',
        'services.hr = {url = "http://hr", timeout_s = "${HR_TIMEOUT_S:-300}", retries = "${RETRIES}"}',
        'server_timing = "${TIMING}"',
        'endpoint_timeouts.upload = "${UPLOAD_TIMEOUT_S}"',
        'log.level = "${LOG_LEVEL:-info}"',
        'redis.url = "${file:/run/secrets/redis-url}"',
        'cors = {origins = ["${ORIGIN}"], max_age_s = 0}',
        'services.hr = {url = "https://hr", tls = {ca_file = "/etc/ca.pem", insecure_skip_verify = false}}',
        "server = {head_timeout_s = 0.5, max_headers = 1}",
    ],
)
def test_what_can_be_used_fits(text: str) -> None:
    assert fits(tomllib.loads(text), SCHEMA)


@pytest.mark.parametrize(
    "text",
    [
        "server_timings = true",
        "services.hr.timeout_s = 5",
        'services.hr = {url = "http://hr", timeout = 5}',
        "services.hr.url = 7",
        'services.hr = "http://hr"',
        'server_timing = "yes"',
        "server.head_timeout_s = 0",
        "server.head_timeout_s = 86401",
        "server.max_headers = 1.5",
        "server.max_headers = 0",
        "server.max_connections = true",
        'endpoint_timeouts.upload = "soon"',
        "endpoint_timeouts.upload = 0",
        'log.level = "verbose"',
        "public_url = 7",
        'public_paths = "/login"',
        "cors.origins = [7]",
    ],
)
def test_what_cannot_be_used_is_marked(text: str) -> None:
    assert not fits(tomllib.loads(text), SCHEMA)


def test_every_setting_tells_its_meaning() -> None:
    defined = SCHEMA["$defs"]
    for name, field in GatewaySettings.model_fields.items():
        told = SCHEMA["properties"][name]
        inner = defined[told["$ref"].rpartition("/")[2]] if "$ref" in told else told
        assert inner["description"]
        assert "$ref" in told or inner["description"] == field.description
    for name, field in ServiceSettings.model_fields.items():
        told = defined["ServiceSettings"]["properties"][name]
        assert "$ref" in told or told["description"] == field.description


def test_defaults_are_shown_where_editors_look_for_them() -> None:
    told = SCHEMA["$defs"]["ServiceSettings"]["properties"]

    assert (told["timeout_s"]["default"], told["append_slash"]["default"]) == (30, False)
