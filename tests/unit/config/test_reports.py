"""What an operator is told of each mistake: one file a mistake, with the exact report beside it."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import BaseModel

from falcongate.config.load import load, render_report
from falcongate.config.settings import GatewaySettings, ServiceSettings
from falcongate.errors import ConfigError, ConfigProblem
from tests.unit.config.writing import text_of, values

CORPUS = Path(__file__).parents[2] / "corpus/config"
# A line of the file that says what the environment holds.
SAID = re.compile(r"^# environment: (\w+)=(.*)$", re.MULTILINE)


def names_in(model: type[BaseModel]) -> set[str]:
    """Every name that a table of settings knows, in it or below."""
    tables = [field.annotation for field in model.model_fields.values()]
    below = [table for table in tables if isinstance(table, type) and issubclass(table, BaseModel)]
    return {*model.model_fields, *(name for table in below for name in names_in(table))}


def report_on(environ: dict[str, str], path: Path | str) -> str:
    """The report on a configuration that has mistakes."""
    with pytest.raises(ConfigError) as caught:
        load(environ, str(path))
    return render_report(caught.value)


def problems_of(environ: dict[str, str], path: str) -> tuple[ConfigProblem, ...]:
    """All that is wrong, and perhaps nothing is."""
    try:
        load(environ, path)
    except ConfigError as error:
        return error.problems
    return ()


KNOWN = sorted(names_in(GatewaySettings) | names_in(ServiceSettings))
TRICKY = [
    "", "*", "/", "/api/hr", "http://hr", "http://hr:0", "https://hr", "https://*.hr", "${A}", "${A:-1}",
    "${", "$${A}", "${file:/}", "${file:\0}", "${A:-${A}}", "\0", "10.0.0.0/8", "GET", "nan", "1",
]  # fmt: skip
TRICKY_URLS = ['{"hr": 1}', '{"\\ud800": []}', "[1]", "{", "hr=http://a,,b", "\udc80=x"]
contents = values(st.sampled_from(TRICKY))
tables = st.dictionaries(
    st.one_of(st.sampled_from([*KNOWN, "hr"]), st.text(max_size=3)), contents, max_size=4
)
documents = st.one_of(
    tables,
    st.dictionaries(st.sampled_from(["server", "cors", "redis", "log", "endpoint_timeouts"]), tables),
    st.fixed_dictionaries({"services": st.dictionaries(st.sampled_from(["hr", "lms", "a b"]), tables)}),
)
environments = st.fixed_dictionaries(
    {},
    optional={
        name: st.one_of(
            st.sampled_from([*TRICKY, *TRICKY_URLS]),
            st.text(max_size=9),
        )
        for name in ("MICROSERVICE_URLS", "REDIS_URL", "PORT", "WEB_CONCURRENCY", "A")
    },
)


@pytest.mark.parametrize("file", sorted(CORPUS.glob("*.toml")), ids=lambda file: file.stem)
def test_a_mistake_is_reported_in_these_words(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(CORPUS)
    environ = dict(SAID.findall(file.read_text("utf-8")))

    assert report_on(environ, file.name) == file.with_suffix(".txt").read_text("utf-8")


def test_every_report_has_its_mistake() -> None:
    assert {file.stem for file in CORPUS.glob("*.txt")} == {file.stem for file in CORPUS.glob("*.toml")}


@settings(suppress_health_check=[HealthCheck.too_slow])
@given(document=documents, environ=environments)
def test_whatever_is_written_there_are_settings_or_a_report(
    tmp_path_factory: pytest.TempPathFactory, document: dict[str, Any], environ: dict[str, str]
) -> None:
    file = tmp_path_factory.getbasetemp() / "arbitrary.toml"
    lines = [f"{text_of(key)} = {text_of(value)}\n" for key, value in document.items()]
    file.write_text("".join(lines), "utf-8")

    problems = problems_of(environ, str(file))

    report = render_report(ConfigError(problems))
    assert len(report.splitlines()) == len(problems) + 2


@pytest.mark.parametrize(
    ("content", "remedy"),
    [
        (b"a = \xff", "the file must be UTF-8 text"),
        (b"a = " + b"1" * 5000, "not valid TOML: a number is too long"),
        (b"a = " + b"[" * 5000, "not valid TOML: nested too deeply"),
        (b"public_url = 0x" + b"f" * 5000, "must be a text in quotes (found a very large number)"),
    ],
)
def test_a_file_that_python_chokes_on_is_reported_too(content: bytes, remedy: str, tmp_path: Path) -> None:
    file = tmp_path / "gateway.toml"
    file.write_bytes(content)

    assert remedy in report_on({}, file)


@pytest.mark.parametrize(("name", "reason"), [("none.toml", "No such file"), (".", "Is a directory")])
def test_a_file_that_cannot_be_read_is_reported(name: str, reason: str, tmp_path: Path) -> None:
    report = report_on({"PORT": "none"}, f"{tmp_path}/{name}")

    assert f"cannot be read: {reason}" in report
    assert "environment: PORT" in report


def test_a_file_from_windows_is_read_and_its_lines_are_counted(tmp_path: Path) -> None:
    file = tmp_path / "gateway.toml"
    file.write_bytes(b'\xef\xbb\xbfpublic_url = ""\r\n\r\n[log]\r\nlevel = "loud"\r\n')

    assert f"{file}:4: log.level: " in report_on({}, file)


def test_deep_json_in_the_environment_is_reported(tmp_path: Path) -> None:
    file = tmp_path / "gateway.toml"
    file.touch()

    assert "not valid JSON;" in report_on({"MICROSERVICE_URLS": '{"a":' + "[" * 90_000}, file)


def test_long_values_are_cut(tmp_path: Path) -> None:
    file = tmp_path / "gateway.toml"
    file.write_text(f'public_url = "{"x" * 9_999}"', "utf-8")

    assert max(map(len, report_on({}, file).splitlines())) < len(str(file)) + 200
