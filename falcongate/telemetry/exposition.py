"""The numbers as text: Prometheus' format, OpenMetrics with exemplars, and the old summary.

Scrapes at the same time share one rendering, and none holds up requests: see `families.py`.
"""

from __future__ import annotations

from time import monotonic
from typing import TYPE_CHECKING, Final

import gevent
from gevent.event import AsyncResult

from falcongate.telemetry.exemplars import EXEMPLARS
from falcongate.telemetry.families import braced, collect, escaped, number

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from falcongate.telemetry.exemplars import Exemplar
    from falcongate.telemetry.families import Family, Series

TEXT: Final = "text/plain; version=0.0.4; charset=utf-8"
OPENMETRICS: Final = "application/openmetrics-text; version=1.0.0; charset=utf-8"

# PERF: about as long does a request wait, at most, for a rendering to let it go first. It has to wait for its
# turn several times on its way, so a rendering rests in between for longer than most requests take.
_SLICE_S: Final = 0.0005
_REST_S: Final = 0.002
_GIVE_WAY_EVERY: Final = 64
_WITH_EXEMPLARS: Final = "falcongate_http_request_duration_seconds"


class _Slices:
    """Lets others go first whenever this has gone on for half a millisecond."""

    __slots__ = ("_until",)

    def __init__(self) -> None:
        self._until = monotonic() + _SLICE_S

    def __call__(self) -> None:
        if monotonic() > self._until:
            gevent.sleep(_REST_S)
            self._until = monotonic() + _SLICE_S


class Exposition:
    """What scrapes are answered with. `more` tells what no worker counts; it may wait."""

    __slots__ = ("_more", "_under_way")

    def __init__(self, more: Callable[[], Iterable[Family]]) -> None:
        self._more = more
        self._under_way: dict[str, AsyncResult[bytes]] = {}

    def render(self, content_type: str) -> bytes:
        """All metrics, as TEXT or OPENMETRICS. Waits for the shared state at most. Raises OSError."""
        if content_type in self._under_way:
            return self._under_way[content_type].get() or b""
        under_way = self._under_way[content_type] = AsyncResult()
        try:
            rendered = self._render(is_open=content_type == OPENMETRICS)
        except BaseException as error:
            under_way.set_exception(error)
            raise
        finally:
            del self._under_way[content_type]
        under_way.set(rendered)
        return rendered

    def _render(self, *, is_open: bool) -> bytes:
        slices = _Slices()
        families = [*collect(slices).values(), *self._more()]
        parts = []
        for count, line in enumerate(_lines(families, is_open=is_open), 1):
            parts.append(line)
            if not count % _GIVE_WAY_EVERY:
                slices()
        if is_open:
            parts.append("# EOF\n")
        return "".join(parts).encode()


def summarize() -> dict[str, dict[str, float]]:
    """By service: `requests`, `errors` (5xx) and `average_ms`, over all workers of this host.

    WebSockets are requests, too, but have no duration.
    """
    services: dict[str, dict[str, float]] = {}
    families = collect(_Slices())
    for series, value in _samples(families, "falcongate_http_requests"):
        said = dict(series.labels)
        row = services.setdefault(said["service"], {"requests": 0, "errors": 0, "average_ms": 0})
        row["requests"] += value
        if said["status"].startswith("5"):
            row["errors"] += value
    for series, value in _samples(families, _WITH_EXEMPLARS):
        row = services.get(dict(series.labels)["service"], {})
        timed = sum(count for _, count in families[_WITH_EXEMPLARS].buckets.get(series.group, {}).values())
        if row and timed:
            row["average_ms"] = round(1000 * value / timed, 1)
    return services


def _samples(families: Mapping[str, Family], name: str) -> list[tuple[Series, float]]:
    return families[name].samples if name in families else []


def _lines(families: Iterable[Family], *, is_open: bool) -> Iterator[str]:
    for family in sorted(families, key=lambda family: family.name):
        name = family.name.removesuffix("_total")
        shown = f"{name}_total" if family.kind == "counter" and not is_open else name
        # OpenMetrics has quotes escaped there, too; Prometheus' format would show the backslash.
        help_ = escaped(family.help) if is_open else family.help.replace("\\", r"\\").replace("\n", r"\n")
        yield f"# HELP {shown} {help_}\n# TYPE {shown} {family.kind}\n"
        if family.kind == "histogram":
            yield from _histogram(family, is_open=is_open)
            continue
        for series, value in family.samples:
            yield f"{series.text}{number(value)}\n"


def _histogram(family: Family, *, is_open: bool) -> Iterator[str]:
    has_exemplars = is_open and family.name == _WITH_EXEMPLARS
    sums = {series.group: value for series, value in family.samples}
    for group, bounds in family.buckets.items():
        below = 0.0
        for at, bound in enumerate(sorted(bounds)):
            series, value = bounds[bound]
            below += value
            exemplar = EXEMPLARS.last(dict(series.labels)["service"], at) if has_exemplars else None
            yield f"{series.text}{number(below)}{_rendered(exemplar) if exemplar else ''}\n"
        yield f"{family.name}_count{group} {number(below)}\n"
        yield f"{family.name}_sum{group} {number(sums.get(group, 0.0))}\n"


def _rendered(exemplar: Exemplar) -> str:
    labels = braced(((exemplar.label, exemplar.id),))
    return f" # {labels} {number(exemplar.duration_s)} {exemplar.ended:.3f}"
