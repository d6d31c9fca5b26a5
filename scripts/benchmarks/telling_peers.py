"""The gateway against itself: telling everything of every request, and telling nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING

from scripts.benchmarks.peers import Peer, falcongate

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from scripts.benchmarks.peers import Ports


def _telling(folder: Path, ports: Ports) -> Peer | None:
    # The sink takes any body, so it is as good as a receiver of traces.
    on = (
        f'[redis]\nurl = "redis://127.0.0.1:{ports.redis}"\n'
        f'[traces]\nendpoint = "http://127.0.0.1:{ports.sink}"\n'
    )
    return falcongate(folder, ports, name="falcongate-telling", more=on)


def _silent(folder: Path, ports: Ports) -> Peer | None:
    off = (
        f'[redis]\nurl = "redis://127.0.0.1:{ports.redis}"\n'
        "[log]\naccess = false\n[metrics]\nenabled = false\n[decisions]\nkeep = 0\n"
    )
    return falcongate(folder, ports, name="falcongate-silent", more=off)


TELLING_PEERS: dict[str, Callable[[Path, Ports], Peer | None]] = {
    "falcongate-telling": _telling,
    "falcongate-silent": _silent,
}
