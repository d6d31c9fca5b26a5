"""`scripts/bench`: every peer does the same work in turn; CPU is read from /proc."""

from __future__ import annotations

import argparse
import json
import os
import platform
import signal
import statistics
import sys
import tempfile
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from scripts.benchmarks.compiled_peers import COMPILED_PEERS
from scripts.benchmarks.limited_peers import LIMITED_PEERS, redis_service
from scripts.benchmarks.measure import measure, profile
from scripts.benchmarks.peers import PEERS, Ports, files_service, sink_service, sockets_service, version
from scripts.benchmarks.processes import OTHERS_CORE, PEER_CORE, free_port, is_pinned, running
from scripts.benchmarks.report import render
from scripts.benchmarks.telling_peers import TELLING_PEERS

_OF_ALL = ("get", "post", "download", "upload", "held")
_OF_LIMITS = ("limited", "refused", "alone")
_OF_TELLING = ("told",)
_OF_SOCKETS = ("sockets", "sockets-large", "sockets-idle")
CASES = (*_OF_ALL, *_OF_LIMITS, *_OF_TELLING, *_OF_SOCKETS)
_CASES_OF: dict[str, tuple[str, ...]] = {
    "falcongate": (*_OF_ALL, "alone", *_OF_SOCKETS),
    "nginx": (*_OF_ALL, *_OF_SOCKETS),
    "haproxy": (*_OF_ALL, *_OF_SOCKETS),
    "nginx-unbuffered": ("download", "upload"),
    "falcongate-limits": _OF_LIMITS,
    "falcongate-traces": ("get",),
    "falcongate-compiled": ("get", "post", "alone"),
    "falcongate-limits-compiled": _OF_LIMITS,
    "nginx-lua": _OF_LIMITS,
    "traefik-redis": _OF_LIMITS,
    "falcongate-telling": _OF_TELLING,
    "falcongate-silent": _OF_TELLING,
}
"""Of peers that do not do all but these."""

_HANDSHAKE = b"GET / HTTP/1.1\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
_ALL_PEERS = PEERS | COMPILED_PEERS | LIMITED_PEERS | TELLING_PEERS


def main() -> None:
    """Measure and print."""
    arguments = _parse()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that what was started is ended
    rows: list[dict[str, Any]] = []
    versions: dict[str, str] = {}
    with tempfile.TemporaryDirectory(prefix="falcongate-bench-") as name, ExitStack() as stack:
        folder = Path(name)
        folder.chmod(0o755)  # nginx's worker runs as another user
        files, sink = free_port(), free_port()
        for label, command, port in (
            ("files", files_service(folder, files), files),
            ("sink", sink_service(sink), sink),
        ):
            log = folder / f"{label}-service.log"
            stack.enter_context(running(command, {}, port, core=OTHERS_CORE, log=log))
        sockets = free_port()
        command, log = sockets_service(sockets), folder / "sockets-service.log"
        hello = (_HANDSHAKE, b"HTTP/1.1 101")
        stack.enter_context(running(command, {}, sockets, core=OTHERS_CORE, log=log, greeting=hello))
        redis = _start_redis(stack, folder)
        for round_number in range(1, arguments.rounds + 1):
            for peer in arguments.peers:
                rows += _measure_peer(
                    peer, folder, (files, sink, sockets, redis), arguments, round_number=round_number
                )
        versions = {peer: version(peer) for peer in arguments.peers}
    found = {
        "conditions": _conditions(arguments, versions),
        "results": _medians(rows),
        "rounds": rows,
    }
    if arguments.json and arguments.json != "-":
        Path(arguments.json).write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
    sys.stdout.write(json.dumps(found, indent=1) + "\n" if arguments.json == "-" else render(found))


