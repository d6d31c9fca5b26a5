"""The results for people: a table for each case, ratios, and what was aimed at."""

from __future__ import annotations

from typing import Any

from scripts.benchmarks.targets import targets

Row = dict[str, Any]
_SMALL = {
    "cpu_us": "CPU us",
    "ratio": "x nginx",
    "paced_cpu_us": "paced us",
    "paced_ratio": "x nginx",
    "per_s": "req/s",
    "busy_percent": "busy %",
    "p50_ms": "p50 ms",
    "p99_ms": "p99 ms",
    "paced_p50_ms": "paced p50",
    "paced_p99_ms": "paced p99",
}
_SMALL_TOLD = {key: name for key, name in _SMALL.items() if not key.endswith("ratio")}
_SMALL_LIMITED = {key: name.replace("nginx", "lua") for key, name in _SMALL.items()}
_ALONE = {"p50_ms": "p50 ms", "p99_ms": "p99 ms", "ping_ms": "ping of Redis"}
_SOCKETS = {"cpu_us": "CPU us", "ratio": "x nginx", "per_s": "messages/s", "busy_percent": "busy %"}
_SOCKETS_IDLE = {"kb_per_socket": "KB each", "ratio": "x nginx"}
_BODIES = {"cpu_s_per_gb": "CPU s/GB", "ratio": "x nginx", "gb_per_s": "GB/s"}
_HELD = {"kb_per_caller": "KB/caller", "ratio": "x nginx", "last_answer_s": "last answer s"}
_TABLES = {
    "get": ("small GET, 294 bytes of JSON, 32 connections", _SMALL),
    "post": ("POST of 4 KiB, 32 connections", _SMALL),
    "download": ("download of 10 MiB, 4 connections", _BODIES),
    "upload": ("upload of 10 MiB, 4 connections", _BODIES),
    "limited": ("small GET with limits in Redis, 32 connections", _SMALL_LIMITED),
    "refused": ("small GET over a limit in Redis, 32 connections", _SMALL_LIMITED),
    "alone": ("small GET, one connection, 100 a second", _ALONE),
    "told": ("small GET, told with logs, metrics, traces and decisions, or not", _SMALL_TOLD),
    "sockets": ("WebSocket, echo of 1 KiB, 32 connections", _SOCKETS),
    "sockets-large": ("WebSocket, echo of 1 MiB, 4 connections", _SOCKETS),
    "sockets-idle": ("4,000 WebSockets in which nothing happens", _SOCKETS_IDLE),
    "held": ("2,000 callers held for a second", _HELD),
}


def render(found: dict[str, Any]) -> str:
    """The conditions, all tables and the comparison with the targets."""
    conditions, results = found["conditions"], found["results"]
    rate = conditions["paced_per_s"]
    versions = ", ".join(f"{peer} {version}" for peer, version in conditions["versions"].items())
    extent = f"medians of {conditions['rounds']} rounds of {conditions['seconds']:g} s"
    paced = f"paced: {rate:g} requests per second for every peer"
    lines = [conditions["machine"], versions, f"{extent}; {paced}"]
    for case in dict.fromkeys(row["case"] for row in results):
        lines += ["", *_table(case, [row for row in results if row["case"] == case], rate)]
    if aims := targets(results):
        lines += ["", "targets (ours, limit)", *aims]
    return "\n".join(lines) + "\n"


def _table(case: str, rows: list[Row], rate: float) -> list[str]:
    title, columns = _TABLES[case]
    keys = list(columns)
    nginx: Row = next((row for row in rows if row["peer"] in ("nginx", "nginx-lua")), {})
    lines = [title, f"{'':18}" + "".join(f"{name:>{_width(name)}}" for name in columns.values())]
    for row in rows:
        cells = dict(row)
        # A ratio stands right after what it is made of.
        for key, base in zip(keys[1:], keys, strict=False):
            if key.endswith("ratio"):
                cells[key] = row[base] / nginx[base] if nginx else None
        lines.append(f"{row['peer']:18}" + "".join(_cell(cells[key], columns[key]) for key in keys))
        if row.get("paced_per_s", rate) < 0.97 * rate:
            lines.append(f"  {row['peer']} fell behind the pace: {row['paced_per_s']:.0f} a second")
    return lines


def _width(heading: str) -> int:
    return max(len(heading), 7) + 2


def _cell(value: float | None, heading: str) -> str:
    if value is None:
        return f"{'-':>{_width(heading)}}"
    return f"{value:>{_width(heading)}.{0 if value >= 1000 else 2}f}"
