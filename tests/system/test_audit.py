"""What `scripts/audit` makes of the report of an advisory service."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.processes import ROOT

SOUND = {"name": "falcon", "version": "4.4.0", "vulns": []}
UNKNOWN = {"name": "gevent", "skip_reason": "Dependency not found on PyPI"}
VULNERABLE = {
    "name": "gunicorn",
    "version": "19.0",
    "vulns": [{"id": "CVE-2024-1135", "fix_versions": ["22.0.0"], "aliases": [], "description": ""}],
}


@pytest.mark.parametrize(
    ("packages", "status", "line"),
    [
        ([SOUND], 0, "1 packages, 0 of them vulnerable"),
        ([SOUND, UNKNOWN], 0, "not looked at, as the service does not know them: gevent"),
        ([SOUND, VULNERABLE], 1, "gunicorn 19.0: CVE-2024-1135, repaired in 22.0.0"),
        (
            [UNKNOWN, UNKNOWN],
            75,
            "SKIPPED: no advisory service could be asked (Dependency not found on PyPI)",
        ),
        (None, 75, "SKIPPED: no advisory service could be asked (its last words)"),
    ],
)
def test_only_what_was_looked_at_passes(
    packages: list[dict[str, object]] | None, status: int, line: str, tmp_path: Path
) -> None:
    report = tmp_path / "report.json"
    report.write_text("" if packages is None else json.dumps({"dependencies": packages, "fixes": []}))
    ended = subprocess.run(  # noqa: S603 - our own command
        [sys.executable, ROOT / "scripts/read_audit.py", report],
        input="a traceback\nits last words\n",
        capture_output=True,
        text=True,
        check=False,
    )
    assert ended.returncode == status, ended.stderr
    assert f"scripts/audit: {line}" in ended.stdout.splitlines()
