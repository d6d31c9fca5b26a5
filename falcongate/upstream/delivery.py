"""Takes what the gateway tells of itself to whoever keeps it: small requests, each with an end.

Not for requests of callers, and not for services; documents are fetched by `fetch`.
"""

from __future__ import annotations

import ssl
from typing import TYPE_CHECKING, Final

import gevent
from urllib3 import PoolManager
from urllib3.exceptions import HTTPError

from falcongate.telemetry.span_queue import Answer

if TYPE_CHECKING:
    from collections.abc import Mapping

    from urllib3 import BaseHTTPResponse

_TIMEOUT_S: Final = 5.0
_MAX_BYTES: Final = 65_536
_CONTENT_TYPE: Final = "application/x-protobuf"


class _TooSlow(Exception):
    """The receiver did not answer whole in time."""


class Delivery:
    """Posts to one address. `ca_file` holds the authorities to trust; None: the system's."""

    __slots__ = ("_headers", "_pools", "_url")

    def __init__(self, url: str, *, headers: Mapping[str, str], ca_file: str | None) -> None:
        self._url = url
        self._headers = {**headers, "Content-Type": _CONTENT_TYPE, "Accept": _CONTENT_TYPE}
        context = ssl.create_default_context(cafile=ca_file)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        self._pools = PoolManager(num_pools=1, maxsize=1, ssl_context=context, retries=False)

    def post(self, body: bytes) -> Answer:
        """Send it, and wait five seconds at most. Raises nothing: what went wrong is in the answer."""
        try:
            # urllib3's own limit is for each step, and a drip has any number of them.
            with gevent.Timeout(_TIMEOUT_S, _TooSlow):
                answer = self._pools.urlopen(
                    "POST",
                    self._url,
                    body=body,
                    headers=self._headers,
                    # SECURITY: an answer must not lead to addresses that nobody has written.
                    redirect=False,
                    preload_content=False,
                )
                return _read(answer)
        except _TooSlow:
            return Answer(0, why=f"no whole answer within {_TIMEOUT_S:.0f} s")
        except (HTTPError, OSError, ValueError) as error:
            return Answer(0, why=f"{type(error).__name__}: {error}")


def _read(answer: BaseHTTPResponse) -> Answer:
    whole = False
    try:
        data = answer.read(_MAX_BYTES + 1, decode_content=True)
        whole = len(data) <= _MAX_BYTES
        wait = answer.headers.get("Retry-After", "")
        retry_after_s = float(wait) if wait.isascii() and wait.isdigit() else 0.0
        return Answer(answer.status, data, retry_after_s)
    finally:
        if whole:
            answer.release_conn()
        else:
            # What is left of it would stand before the next answer.
            answer.close()
