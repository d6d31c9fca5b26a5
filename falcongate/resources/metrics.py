"""The metrics: Prometheus text, OpenMetrics, or the JSON summary that earlier gateways had."""

from __future__ import annotations

import logging
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

from falcongate.exchange import EXCHANGE
from falcongate.outages import MetricsUnavailable
from falcongate.telemetry.exposition import OPENMETRICS, TEXT, summarize

if TYPE_CHECKING:
    import falcon

    from falcongate.resources.operators import Operators
    from falcongate.telemetry.exposition import Exposition

_log = logging.getLogger("falcongate")

_AGAIN_AFTER_S: Final = 1
# The first is for who has no preference. Without its parameters, as callers have others beside these.
_OFFERED: Final = {"text/plain": TEXT, "application/openmetrics-text": OPENMETRICS, "application/json": ""}


class Metrics:
    """`GET /metrics`, for operators."""

    def __init__(self, operators: Operators, exposition: Exposition) -> None:
        self._operators = operators
        self._exposition = exposition

    def on_get(self, req: falcon.Request, resp: falcon.Response) -> None:
        """Prometheus text, unless OpenMetrics or JSON is what the caller prefers.

        Waits for the shared state at most its budget; without it, what is of all hosts is left out. Raises
        MetricsUnavailable.
        """
        self._operators.identify_reader(req.env[EXCHANGE])
        resp.cache_control = ("no-store",)
        preferred = req.client_prefers(tuple(_OFFERED))
        try:
            self._tell(resp, preferred)
        except OSError as error:
            _log.error("The metrics cannot be read: %s", error)
            raise MetricsUnavailable(retry_after_s=_AGAIN_AFTER_S) from None

    on_head = on_get

    def _tell(self, resp: falcon.Response, preferred: str | None) -> None:
        if preferred == "application/json":
            services = summarize()
            resp.media = {
                "timestamp": datetime.now(UTC).isoformat(),
                "total_requests": sum(row["requests"] for row in services.values()),
                "total_errors": sum(row["errors"] for row in services.values()),
                "services": {name: row for name, row in services.items() if name},
            }
            return
        resp.content_type = _OFFERED[preferred or "text/plain"]
        resp.vary = ("Accept",)
        resp.data = self._exposition.render(resp.content_type)
