"""Where settings come from, and what wins."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from falcongate.config.load import load, load_process, render_report
from falcongate.config.settings import GatewaySettings
from falcongate.errors import ConfigError

FILE = """
[services.hr]
url = "${HR_SERVICE_URL:-http://hr:8004}"
timeout_s = 300

[services.messaging]
url = ["http://a:3000", "http://b:3000"]
"""
BOTH_WAYS = [
    "hr=http://10.0.0.7:8004, lms = http://l , lms=http://m/,",
    json.dumps({"hr": "http://10.0.0.7:8004", "lms": ["http://l", "http://m"]}),
]  # fmt: skip


@pytest.fixture
def file(tmp_path: Path) -> str:
    """The path of a configuration."""
    path = tmp_path / "gateway.toml"
    path.write_text(FILE, "utf-8")
    return str(path)


def urls(settings: GatewaySettings) -> dict[str, tuple[str, ...]]:
    """Where each service is."""
    return {name: service.url for name, service in settings.services.items()}


def test_with_nothing_at_all_there_are_settings_without_services() -> None:
    assert load({}) == GatewaySettings()
    assert load({"FALCONGATE_CONFIG": "", "MICROSERVICE_URLS": " ", "REDIS_URL": "", "PORT": ""}) == load({})


@pytest.mark.parametrize("said", BOTH_WAYS)
def test_microservice_urls_alone_are_enough(said: str) -> None:
    settings = load({"MICROSERVICE_URLS": said})

    assert urls(settings) == {"hr": ("http://10.0.0.7:8004",), "lms": ("http://l", "http://m")}
    assert settings.services["hr"].timeout_s == 30


@pytest.mark.parametrize("said", BOTH_WAYS)
def test_microservice_urls_add_to_a_file_and_override_its_urls_alone(said: str, file: str) -> None:
    settings = load({"MICROSERVICE_URLS": said, "HR_SERVICE_URL": "http://unused"}, file)

    assert urls(settings) == {
        "hr": ("http://10.0.0.7:8004",),
        "messaging": ("http://a:3000", "http://b:3000"),
        "lms": ("http://l", "http://m"),
    }
    assert settings.services["hr"].timeout_s == 300


def test_what_is_overridden_need_not_be_there(tmp_path: Path) -> None:
    file = tmp_path / "gateway.toml"
    file.write_text('services.hr.url = "${HR_SERVICE_URL}"\nservices.lms.url = "${file:/none}"\n', "utf-8")

    settings = load({"MICROSERVICE_URLS": "hr=http://a,lms=http://b"}, str(file))

    assert urls(settings) == {"hr": ("http://a",), "lms": ("http://b",)}
    assert "http://b" in repr(settings)


def test_the_file_is_the_one_that_is_named_else_the_environment_s(file: str, tmp_path: Path) -> None:
    other = tmp_path / "other.toml"
    other.write_text("server_timing = false", "utf-8")

    assert load({"FALCONGATE_CONFIG": file}) == load({}, file)
    assert load({"FALCONGATE_CONFIG": str(other)}, file) == load({}, file)
    assert not load({"FALCONGATE_CONFIG": str(other)}).server_timing


def test_the_process_s_own_environment_is_read_when_none_is_given(
    file: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("MICROSERVICE_URLS", "REDIS_URL", "WEB_CONCURRENCY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("FALCONGATE_CONFIG", file)
    monkeypatch.setenv("HR_SERVICE_URL", "http://from-the-environment")
    monkeypatch.setenv("PORT", "8123")

    assert urls(load())["hr"] == ("http://from-the-environment",)
    assert load_process().port == 8123


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", "redis://environment"),
        ('redis.url = ""', "redis://environment"),
        ('redis.url = "${UNSET:-}"', "redis://environment"),
        ('redis.url = "redis://file"', "redis://file"),
    ],
)
def test_redis_url_fills_what_the_file_leaves_open(text: str, expected: str, tmp_path: Path) -> None:
    file = tmp_path / "gateway.toml"
    file.write_text(text, "utf-8")

    url = load({"REDIS_URL": "redis://environment"}, str(file)).redis.url

    assert url is not None
    assert url.get_secret_value() == expected


def test_an_empty_text_leaves_a_setting_unset(tmp_path: Path) -> None:
    file = tmp_path / "gateway.toml"
    file.write_text(
        '[services.hr]\nurl = "http://hr"\nstrip_prefix = ""\nadd_prefix = "${PREFIX:-}"\n'
        '[services.hr.tls]\nca_file = ""\ncert_file = ""\nkey_file = ""\nserver_name = "${NAME:-}"\n',
        "utf-8",
    )

    assert load({}, str(file)) == load({"MICROSERVICE_URLS": "hr=http://hr"})


@pytest.mark.parametrize(("said", "meant"), [("", None), (" 8000 ", 8000), ("1", 1), ("65535", 65535)])
def test_a_port_is_a_number_or_not_said(said: str, meant: int | None) -> None:
    assert load_process({"PORT": said}).port == meant


def test_workers_are_a_number_or_not_said() -> None:
    assert load_process({}).workers is None
    assert load_process({"WEB_CONCURRENCY": "256"}).workers == 256


@pytest.mark.parametrize("port", ["0", "65536", "-1", "8000.0", "8_000", "\u0663", "auto", "9" * 5_000])
@pytest.mark.parametrize("workers", ["0", "257", "two"])
def test_both_are_refused_at_once_and_with_everything_else(port: str, workers: str, file: str) -> None:
    environ = {"PORT": port, "WEB_CONCURRENCY": workers, "HR_SERVICE_URL": "hr"}

    with pytest.raises(ConfigError) as of_process:
        load_process(environ)
    with pytest.raises(ConfigError) as of_all:
        load(environ, file)

    assert [problem.key for problem in of_process.value.problems] == ["PORT", "WEB_CONCURRENCY"]
    assert [problem.key for problem in of_all.value.problems] == [
        "services.hr.url",
        "PORT",
        "WEB_CONCURRENCY",
    ]


def test_the_report_counts_and_says_that_nothing_was_started(file: str) -> None:
    with pytest.raises(ConfigError) as caught:
        load({"HR_SERVICE_URL": "hr"}, file)

    mistake = "services.hr.url: must begin with http:// or https:// (found 'hr' from ${HR_SERVICE_URL})"
    assert render_report(caught.value).splitlines() == [
        "The configuration cannot be used:",
        f"  {file}:3: {mistake}",
        "1 mistake; nothing was started.",
    ]


def test_a_cluster_needs_an_address(tmp_path: Path) -> None:
    """Else the gateway would start a server of its own, which nobody meant."""
    file = tmp_path / "gateway.toml"
    file.write_text("[redis]\ncluster = true\n", "utf-8")
    with pytest.raises(ConfigError, match="cluster needs a url"):
        load({}, str(file))
    assert load({"REDIS_URL": "redis://h"}, str(file)).redis.cluster


def test_workers_are_told_of_their_master_s_redis() -> None:
    assert load_process({"FALCONGATE_OWN_REDIS": "unix:///s"}).own_redis == "unix:///s"
    assert load_process({"FALCONGATE_OWN_REDIS": ""}).own_redis is None


@pytest.mark.parametrize(
    ("url", "said", "is_skipped"),
    [
        ("rediss://h", "true", True),
        ("rediss://h", " 1 ", True),
        ("rediss+sentinel://h/s", "yes", True),
        ("rediss://h", "false", False),
        ("rediss://h", "", False),
        # The same variables may be set where Redis is spoken to without TLS.
        ("redis://h", "true", False),
        ("", "true", False),
    ],
)
def test_the_environment_says_that_a_certificate_of_redis_is_taken_unseen(
    url: str, said: str, *, is_skipped: bool
) -> None:
    settings = load({"REDIS_URL": url, "REDIS_INSECURE_SKIP_VERIFY": said})
    assert settings.redis.insecure_skip_verify == is_skipped


def test_the_file_wins_over_what_the_environment_says_of_certificates(tmp_path: Path) -> None:
    file = tmp_path / "gateway.toml"
    file.write_text('redis = {url = "rediss://h", insecure_skip_verify = false}\n', "utf-8")
    assert not load({"REDIS_INSECURE_SKIP_VERIFY": "true"}, str(file)).redis.insecure_skip_verify


def test_what_is_neither_yes_nor_no_is_a_mistake_of_the_environment() -> None:
    with pytest.raises(ConfigError) as caught:
        load({"REDIS_URL": "rediss://h", "REDIS_INSECURE_SKIP_VERIFY": "perhaps"})
    (problem,) = caught.value.problems
    assert (problem.source, problem.key) == (
        "environment",
        "REDIS_INSECURE_SKIP_VERIFY: redis.insecure_skip_verify",
    )
