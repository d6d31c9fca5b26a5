"""Tells what pip-audit's report says, and never takes a package that was not looked at for a sound one.

Takes the file of the report; what pip-audit said beside it comes on standard input. Ends with status 1 for a
vulnerability, 75 (a temporary failure) where not one package could be looked at, else 0.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any, Final

VULNERABLE: Final = 1
UNKNOWN: Final = 75


def main(report: Path, said: str) -> int:
    """Print the outcome; answer the status to end with."""
    text = report.read_text("utf-8")
    packages: list[dict[str, Any]] = json.loads(text)["dependencies"] if text else []
    unknown = sorted({package["name"] for package in packages if "skip_reason" in package})
    judged = {package["name"]: package for package in packages if "skip_reason" not in package}
    if not judged:
        last = packages[0]["skip_reason"] if packages else (said.strip().splitlines() or ["no report"])[-1]
        _print(f"SKIPPED: no advisory service could be asked ({last[:200]})")
        return UNKNOWN
    found = {name: package["vulns"] for name, package in judged.items() if package["vulns"]}
    for name, vulnerabilities in found.items():
        for vulnerability in vulnerabilities:
            repaired = ", ".join(vulnerability["fix_versions"]) or "no version yet"
            _print(f"{name} {judged[name]['version']}: {vulnerability['id']}, repaired in {repaired}")
    if unknown:
        _print(f"not looked at, as the service does not know them: {', '.join(unknown)}")
    _print(f"{len(judged)} packages, {len(found)} of them vulnerable")
    return VULNERABLE if found else 0


def _print(line: str) -> None:
    sys.stdout.write(f"scripts/audit: {line}\n")


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]), sys.stdin.read()))
