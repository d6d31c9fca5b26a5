"""The door to the metrics, where they cannot be read."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from falcongate.exchange import EXCHANGE
from falcongate.outages import MetricsUnavailable
from falcongate.resources.metrics import Metrics
from falcongate.telemetry import families
from falcongate.telemetry.exposition import Exposition
from falcongate.telemetry.metric_files import DIRECTORY_VARIABLE


@pytest.mark.parametrize("preferred", ["text/plain", "application/openmetrics-text", "application/json"])
def test_metrics_that_cannot_be_read_are_an_outage(
    preferred: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    gone = str(tmp_path / "gone")
    monkeypatch.setattr(families, "copy_of_environment", lambda: {DIRECTORY_VARIABLE: gone})
    operators: Any = SimpleNamespace(identify_reader=lambda _: None)
    asked: Any = SimpleNamespace(env={EXCHANGE: None}, client_prefers=lambda _: preferred)
    answer: Any = SimpleNamespace()
    with pytest.raises(MetricsUnavailable) as refused:
        Metrics(operators, Exposition(tuple)).on_get(asked, answer)
    assert refused.value.status == 503
    assert refused.value.retry_after_s == 1
    assert gone in caplog.text
