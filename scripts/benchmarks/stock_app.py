"""What a team would write without falcongate: Falcon and urllib3, used as their documents show."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import falcon
import urllib3

if TYPE_CHECKING:
    from collections.abc import Iterator

_pool = urllib3.PoolManager(maxsize=100)


class Proxy:
    """Forwards every request to one service and streams the answer."""

    def __init__(self, target: str) -> None:
        self._target = target

    def __call__(self, req: falcon.Request, resp: falcon.Response, **_: str) -> None:
        """Answer one request."""
        headers = {name: value for name, value in req.headers.items() if name not in ("HOST", "CONNECTION")}
        answer = _pool.request(
            req.method,
            self._target + req.relative_uri,
            headers=headers,
            body=req.bounded_stream if req.content_length else None,
            preload_content=False,
            redirect=False,
            retries=False,
        )
        resp.status = answer.status
        for name, value in answer.headers.items():
            if name.lower() not in ("connection", "transfer-encoding", "keep-alive"):
                resp.append_header(name, value)
        resp.stream = _Body(answer)


class _Body:
    def __init__(self, answer: urllib3.BaseHTTPResponse) -> None:
        self._answer = answer

    def __iter__(self) -> Iterator[bytes]:
        return self._answer.stream(65_536)

    def close(self) -> None:
        """Give the connection back."""
        self._answer.release_conn()


app = falcon.App()
app.add_sink(Proxy(os.environ["BENCH_FILES_URL"]), "/api/files/")
app.add_sink(Proxy(os.environ["BENCH_SINK_URL"]), "/api/sink/")