def _parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="scripts/bench", description=__doc__)
    parser.add_argument("--cases", default=",".join(CASES), help="of: %(default)s")
    parser.add_argument("--peers", default=",".join(_ALL_PEERS), help="of: %(default)s")
    parser.add_argument("--seconds", type=float, default=4.0, help="of load for each case, way and peer")
    parser.add_argument("--rounds", type=int, default=3, help="how often all of it; medians are shown")
    parser.add_argument("--rate", type=float, default=1_000, help="paced requests per second: %(default)s")
    parser.add_argument("--json", metavar="FILE", help="write the results to FILE too, or - to print them")
    parser.add_argument("--profile", metavar="FILE", help="py-spy's raw stacks of the gateway's small GETs")
    arguments = parser.parse_args()
    for name, known in (("cases", CASES), ("peers", _ALL_PEERS)):
        asked = getattr(arguments, name).split(",")
        if unknown := [each for each in asked if each not in known]:
            parser.error(f"no such {name}: {', '.join(unknown)}")
        setattr(arguments, name, [each for each in known if each in asked])
    if arguments.rounds < 1 or arguments.seconds <= 0 or arguments.rate <= 0:
        parser.error("--rounds, --seconds and --rate are positive")
    return arguments


def _start_redis(stack: ExitStack, folder: Path) -> int:
    """The port of a Redis that peers with limits share; 0 if there is none to start."""
    port = free_port()
    command = redis_service(port)
    if command is None:
        sys.stderr.write("redis-server: not here, what needs it is skipped\n")
        return 0
    log = folder / "redis.log"
    stack.enter_context(
        running(command, {}, port, core=OTHERS_CORE, log=log, greeting=(b"PING\r\n", b"+PONG"))
    )
    return port


def _measure_peer(
    name: str,
    folder: Path,
    services: tuple[int, int, int, int],
    arguments: argparse.Namespace,
    *,
    round_number: int,
) -> list[dict[str, Any]]:
    """A fresh process for each case, so that no case inherits the memory of another."""
    rows = []
    for case in arguments.cases:
        ports = Ports(free_port(), *services)
        if case not in _CASES_OF.get(name, _OF_ALL) or (
            case in (*_OF_LIMITS, *_OF_TELLING) and not ports.redis
        ):
            continue
        peer = _ALL_PEERS[name](folder, ports)
        if peer is None:
            if round_number == 1:
                sys.stderr.write(f"{name}: not here, skipped\n")
            break
        sys.stderr.write(f"round {round_number}: {name}: {case}\n")
        log = folder / f"{name}.log"
        with running(peer.command, peer.environment, ports.own, core=PEER_CORE, log=log) as pid:
            row = measure(case, pid, ports, seconds=arguments.seconds, rate=arguments.rate)
            if arguments.profile and (name, case, round_number) == ("falcongate", "get", 1):
                profile(pid, ports.own, seconds=arguments.seconds, output=arguments.profile)
        rows.append({"peer": name, "case": case, "round": round_number, **row})
    return rows


def _conditions(arguments: argparse.Namespace, versions: dict[str, str]) -> dict[str, Any]:
    pinned = "the peer on one core, callers and services on another" if is_pinned() else "no pinning"
    return {
        "machine": f"{os.cpu_count()} cores, {platform.machine()}, Linux {platform.release()}; {pinned}",
        "versions": versions,
        "seconds": arguments.seconds,
        "rounds": arguments.rounds,
        "paced_per_s": arguments.rate,
    }


def _medians(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """One row for each case and peer, with the median of every number."""
    groups: dict[tuple[str, str], list[dict[str, Any]]] = {}
    for row in rows:
        groups.setdefault((row["case"], row["peer"]), []).append(row)
    return [
        {"case": case, "peer": peer}
        | {
            key: round(statistics.median(row[key] for row in group), 4)
            for key in group[0]
            if key not in ("case", "peer", "round")
        }
        for (case, peer), group in sorted(groups.items(), key=lambda item: CASES.index(item[0][0]))
    ]


if __name__ == "__main__":
    main()
