"""The metrics: Prometheus text, or the JSON summary that earlier gateways had."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

from prometheus_client import CONTENT_TYPE_LATEST

from falcongate.exchange import EXCHANGE
from falcongate.telemetry.metrics import render_prometheus, summarize

if TYPE_CHECKING:
    import falcon

    from falcongate.resources.operators import Operators


class Metrics:
    """`GET /metrics`, for operators."""

    def __init__(self, operators: Operators) -> None:
        self._operators = operators

    def on_get(self, req: falcon.Request, resp: falcon.Response) -> None:
        """Prometheus text, unless JSON is what the caller prefers."""
        self._operators.identify_reader(req.env[EXCHANGE])
        resp.cache_control = ("no-store",)
        if req.client_prefers(("text/plain", "application/json")) == "application/json":
            services = summarize()
            resp.media = {
                "timestamp": datetime.now(UTC).isoformat(),
                "total_requests": sum(row["requests"] for row in services.values()),
                "total_errors": sum(row["errors"] for row in services.values()),
                "services": {name: row for name, row in services.items() if name},
            }
            return
        resp.content_type = CONTENT_TYPE_LATEST
        resp.data = render_prometheus()

    on_head = on_get
