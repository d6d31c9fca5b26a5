"""Small documents that the gateway itself asks for: keys of issuers, settings of a provider.

Not for requests of callers, and not for services: what is fetched here is bounded in size and time, read
whole, and comes from an address that an operator has written.
"""

from __future__ import annotations

import json
import ssl
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlencode

import gevent
from urllib3 import PoolManager
from urllib3.exceptions import HTTPError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from urllib3 import BaseHTTPResponse

_TIMEOUT_S: Final = 5.0
_MAX_BYTES: Final = 262_144
_MAX_CONNECTIONS: Final = 4


class FetchFailed(Exception):
    """The document could not be had. The text says why; it may name addresses and is for the log.

    `status` is what was answered in its place, 0 if nothing was.
    """

    def __init__(self, why: str, *, status: int = 0) -> None:
        super().__init__(why)
        self.status = status


class Fetcher:
    """Asks for JSON documents. `ca_file` holds the authorities to trust; None: the system's."""

    def __init__(self, ca_file: str | None = None) -> None:
        context = ssl.create_default_context(cafile=ca_file)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        self._pools = PoolManager(
            num_pools=_MAX_CONNECTIONS, maxsize=_MAX_CONNECTIONS, ssl_context=context, retries=False
        )

    def get(self, url: str, *, headers: Mapping[str, str] | None = None) -> dict[str, Any]:
        """The JSON object at an address. Waits five seconds at most; raises FetchFailed."""
        return self._ask("GET", url, {"Accept": "application/json", **(headers or {})})

    def post(
        self, url: str, fields: Mapping[str, str], *, headers: Mapping[str, str] | None = None
    ) -> dict[str, Any]:
        """What is answered to a form. Waits five seconds at most; raises FetchFailed."""
        form = {"Accept": "application/json", "Content-Type": "application/x-www-form-urlencoded"}
        return self._ask("POST", url, {**form, **(headers or {})}, urlencode(fields))

    def _ask(self, method: str, url: str, headers: Mapping[str, str], body: str = "") -> dict[str, Any]:
        try:
            # urllib3's own limit is for each step, and a drip has any number of them.
            with gevent.Timeout(_TIMEOUT_S, FetchFailed(f"no whole answer within {_TIMEOUT_S:.0f} s")):
                answer = self._pools.urlopen(
                    method,
                    url,
                    body=body or None,
                    headers=headers,
                    # SECURITY: an answer must not lead to addresses that nobody has written.
                    redirect=False,
                    preload_content=False,
                )
                return _read(answer)
        except (HTTPError, OSError) as error:
            raise FetchFailed(str(error)) from error


def _read(answer: BaseHTTPResponse) -> dict[str, Any]:
    try:
        data = answer.read(_MAX_BYTES + 1, decode_content=True)
        if answer.status != 200:
            raise FetchFailed(f"status {answer.status}", status=answer.status)
        if len(data) > _MAX_BYTES:
            raise FetchFailed(f"more than {_MAX_BYTES} bytes")
        document = json.loads(data)
    except (ValueError, RecursionError):
        raise FetchFailed("the answer is not JSON") from None
    finally:
        answer.release_conn()
    if not isinstance(document, dict):
        raise FetchFailed("the answer is not a JSON object")
    return document
