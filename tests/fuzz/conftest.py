"""How long each target is tried, and what is told of it.

Each module has the time of `--fuzz-seconds`, which its tests share. An input that was a mistake once is kept
as an `@example` of its target, or in the corpus of requests.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from time import monotonic

import pytest
from hypothesis import HealthCheck, Phase, settings

FUZZ_SECONDS = "--fuzz-seconds"
_ROUND = settings(
    max_examples=1_000,
    deadline=None,
    database=None,
    derandomize=False,  # each round and each run shall try others
    phases=[Phase.explicit, Phase.generate, Phase.shrink],
    suppress_health_check=list(HealthCheck),
    print_blob=True,
)
_GRACE_S = 240
"""What a target may take beyond its time: the smallest example of a failure is looked for."""

KeepTrying = Callable[[Callable[[], None]], None]


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """A target may take as long as it is given, and then some."""
    for item in items:
        if item.path.parent.name == "fuzz":
            item.add_marker(pytest.mark.timeout(config.getoption(FUZZ_SECONDS) + _GRACE_S))


@pytest.fixture
def keep_trying(request: pytest.FixtureRequest, record_property: Callable[[str, object], None]) -> KeepTrying:
    """Runs a target that Hypothesis gives its inputs, round after round, until its time is over."""

    def run(target: Callable[[], None]) -> None:
        targets = sum(
            item.path == request.node.path and "keep_trying" in getattr(item, "fixturenames", ())
            for item in request.session.items
        )
        until = monotonic() + request.config.getoption(FUZZ_SECONDS) / targets
        tried = 0
        inner = target.hypothesis.inner_test  # type: ignore[attr-defined]

        @functools.wraps(inner)
        def counted(*values: object, **named: object) -> None:
            nonlocal tried
            tried += 1
            inner(*values, **named)

        target.hypothesis.inner_test = counted  # type: ignore[attr-defined]
        one_round = _ROUND(target)
        try:
            while True:
                one_round()
                if monotonic() >= until:
                    break
        finally:
            record_property("inputs tried", tried)

    return run


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Say how many inputs were tried: a target that gets slow finds nothing any more."""
    for report in terminalreporter.stats.get("passed", []):
        for name, value in report.user_properties:
            if name == "inputs tried":
                terminalreporter.write_line(f"{value:>9} {name}: {report.nodeid.rpartition('/')[2]}")
