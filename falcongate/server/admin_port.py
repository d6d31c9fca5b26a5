"""The second port, for administration alone: a listening socket beside gunicorn's own.

gunicorn's `--bind` replaces what the configuration says, and with a socket that it inherits it opens no
other. So this one is opened here, and is there however gunicorn was started.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from gunicorn.sock import TCP6Socket, TCPSocket

from falcongate.config.admin import place_of
from falcongate.errors import ConfigError, ConfigProblem

if TYPE_CHECKING:
    from gunicorn.arbiter import Arbiter
    from gunicorn.sock import BaseSocket


class AdminPort:
    """The socket of one master. Workers have it like all that are in its list when they are forked."""

    def __init__(self) -> None:
        self._listener: BaseSocket | None = None
        self._bind: str | None = None

    def provide(self, bind: str | None, master: Arbiter) -> None:
        """Listen there from now on, and nowhere else for this. Raises ConfigError if that is impossible."""
        if bind == self._bind:
            return
        listener = self._open(bind, master) if bind else None
        if self._listener is not None:
            master.LISTENERS.remove(self._listener)
            self._listener.close()
        self._listener, self._bind = listener, bind
        if listener is not None:
            if listener not in master.LISTENERS:
                master.LISTENERS.append(listener)
            if master.log is not None:
                master.log.info("Administration at: %s", listener)

    def _open(self, bind: str, master: Arbiter) -> BaseSocket:
        host, port = place_of(bind)
        own = [listener for listener in master.LISTENERS if listener is not self._listener]
        for listener in own:
            place = listener.sock.getsockname()
            if isinstance(place, tuple) and place[1] == port:
                # What a master hands on to its successor, or systemd to us, was opened for this.
                if (master.master_pid or master.systemd) and len(own) > 1:
                    return listener
                raise _mistake(bind, "callers have this port; choose another")
        if not master.LISTENERS:
            raise _mistake(bind, "does not go with gunicorn's reuse_port")
        kind = TCP6Socket if ":" in host else TCPSocket
        try:
            return kind((host, port), master.cfg, master.log)  # type: ignore[arg-type]  # its stubs know names only
        except OSError as error:
            raise _mistake(bind, f"cannot listen there: {error.strerror or error}") from None


def _mistake(bind: str, remedy: str) -> ConfigError:
    return ConfigError((ConfigProblem("gunicorn", "admin.bind", f'"{bind}"', remedy),))
