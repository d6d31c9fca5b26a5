"""What `falcongate check` warns of: what is no mistake, and seldom meant."""

from __future__ import annotations

from pathlib import Path

import pytest

from falcongate.cli import main
from tests.support.certificates import DAY, NOW, Authority


@pytest.fixture(autouse=True)
def plain_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing of the machine's own settings."""
    for name in ("FALCONGATE_CONFIG", "MICROSERVICE_URLS", "REDIS_URL", "PORT", "WEB_CONCURRENCY"):
        monkeypatch.delenv(name, raising=False)


def test_check_warns_of_a_gateway_without_services(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["check"]) == 0
    assert "warning: no service is configured" in capsys.readouterr().out


def test_check_warns_of_settings_that_give_up_safety(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "gateway.toml"
    file.write_text(
        '[redis]\nurl = "rediss://h:1"\ninsecure_skip_verify = true\n'
        '[services.hr]\nurl = "https://h"\ntls.insecure_skip_verify = true\n',
        "utf-8",
    )
    assert main(["check", "--config", str(file)]) == 0
    warned = [line for line in capsys.readouterr().out.splitlines() if line.startswith("warning: ")]
    assert [line.partition(" is on: ")[0].removeprefix("warning: ") for line in warned] == [
        "services.hr.tls.insecure_skip_verify",
        "redis.insecure_skip_verify",
    ]


def test_check_warns_of_certificates_that_end_soon(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    authority = Authority("ca", tmp_path)
    ours, shown = authority.issue("gateway.test", until=NOW - DAY), authority.issue("client")
    config = tmp_path / "gateway.toml"
    config.write_text(
        f'[server.tls]\ncert_file = "{ours}"\n[services.hr]\nurl = "https://hr"\ntls.cert_file = "{shown}"\n',
        "utf-8",
    )
    assert main(["check", "--config", str(config)]) == 0
    out = capsys.readouterr().out
    assert f"warning: the certificate in {ours} has expired, on {NOW - DAY:%Y-%m-%d}" in out
    assert f"warning: the certificate in {shown} expires in 0 days, on" in out
