"""A lane to a server whose part the test speaks."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from falcongate.state import redis_call
from falcongate.state.redis_call import Call, Script
from falcongate.state.redis_lane import Lane
from tests.support.spoken import LANE_BUDGET_S, SpokenNode


@pytest.fixture
def scripts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, Script]:
    """A script that takes one call, and one that joins."""
    monkeypatch.setattr(redis_call, "SCRIPTS", tmp_path)
    for name in ("single", "joined"):
        (tmp_path / f"{name}.lua").write_text(f"return '{name}'", "ascii")
    return {"single": Script("single"), "joined": Script("joined", joins=True)}


@pytest.fixture
def node() -> Iterator[SpokenNode]:
    spoken = SpokenNode()
    yield spoken
    spoken.close()


@pytest.fixture
def changes() -> list[bool]:
    """Whether the server was away, each time that something was said to have changed."""
    return []


@pytest.fixture
def redirected() -> list[tuple[Call, str, str]]:
    """What was sent to other servers of the cluster."""
    return []


@pytest.fixture
def round_trips() -> list[float]:
    """How long each took, in seconds."""
    return []


@pytest.fixture
def lane(
    node: SpokenNode,
    changes: list[bool],
    redirected: list[tuple[Call, str, str]],
    round_trips: list[float],
) -> Iterator[Lane]:
    def redirect(call: Call, kind: str, address: str) -> bool:
        if address == "unknown:1":
            return False
        redirected.append((call, kind, address))
        return True

    made = Lane(
        node,  # type: ignore[arg-type]
        budget_s=LANE_BUDGET_S,
        probe_key="probe",
        on_change=lambda: changes.append(made.is_degraded),
        on_round_trip=round_trips.append,
        redirect=redirect,
    )
    node.end()
    yield made
    made.close()
