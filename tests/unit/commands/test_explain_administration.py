"""What is told of a request that the gateway answers itself."""

from __future__ import annotations

from pathlib import Path

import pytest

from falcongate.cli import main


def test_explain_knows_the_ways_of_signing_in_where_one_can(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    settings = """\
public_url = "https://ops.example.com"
[admin.sign_in]
issuer = "https://login.example.com"
client_id = "falcongate"
client_secret = "a-secret"
claims = { groups = "platform" }
"""
    for text, status in ((settings, 0), ("", 1)):
        file = tmp_path / "gateway.toml"
        file.write_text(text, "utf-8")
        for path in ("/admin/sign-in", "/admin/callback", "/admin/sign-out/"):
            assert main(["explain", "GET", path, "--config", str(file)]) == status
    capsys.readouterr()
