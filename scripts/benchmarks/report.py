"""The results for people: a table for each case, ratios, and what was aimed at."""

from __future__ import annotations

from typing import Any

_COLUMNS = {
    "get": ("cpu_us", "paced_cpu_us", "per_s", "p50_ms", "p99_ms", "paced_p50_ms", "paced_p99_ms"),
    "post": ("cpu_us", "paced_cpu_us", "per_s", "p50_ms", "p99_ms", "paced_p50_ms", "paced_p99_ms"),
    "download": ("cpu_s_per_gb", "requests"),
    "upload": ("cpu_s_per_gb", "requests"),
    "held": ("kb_per_caller", "requests"),
}
_MEASURES = {"get": "cpu_us", "post": "cpu_us", "download": "cpu_s_per_gb", "upload": "cpu_s_per_gb"}


def render(results: list[dict[str, Any]]) -> str:
    """All tables and the comparison with the targets."""
    cases = list(dict.fromkeys(row["case"] for row in results))
    tables = [_table(case, [row for row in results if row["case"] == case]) for case in cases]
    return "\n".join([*tables, _targets(results)])


def _table(case: str, rows: list[dict[str, Any]]) -> str:
    columns = _COLUMNS[case]
    measure = _MEASURES.get(case, "kb_per_caller")
    nginx = next((row[measure] for row in rows if row["peer"] == "nginx"), None)
    lines = [f"{case}", f"{'':18}" + "".join(f"{name:>15}" for name in columns) + f"{'x nginx':>10}"]
    for row in rows:
        ratio = f"{row[measure] / nginx:.2f}" if nginx else "-"
        values = "".join(f"{row[name]:>15.2f}" for name in columns)
        lines.append(f"{row['peer']:18}{values}{ratio:>10}")
    return "\n".join(lines) + "\n"


def _targets(results: list[dict[str, Any]]) -> str:
    values = {(row["case"], row["peer"]): row for row in results}
    lines = ["targets"]

    def say(text: str, ours: float, limit: float) -> None:
        lines.append(f"  {'met    ' if ours <= limit else 'NOT met'}  {text}: {ours:.2f}, limit {limit:.2f}")

    ours = values.get(("get", "falcongate"))
    for kind, measure in (("saturated", "cpu_us"), ("paced", "paced_cpu_us")):
        for peer, factor in (("nginx", 3.5), ("caddy", 1.0), ("stock", 0.2)):
            other = values.get(("get", peer))
            if ours and other:
                say(
                    f"small GET, {kind}, CPU us against {factor:g} x {peer}",
                    ours[measure],
                    factor * other[measure],
                )
    if ours:
        say("p99 against 5 x p50 at 32 connections, ms", ours["p99_ms"], 5 * ours["p50_ms"])
    for case in ("download", "upload"):
        for peer in ("envoy", "caddy", "nginx-unbuffered"):
            mine, other = values.get((case, "falcongate")), values.get((case, peer))
            if mine and other:
                say(f"{case}, CPU s per GB against {peer}", mine["cpu_s_per_gb"], other["cpu_s_per_gb"])
    held = values.get(("held", "falcongate"))
    if held:
        say("memory of a held caller, KB", held["kb_per_caller"], 50)
    return "\n".join(lines) + "\n"
