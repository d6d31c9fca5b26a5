"""The results for people: a table for each case, ratios, and what was aimed at."""

from __future__ import annotations

from typing import Any

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
_BODIES = {"cpu_s_per_gb": "CPU s/GB", "ratio": "x nginx", "gb_per_s": "GB/s"}
_HELD = {"kb_per_caller": "KB/caller", "ratio": "x nginx", "last_answer_s": "last answer s"}
_TABLES = {
    "get": ("small GET, 294 bytes of JSON, 32 connections", _SMALL),
    "post": ("POST of 4 KiB, 32 connections", _SMALL),
    "download": ("download of 10 MiB, 4 connections", _BODIES),
    "upload": ("upload of 10 MiB, 4 connections", _BODIES),
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
    if targets := _targets(results):
        lines += ["", "targets (ours, limit)", *targets]
    return "\n".join(lines) + "\n"


def _table(case: str, rows: list[Row], rate: float) -> list[str]:
    title, columns = _TABLES[case]
    keys = list(columns)
    nginx: Row = next((row for row in rows if row["peer"] == "nginx"), {})
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


def _targets(results: list[Row]) -> list[str]:
    """Each target, whether it was met, and by which numbers."""
    values = {(row["case"], row["peer"]): row for row in results}
    lines: list[str] = []

    def say(text: str, ours: float, limit: float, *, may_be_equal: bool = True) -> None:
        is_met = ours <= limit if may_be_equal else ours < limit
        lines.append(f"  {'met    ' if is_met else 'NOT met'} {text:58}{ours:>9.2f}{limit:>9.2f}")

    def compare(case: str, key: str, text: str, factors: dict[str, float], *, may_be_equal: bool) -> None:
        ours = values.get((case, "falcongate"))
        if ours is None:
            return
        for peer, factor in factors.items():
            other = values.get((case, peer))
            wanted = text.format(peer=peer, factor=factor)
            if other:
                say(wanted, ours[key], factor * other[key], may_be_equal=may_be_equal)
            else:
                lines.append(f"  ?       {wanted:58} {peer} was not measured")

    for way, prefix in (("saturated", ""), ("paced", "paced_")):
        text = f"small GET, {way}, CPU us: " + "{factor:g} x {peer}"
        compare("get", f"{prefix}cpu_us", text, {"nginx": 3.5, "stock": 0.2}, may_be_equal=True)
        compare("get", f"{prefix}cpu_us", text, {"caddy": 1.0}, may_be_equal=False)
        if ours := values.get(("get", "falcongate")):
            limit = 5 * ours[f"{prefix}p50_ms"]
            say(f"small GET, {way}, p99 ms: 5 x p50", ours[f"{prefix}p99_ms"], limit, may_be_equal=False)
    others = dict.fromkeys(("envoy", "caddy", "nginx-unbuffered"), 1.0)
    for case in ("download", "upload"):
        compare(case, "cpu_s_per_gb", f"{case}, CPU s per GB: " + "{peer}", others, may_be_equal=True)
    if ours := values.get(("held", "falcongate")):
        say("memory of a held caller, KB", ours["kb_per_caller"], 50)
    return lines
