"""Which of the gateway's ports a request came in by: that of callers, or one for operators alone.

SECURITY: the listening socket decides. A Host, a path or any other field is the caller's to choose.
"""

from __future__ import annotations

from typing import Any

from falcongate.config.admin import place_of


class Listeners:
    """The ports of one configuration; without `admin_bind` there is one for all."""

    def __init__(self, admin_bind: str | None) -> None:
        self._admin_port = place_of(admin_bind)[1] if admin_bind else None
        self.are_divided = self._admin_port is not None

    def serves_operators(self, environ: dict[str, Any]) -> bool:
        """Whether what is for operators answers on this one."""
        return self._admin_port is None or _port(environ) == self._admin_port


def _port(environ: dict[str, Any]) -> int:
    """The port of the listening socket; 0 for a Unix socket."""
    connection = environ.get("gunicorn.socket")
    if connection is None:
        return int(environ["SERVER_PORT"])
    # Behind a Unix socket, gunicorn's own workers make SERVER_PORT from the Host that a caller sent.
    place = connection.getsockname()
    return int(place[1]) if isinstance(place, tuple) else 0
