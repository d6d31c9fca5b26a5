"""The request target that a service is sent: the caller's bytes, but for what its settings change.

Pure. Prefixes are counted in segments, as a caller may have spelt their letters with escapes.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from falcongate.routing.table import Route

_SLASH_METHODS: Final = frozenset(("POST", "PUT", "PATCH", "DELETE"))


def rewritten_target(raw_target: bytes, method: str, route: Route) -> bytes:
    """What stands in the request line to the service; the same object where nothing changes.

    `raw_target` is in origin form, and its path has matched `route`.
    """
    settings = route.settings
    strip, add = settings.strip_prefix, settings.add_prefix
    needs_slash = settings.append_slash and method in _SLASH_METHODS
    if strip is None and add is None and not needs_slash:
        return raw_target
    path, mark, query = raw_target.partition(b"?")
    if strip is not None and strips_prefix(route):
        path = _without_segments(path, strip.rstrip("/").count("/"))
    if add is not None:
        path = add.rstrip("/").encode("ascii") + path
    if needs_slash and not path.endswith(b"/"):
        path += b"/"
    return path + mark + query


def strips_prefix(route: Route) -> bool:
    """Whether `strip_prefix` has anything to strip: whether the route begins with it."""
    strip = route.settings.strip_prefix
    return strip is not None and (route.prefix + "/").startswith(strip.rstrip("/") + "/")


def _without_segments(path: bytes, count: int) -> bytes:
    # An encoded slash has been refused before, so raw and decoded segments are the same ones.
    segments = path.split(b"/", count + 1)
    return b"/" + segments[-1] if len(segments) > count + 1 else b"/"
