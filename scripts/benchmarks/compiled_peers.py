"""The same gateway from the wheel that scripts/compile has built: its hot modules are compiled."""

from __future__ import annotations

import os
import sys
import zipfile
from dataclasses import replace
from typing import TYPE_CHECKING

from scripts.benchmarks.limited_peers import falcongate_limits
from scripts.benchmarks.peers import falcongate
from scripts.benchmarks.processes import ROOT

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from scripts.benchmarks.peers import Peer, Ports


def _compiled(folder: Path, peer: Peer | None) -> Peer | None:
    """The same peer with what was compiled; None if nothing was for this Python."""
    this = f"cp{sys.version_info.major}{sys.version_info.minor}"
    wheels = sorted(ROOT.glob(f"dist/falcongate-*-{this}-*.whl"))
    if not wheels or peer is None:
        return None
    unpacked = folder / "compiled"
    if not unpacked.exists():
        zipfile.ZipFile(wheels[-1]).extractall(unpacked)
    # Python and gunicorn put the folder that they are started from before all others, where it is not yet.
    path = {"PYTHONSAFEPATH": "1", "PYTHONPATH": os.pathsep.join((os.fspath(unpacked), os.fspath(ROOT)))}
    *command, app = peer.command
    return replace(
        peer,
        command=[*command, "--chdir", os.fspath(unpacked), app],
        environment={**peer.environment, **path},
    )


def _defaults(folder: Path, ports: Ports) -> Peer | None:
    return _compiled(folder, falcongate(folder, ports, name="falcongate-compiled"))


def _limits(folder: Path, ports: Ports) -> Peer | None:
    return _compiled(folder, falcongate_limits(folder, ports, name="falcongate-limits-compiled"))


COMPILED_PEERS: dict[str, Callable[[Path, Ports], Peer | None]] = {
    "falcongate-compiled": _defaults,
    "falcongate-limits-compiled": _limits,
}
