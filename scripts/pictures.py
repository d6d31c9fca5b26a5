"""The pictures in `docs/images` that explain: `python -m scripts.pictures` draws them anew.

Their numbers are the ones below and the defaults of the settings; a test does what they show.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

from falcongate.admission.known_breaker import FIRST_SHARE
from falcongate.config.breaker import BreakerSettings

FOLDER: Final = Path(__file__).parents[1] / "docs/images"

LIMIT: Final = 20
LENGTH_S: Final = 60
BUCKETS: Final = 10
CHARGED: Final = (4, 3, 0, 2, 1, 0, 4, 2, 0, 1, 3, 2)
"""What a caller was charged in each bucket, the first of which no longer counts."""
NOW_S: Final = 70.0
"""Seconds since the first bucket began: four into the last."""

_STYLE: Final = """\
<style>
  text { font: 14px system-ui, sans-serif; fill: #1f2328; }
  .small { font-size: 12px; fill: #59636e; }
  .strong { font-weight: 600; }
  .middle { text-anchor: middle; }
  .line { stroke: #59636e; stroke-width: 1.5; fill: none; }
  .bar { fill: #0969da; }
  .full { fill: #9a6700; }
  .gone { fill: #59636e; opacity: .35; }
  .field { fill: #59636e; opacity: .12; }
  .box { fill: none; stroke-width: 2.5; }
  .closed { stroke: #1a7f37; } .open { stroke: #cf222e; } .half { stroke: #9a6700; }
  .head { fill: #59636e; }
  @media (prefers-color-scheme: dark) {
    text { fill: #e6edf3; }
    .small { fill: #9198a1; } .head { fill: #9198a1; }
    .line { stroke: #9198a1; }
    .bar { fill: #4493f8; } .full { fill: #d29922; } .gone, .field { fill: #9198a1; }
    .closed { stroke: #3fb950; } .open { stroke: #f85149; } .half { stroke: #d29922; }
  }
</style>
<defs><marker id="tip" viewBox="0 0 10 10" refX="9" refY="5" markerWidth="7" markerHeight="7" orient="auto">\
<path class="head" d="M0,0 L10,5 L0,10 z"/></marker></defs>
"""
_LEFT: Final = 40
_WIDE: Final = 60
_GROUND: Final = 190
_UNIT: Final = 25


def picture(width: int, height: int, title: str, *parts: str) -> str:
    """A whole SVG."""
    head = f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" role="img">\n'
    return f"{head}<title>{title}</title>\n{_STYLE}" + "\n".join(parts) + "\n</svg>\n"


def text(x: float, y: float, words: str, kind: str = "") -> str:
    """Words that begin at a point, or are around it if they are `middle`."""
    return f'<text x="{x:g}" y="{y:g}" class="{kind}">{words}</text>'


def line(path: str, *, has_tip: bool = False) -> str:
    """A line, or an arrow."""
    tip = ' marker-end="url(#tip)"' if has_tip else ""
    return f'<path class="line" d="{path}"{tip}/>'


def _box(corner: tuple[float, float], width: float, height: float, kind: str) -> str:
    x, y = corner
    return f'<rect x="{x:g}" y="{y:g}" width="{width:g}" height="{height:g}" rx="6" class="{kind}"/>'


def used() -> int:
    """What counts now: the bucket of now and as many before it as a window has."""
    return sum(CHARGED[-BUCKETS - 1 :])


def render_window() -> str:
    """A window of a limit, and what of it counts."""
    width_s = LENGTH_S / BUCKETS
    pixels_a_second = _WIDE / width_s
    now = _LEFT + NOW_S * pixels_a_second
    begins = now - LENGTH_S * pixels_a_second
    parts = [_box((begins, 40), now - begins, _GROUND - 40, "field")]
    for number, charged in enumerate(CHARGED):
        kind = ("gone", "full")[number] if number < len(CHARGED) - BUCKETS else "bar"
        x, height = _LEFT + number * _WIDE, charged * _UNIT
        if height:
            parts.append(_box((x + 4, _GROUND - height), _WIDE - 8, height, kind))
        parts.append(text(x + _WIDE / 2, _GROUND + 18, f"{charged}", "middle"))
    end = _LEFT + len(CHARGED) * _WIDE
    parts += [
        line(f"M{_LEFT},{_GROUND} H{end}"),
        line(f"M{now:g},28 V{_GROUND}"),
        text(now, 22, "now", "middle strong"),
        line(f"M{now - 8:g},34 H{begins + 4:g}", has_tip=True),
        text((now + begins) / 2, 26, f"the last {LENGTH_S} seconds", "middle"),
        text(_LEFT + _WIDE / 2, _GROUND + 36, "is over", "middle small"),
        text(_LEFT + _WIDE * 1.5, _GROUND + 36, "counts", "middle small"),
        text(_LEFT + _WIDE * 1.5, _GROUND + 50, "in full", "middle small"),
        text(end, _GROUND + 36, f"buckets of {width_s:g} s each", "small"),
        text(
            _LEFT,
            _GROUND + 84,
            f"{LIMIT} in {LENGTH_S} s: the bucket of now and the {BUCKETS} before it hold {used()}, so"
            f" {LIMIT - used()} more fit.",
            "strong",
        ),
        text(
            _LEFT,
            _GROUND + 106,
            "A part of the oldest is older than that. It counts all the same: never more than the limit pass"
            f" in any {LENGTH_S} s.",
        ),
    ]
    title = f"A window of {LENGTH_S} seconds in {BUCKETS} buckets: the oldest counts in full"
    return picture(end + 130, _GROUND + 120, title, *parts)


def render_breaker() -> str:
    """The states of a breaker, and what leads from one to another."""
    by = BreakerSettings()
    parts = [
        _box((40, 70), 190, 80, "box closed"),
        text(135, 105, "CLOSED", "middle strong"),
        text(135, 127, "requests pass", "middle small"),
        _box((570, 70), 190, 80, "box open"),
        text(665, 105, "OPEN", "middle strong"),
        text(665, 127, "requests are refused: 503", "middle small"),
        _box((305, 250), 190, 80, "box half"),
        text(400, 285, "HALF_OPEN", "middle strong"),
        text(400, 307, f"at most {by.probes} probes at a time", "middle small"),
        line("M232,95 H566", has_tip=True),
        text(400, 64, f"{by.max_failures} failures in {by.window_s:g} s,", "middle"),
        text(400, 84, f"or a share of at least {by.min_calls} calls, if one is set", "middle small"),
        line("M690,152 C690,230 620,300 500,302", has_tip=True),
        text(655, 262, f"after {by.open_s:g} s, doubled each time"),
        text(655, 280, f"a probe fails, up to {by.max_open_s:g} s", "small"),
        line("M450,248 C470,190 540,160 588,154", has_tip=True),
        text(455, 176, "a probe fails", "middle"),
        line("M303,295 C180,290 110,230 110,154", has_tip=True),
        text(40, 292, f"{by.successes} probes succeed"),
        text(40, 310, f"then traffic grows from {FIRST_SHARE:.0%}", "small"),
        text(40, 326, f"to all of it within {by.ramp_s:g} s", "small"),
        text(
            40,
            372,
            "An operator's order leads from any state to DISABLED, FORCED_OPEN or FORCED_CLOSED, and back to"
            " CLOSED.",
            "small",
        ),
    ]
    return picture(900, 390, "The states of a breaker, with the defaults of its settings", *parts)


_STATIONS: Final = (
    ("server", "bytes to WSGI", "1"),
    ("middleware", "the exchange", "2"),
    ("resources", "the doors", ""),
    ("upstream", "one target", "5"),
)
"""What a request passes, with the number of its step in `docs/architecture.md`."""
_ASKED: Final = (("routing", "whose is it?", "3"), ("admission", "may it pass?", "4"))
"""What the door to the services asks on the way."""


def render_way() -> str:
    """The way of a request through the parts, and of its answer back."""
    parts = [text(6, 99, "caller", "strong"), text(855, 99, "service", "strong")]
    for number, (name, about, step) in enumerate(_STATIONS):
        x = 105 + number * 190
        parts += [_box((x, 60), 140, 70, "box closed"), text(x + 70, 92, name, "middle strong")]
        parts += [text(x + 70, 112, about, "middle small"), text(x + 8, 78, step, "small")]
        parts.append(line(f"M{x - 46},88 H{x - 3}", has_tip=True))
        parts.append(line(f"M{x - 3},106 H{x - 46}", has_tip=True))
    parts += [line("M817,88 H850", has_tip=True), line("M850,106 H817", has_tip=True)]
    for number, (name, about, step) in enumerate(_ASKED):
        x = 390 + number * 180
        parts += [_box((x, 190), 140, 64, "box half"), text(x + 70, 220, name, "middle strong")]
        parts += [text(x + 70, 240, about, "middle small"), text(x + 8, 207, step, "small")]
        parts.append(line(f"M{540 + number * 50},132 L{x + 70},187", has_tip=True))
    parts += [
        line("M710,222 H760", has_tip=True),
        _box((763, 190), 140, 64, "box open"),
        text(833, 220, "state", "middle strong"),
        text(833, 240, "Redis, for all hosts", "middle small"),
        line("M340,132 L290,187", has_tip=True),
        _box((210, 190), 140, 64, "box half"),
        text(280, 220, "telemetry", "middle strong"),
        text(280, 240, "what became of it", "middle small"),
        text(218, 207, "7", "small"),
        text(
            105,
            32,
            "6  the body of the answer is relayed from channel to channel, in the kernel if it is large",
        ),
        line("M817,44 H105", has_tip=True),
    ]
    return picture(920, 275, "The way of a request through the parts of the gateway", *parts)


PICTURES: Final = {
    "way-of-a-request.svg": render_way,
    "sliding-window.svg": render_window,
    "breaker-states.svg": render_breaker,
}


if __name__ == "__main__":
    for name, render in PICTURES.items():
        (FOLDER / name).write_text(render(), "utf-8")
