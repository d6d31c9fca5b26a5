"""The request target that a service is sent: the caller's bytes, but for what its settings change.

Pure. Prefixes are counted in segments, as a caller may have spelt their letters with escapes.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from falcongate.routing.table import Route

_SLASH_METHODS: Final = frozenset(("POST", "PUT", "PATCH", "DELETE"))


def rewritten_target(raw_target: bytes, method: str, route: Route) -> bytes:
    """What stands in the request line to the service; the same object where nothing changes."""
    settings = route.settings
    if settings.strip_prefix is None and settings.add_prefix is None and not settings.append_slash:
        return raw_target
    path, mark, query = raw_target.partition(b"?")
    if settings.strip_prefix is not None:
        path = _without_prefix(path, settings.strip_prefix, route.prefix)
    if settings.add_prefix is not None:
        path = settings.add_prefix.rstrip("/").encode("ascii") + path
    if settings.append_slash and method in _SLASH_METHODS and not path.endswith(b"/"):
        path += b"/"
    return path + mark + query


def _without_prefix(path: bytes, strip_prefix: str, route_prefix: str) -> bytes:
    """`path` without as many segments as `strip_prefix` has, if its route begins with it."""
    stripped = strip_prefix.rstrip("/")
    if route_prefix != stripped and not route_prefix.startswith(stripped + "/"):
        return path
    segments = path.split(b"/", stripped.count("/") + 1)
    return b"/" + (segments[-1] if len(segments) > stripped.count("/") + 1 else b"")
