"""On which line a key stands, compared with a writer that knows because it put it there."""

from __future__ import annotations

import tomllib

import pytest
from hypothesis import HealthCheck, given, settings

from falcongate.config.lines import line_of
from tests.unit.config.writing import Writer, files


@settings(suppress_health_check=[HealthCheck.too_slow])
@given(files())
def test_every_key_is_found_where_it_was_written(written: Writer) -> None:
    tomllib.loads(written.text)

    for location, line in written.line_of.items():
        assert line_of(written.text, location) == line, location


@pytest.mark.parametrize(
    ("location", "line"),
    [
        (("cors", "origins"), 2),
        (("cors", "methods"), 2),
        (("services",), 3),
        (("services", "hr"), 6),
        (("services", "hr", "timeout_s"), 6),
        (("services", "hr", "url"), 7),
        (("services", "hr", "url", 1), 7),
        (("services", "hr", "tls", "key_file"), 3),
        (("services", "hr", "tls", "insecure_skip_verify"), 4),
        (("lists", 0, "name"), 10),
        (("nowhere", "at", "all"), None),
    ],
)
def test_what_is_not_there_is_looked_for_in_the_tables_around_it(
    location: tuple[str | int, ...], line: int | None
) -> None:
    text = """# services.hr.url
cors.origins = []
[services.hr.tls]
insecure_skip_verify = true

[services.hr]
url = [
  "http://hr",
]
[[lists]]
"""
    tomllib.loads(text)

    assert line_of(text, location) == line
