"""How often the configuration was to be replaced: counted by gunicorn's master, shown by its workers.

The master must not have prometheus_client (see `metric_files.py`), so here is what both sides call it.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Final

from falcongate.telemetry.metric_files import count

if TYPE_CHECKING:
    from pathlib import Path

NAME: Final = "falcongate_config_reloads_total"
HELP: Final = (
    "Reloads of this host: done, refused (mistakes in the configuration), failed (a worker could not start),"
    " or superseded by a later one."
)
RESULTS: Final = ("done", "refused", "failed", "superseded")


def count_reload(directory: Path, result: str) -> None:
    """Count one with this of the results. Raises OSError."""
    key = json.dumps([NAME.removesuffix("_total"), NAME, {"result": result}, HELP], sort_keys=True)
    count(directory, "counter", key.encode())
