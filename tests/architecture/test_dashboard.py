"""The dashboard and the alert rules are sound in themselves."""

from __future__ import annotations

import json
import re
import shutil
import subprocess

import pytest

from tests.architecture.tree import ROOT

DASHBOARD = ROOT / "conf/grafana-dashboard.json"
ALERTS = ROOT / "conf/prometheus-alerts.yml"
BY = re.compile(r"\bby \(([^)]*)\)")


def test_legends_and_texts_name_labels_that_are_left() -> None:
    dashboard = json.loads(DASHBOARD.read_text("utf-8"))
    for panel in dashboard["panels"]:
        for target in panel.get("targets", ()):
            by = {label.strip() for found in BY.findall(target["expr"]) for label in found.split(",")}
            assert set(re.findall(r"{{(\w+)}}", target["legendFormat"])) <= by, panel["title"]


def test_prometheus_accepts_the_rules() -> None:
    promtool = shutil.which("promtool")
    if promtool is None:
        pytest.skip("promtool (Debian: prometheus) is not installed")
    command = [promtool, "check", "rules", str(ALERTS)]
    checked = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603  # our own file
    assert checked.returncode == 0, checked.stdout + checked.stderr


def test_panels_have_places_of_their_own() -> None:
    panels = json.loads(DASHBOARD.read_text("utf-8"))["panels"]
    places = [(panel["gridPos"]["x"], panel["gridPos"]["y"]) for panel in panels]
    assert len(places) == len(set(places))
    assert len({panel["id"] for panel in panels}) == len(panels)
