"""A secret is never shown: not in a report, not in a representation, not by `falcongate check`."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from pydantic import BaseModel

from falcongate.config.load import load, render_report
from falcongate.config.settings import GatewaySettings, ServiceSettings
from falcongate.errors import ConfigError

# One of these is valid for each setting that takes a text, so that values pass as well as fail.
SECRETS = [
    "h1dd3n", "http://h1dd3n", "http://u:h1dd3n@h1dd3n", "/h1dd3n", "https://h1dd3n.example", "H1DD3N",
    "redis://:h1dd3n@redis", "unix://h1dd3n", "10.0.0.0/8h1dd3n", "http://h:h1dd3n", "http://[h1dd3n",
]  # fmt: skip


def settings_of(model: type[BaseModel], prefix: str = "") -> list[str]:
    """Every setting, as one would write it, with `hr` for the name of a service."""
    found = []
    for name, field in model.model_fields.items():
        if isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel):
            found += settings_of(field.annotation, f"{prefix}{name}.")
        elif name == "services":
            found += settings_of(ServiceSettings, "services.hr.")
        else:
            found.append(f"{prefix}{name}")
    return found


def all_shown(environ: dict[str, str], file: Path) -> str:
    """Everything that can be shown of a configuration, right or wrong."""
    try:
        settings = load(environ, str(file))
    except ConfigError as error:
        return f"{error!r}{error}{render_report(error)}"
    dump = settings.model_dump(mode="json")
    dumps = [dump, settings.model_dump(mode="json", exclude_defaults=True), settings.model_dump_json()]
    return f"{settings!r}{settings}{list(settings.services.values())!r}{dumps}"


@pytest.mark.parametrize("setting", settings_of(GatewaySettings))
def test_what_came_from_a_file_is_not_shown(setting: str, tmp_path: Path) -> None:
    reference = f"${{file:{tmp_path}/secret}}"
    file = tmp_path / "gateway.toml"
    url = 'services.hr.url = "https://x"\n' if setting != "services.hr.url" else ""
    for secret in SECRETS:
        (tmp_path / "secret").write_text(f"{secret}\n", "utf-8")
        for value in (f'"{reference}"', f'["{reference}", "x{reference}"]', f'{{a = "{reference}"}}'):
            file.write_text(f"{url}{setting} = {value}\n", "utf-8")

            assert "h1dd3n" not in all_shown({}, file).lower()


def test_what_came_from_a_file_is_used(tmp_path: Path) -> None:
    (tmp_path / "secret").write_text(" http://10.0.0.7:8004\n\n", "utf-8")
    file = tmp_path / "gateway.toml"
    file.write_text(f'[services.hr]\nurl = "${{file:{tmp_path}/secret}}"\ntimeout_s = 5', "utf-8")

    settings = load({}, str(file))

    assert settings.services["hr"].url == ("http://10.0.0.7:8004",)
    dumped = settings.model_dump(mode="json", exclude_defaults=True)
    assert dumped == {"services": {"hr": {"url": "**********", "timeout_s": 5}}}
    assert "timeout_s=5" in repr(settings)


def test_one_service_s_secret_hides_nothing_of_another(tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("http://h1dd3n", "utf-8")
    file = tmp_path / "gateway.toml"
    file.write_text(
        f'[services.hr]\nurl = "${{file:{tmp_path}/secret}}"\n[services.lms]\nurl = "http://lms"\n', "utf-8"
    )

    assert "http://lms" in all_shown({}, file)
    assert "http://lms" in repr(load({}, str(file)))


@pytest.mark.parametrize(
    "text",
    [
        'redis.url = "redis://:h1dd3n@redis"',
        'redis.url = "h1dd3n"',
        'redis.url = ["h1dd3n"]',
        'redis = "redis://:h1dd3n@redis"',
        'redis.password = "h1dd3n"',
        'rediss.url = "h1dd3n"',
        'services.hr.url = "http://user:h1dd3n@hr"',
        'services.hr.url = "http://h1dd3n:h1/d@d3n@hr"',
        'services.hr.url = "hr://hr?token=h1dd3n"',
        'services.hr.url = "http://hr#h1dd3n"',
        'public_url = "postgres://user:h1dd3n@db"',
        'redis.url = "redis://${A}@redis:port"',
    ],
)
def test_what_is_a_secret_by_its_key_or_its_form_is_not_shown(text: str, tmp_path: Path) -> None:
    file = tmp_path / "gateway.toml"
    file.write_text(text, "utf-8")

    assert "h1dd3n" not in all_shown({"A": "h1dd3n"}, file)


@pytest.mark.parametrize(
    "environ",
    [
        {"REDIS_URL": "redis://:h1dd3n@redis"},
        {"REDIS_URL": "h1dd3n"},
        {"MICROSERVICE_URLS": "hr=http://user:h1dd3n@hr"},
        {"MICROSERVICE_URLS": "http://user:h1dd3n@hr"},
        {"MICROSERVICE_URLS": json.dumps({"hr": ["http://user:h1dd3n@hr"]})},
        {"MICROSERVICE_URLS": '{"hr": "http://user:h1dd3n@hr",}'},
    ],
)
def test_nor_is_what_the_environment_says(environ: dict[str, str], tmp_path: Path) -> None:
    file = tmp_path / "gateway.toml"
    file.touch()

    assert "h1dd3n" not in all_shown(environ, file)
