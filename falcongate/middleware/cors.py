"""Which pages of other origins may call (Fetch standard, CORS protocol)."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final

import falcon

if TYPE_CHECKING:
    from falcongate.config.settings import CorsSettings

CORS_PREFIX: Final = b"access-control-"
_MAX_KNOWN_ORIGINS: Final = 1_024
_MAX_KNOWN_LENGTH: Final = 256


class Cors:
    """Answers preflights before anything else is asked, and says on every answer who may read it.

    A Falcon middleware; `block_for` is for all answers, the errors among them.
    """

    def __init__(self, settings: CorsSettings) -> None:
        self.is_on = bool(settings.origins)
        self._allows = re.compile("|".join(_origin_pattern(origin) for origin in settings.origins))
        self._shared = "Access-Control-Expose-Headers: " + ", ".join(settings.expose_headers) + "\r\n"
        if settings.allow_credentials:
            self._shared += "Access-Control-Allow-Credentials: true\r\n"
        self._preflight = {
            "Access-Control-Allow-Methods": ", ".join(settings.methods),
            "Access-Control-Allow-Headers": ", ".join(settings.request_headers),
            "Access-Control-Max-Age": str(settings.max_age_s),
        }
        # Caches must not give one origin's answer to another, so also when there is no Origin.
        self._unshared = b"Vary: Origin\r\n" if self.is_on else b""
        # PERF: front ends are few; bounded in number and length, as anybody can make up origins.
        self._known: dict[str, bytes] = {}

    def process_request(self, req: falcon.Request, resp: falcon.Response) -> None:
        """Answer a preflight; whatever else comes goes on."""
        if req.method != "OPTIONS" or not self.is_on:
            return
        environ: dict[str, Any] = req.env
        if "HTTP_ORIGIN" not in environ or "HTTP_ACCESS_CONTROL_REQUEST_METHOD" not in environ:
            return
        resp.status = falcon.HTTP_204
        if self._allows.fullmatch(environ["HTTP_ORIGIN"]):
            resp.set_headers(self._preflight)
        resp.complete = True

    def allows(self, origin: str) -> bool:
        """Whether pages of `origin` may call."""
        return self.is_on and self._allows.fullmatch(origin) is not None

    def block_for(self, origin: str | None) -> bytes:
        """The header lines that say whether pages of `origin` may read the answer."""
        if origin is None or not self.is_on:
            return self._unshared
        block = self._known.get(origin)
        if block is None:
            block = self._unshared
            if self._allows.fullmatch(origin):
                allowed = f"Access-Control-Allow-Origin: {origin}\r\n{self._shared}"
                block += allowed.encode("latin-1")
            if len(self._known) < _MAX_KNOWN_ORIGINS and len(origin) <= _MAX_KNOWN_LENGTH:
                self._known[origin] = block
        return block


def _origin_pattern(origin: str) -> str:
    """SECURITY: everything but the leading `*.` is literal, and the whole origin must match."""
    scheme, _, host = origin.partition("://")
    if host.startswith("*."):
        return rf"{scheme}://(?:[a-z0-9](?:[a-z0-9-]*[a-z0-9])?\.)+{re.escape(host[2:])}"
    return re.escape(origin)
