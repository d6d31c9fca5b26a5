"""What is aimed at, and whether it was met, by which numbers."""

from __future__ import annotations

from typing import Any

Row = dict[str, Any]
_WAYS = (("saturated", ""), ("paced", "paced_"))


def targets(results: list[Row]) -> list[str]:
    """A line for each aim that these results can tell of."""
    found = _Results(results)
    _small_requests(found)
    _whole_gateway(found)
    _bodies(found)
    _memory(found)
    _limits(found)
    _telling(found)
    _sockets(found)
    return found.lines


class _Results:
    """The results by case and peer, and the lines that are said of them."""

    def __init__(self, results: list[Row]) -> None:
        self._rows = {(row["case"], row["peer"]): row for row in results}
        self.lines: list[str] = []

    def row(self, case: str, peer: str = "falcongate") -> Row | None:
        return self._rows.get((case, peer))

    def say(self, text: str, ours: float, limit: float, *, may_be_equal: bool = True) -> None:
        is_met = ours <= limit if may_be_equal else ours < limit
        self.lines.append(f"  {'met    ' if is_met else 'NOT met'} {text:58}{ours:>9.2f}{limit:>9.2f}")

    def compare(
        self, ours: Row | None, key: str, text: str, others: dict[str, float], *, may_be_equal: bool = True
    ) -> None:
        """Ours and those of other peers, each times its factor, in the same case."""
        if ours is None:
            return
        for peer, factor in others.items():
            wanted = text.format(peer=peer, factor=factor)
            other = self.row(ours["case"], peer)
            if other:
                self.say(wanted, ours[key], factor * other[key], may_be_equal=may_be_equal)
            else:
                self.lines.append(f"  ?       {wanted:58} {peer} was not measured")


def _small_requests(found: _Results) -> None:
    ours = found.row("get")
    for way, prefix in _WAYS:
        key, text = f"{prefix}cpu_us", f"small GET, {way}, CPU us: " + "{factor:g} x {peer}"
        found.compare(ours, key, text, {"nginx": 3.5, "stock": 0.2})
        found.compare(ours, key, text, {"caddy": 1.0}, may_be_equal=False)
        if ours:
            limit = 5 * ours[f"{prefix}p50_ms"]
            found.say(
                f"small GET, {way}, p99 ms: 5 x p50", ours[f"{prefix}p99_ms"], limit, may_be_equal=False
            )


def _whole_gateway(found: _Results) -> None:
    """All that is on by default, for what Envoy takes, or 1.7 times what nginx with Lua does: one will do."""
    envoy, lua = found.row("get", "envoy"), found.row("limited", "nginx-lua")
    for peer, how in (("falcongate", ""), ("falcongate-compiled", " (compiled)")):
        ours = found.row("get", peer)
        if not ours or not (envoy or lua):
            continue
        for way, prefix in _WAYS:
            key = f"{prefix}cpu_us"
            limits = [envoy[key]] if envoy else []
            limits += [1.7 * lua[key]] if lua else []
            found.say(f"defaults{how}, {way}, CPU us: envoy or 1.7 x nginx-lua", ours[key], max(limits))


def _bodies(found: _Results) -> None:
    others = dict.fromkeys(("envoy", "caddy", "nginx-unbuffered"), 1.0)
    for case in ("download", "upload"):
        found.compare(found.row(case), "cpu_s_per_gb", f"{case}, CPU s per GB: " + "{peer}", others)


def _memory(found: _Results) -> None:
    if ours := found.row("held"):
        found.say("memory of a held caller, KB", ours["kb_per_caller"], 50)


def _limits(found: _Results) -> None:
    _limits_of(found, "falcongate", "falcongate-limits", "")
    _limits_of(found, "falcongate-compiled", "falcongate-limits-compiled", " (compiled)")


def _limits_of(found: _Results, bare: str, peer: str, how: str) -> None:
    ours, refused = found.row("limited", peer), found.row("refused", peer)
    for way, prefix in _WAYS:
        key, text = f"{prefix}cpu_us", f"with limits{how}, {way}, CPU us: " + "{factor:g} x {peer}"
        found.compare(ours, key, text, {"nginx-lua": 2.5})
        found.compare(ours, key, text, {"traefik-redis": 1.0}, may_be_equal=False)
        if ours and refused:
            found.say(f"refused{how}, {way}, CPU us: 0.5 x admitted", refused[key], ours[key] / 2)
    without, limited = found.row("alone", bare), found.row("alone", peer)
    if without and limited:
        limit = without["p50_ms"] + limited["ping_ms"]
        found.say(f"with limits{how}, alone, p50 ms: without + one ping", limited["p50_ms"], limit)


def _telling(found: _Results) -> None:
    telling, silent = found.row("told", "falcongate-telling"), found.row("told", "falcongate-silent")
    if telling and silent:
        for way, prefix in _WAYS:
            key = f"{prefix}cpu_us"
            found.say(f"telling everything, {way}, CPU us: silent + 15", telling[key], silent[key] + 15)


def _sockets(found: _Results) -> None:
    for case, key, text, factor in (
        ("sockets", "cpu_us", "WebSocket echo of 1 KiB, CPU us", 3.0),
        ("sockets-large", "cpu_us", "WebSocket echo of 1 MiB, CPU us", 1.0),
        ("sockets-idle", "kb_per_socket", "idle WebSocket, KB", 1 / 3),
    ):
        found.compare(found.row(case), key, text + ": {factor:.2g} x {peer}", {"nginx": factor})
