"""Processes with a line to Redis, for tests that break it."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.line_process import LineProcess
from tests.support.processes import until


@pytest.fixture
def worker_of(tmp_path: Path) -> Iterator[Callable[..., LineProcess]]:
    """Starts a worker with these settings and waits until its callers are answered."""
    with contextlib.ExitStack() as stack:

        def start(**settings: Any) -> LineProcess:  # noqa: ANN401  # settings of Redis
            worker = LineProcess(tmp_path / "worker", settings)
            stack.callback(worker.end)
            until(lambda: worker.seen()["answers"], "the first connection is made")
            worker.await_health()
            return worker

        yield start
