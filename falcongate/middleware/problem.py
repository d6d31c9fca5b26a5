"""The one place where an error becomes a response: problem details (RFC 9457).

The members `error`, `details`, `service`, `request_id` and `suggestion` are what front ends of
earlier gateways read. Nothing of the inside is shown: no address, no exception's text.
"""

from __future__ import annotations

import json
import logging
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final

import falcon

from falcongate.errors import CALLER_LEFT_STATUS, CallerLeft, GatewayError
from falcongate.exchange import EXCHANGE
from falcongate.refusals import MalformedRequest, MethodNotAllowed, NoRoute

if TYPE_CHECKING:
    from falcongate.exchange import Exchange

_log = logging.getLogger("falcongate")

_ID: Final = "\0id\0"


def add_error_handlers(app: falcon.App[Any, Any]) -> None:
    """Make `app` answer every error as a problem document."""
    app.add_error_handler(Exception, _answer_defect)
    app.add_error_handler(falcon.HTTPError, _answer_falcon)
    app.add_error_handler(GatewayError, _answer_error)
    app.add_error_handler(CallerLeft, _note_left)


def _answer_error(req: falcon.Request, resp: falcon.Response, error: GatewayError, params: object) -> None:
    del params
    exchange: Exchange = req.env[EXCHANGE]
    exchange.problem = error.problem
    exchange.detail = error.detail
    exchange.service_head = None
    resp.stream = None
    resp.status = error.status
    resp.content_type = "application/problem+json"
    resp.data = render_problem(error, exchange)
    resp.set_header("Cache-Control", "no-store")
    resp.set_header("Proxy-Status", f"falcongate; error={error.proxy_status}")
    if error.retry_after_s is not None:
        resp.set_header("Retry-After", str(error.retry_after_s))
    for name, value in error.headers:
        resp.set_header(name, value)
    if error.closes:
        req.env["falcongate.close"] = True


def _answer_falcon(
    req: falcon.Request, resp: falcon.Response, error: falcon.HTTPError, params: object
) -> None:
    ours: GatewayError
    if isinstance(error, falcon.HTTPMethodNotAllowed):
        allow = dict(error.headers or {}).get("Allow", "")
        ours = MethodNotAllowed(headers=(("Allow", allow),))
    elif error.status_code == 404:
        ours = NoRoute()
    else:
        ours = GatewayError()
        ours.status = error.status_code
    _answer_error(req, resp, ours, params)


def _note_left(req: falcon.Request, resp: falcon.Response, error: CallerLeft, params: object) -> None:
    exchange: Exchange = req.env[EXCHANGE]
    # Perhaps it only closed its sending half, and a server that is not ours can still tell it.
    _answer_error(req, resp, MalformedRequest("The request was broken off."), params)
    exchange.problem = exchange.detail = ""
    exchange.status = CALLER_LEFT_STATUS
    exchange.failure_reason = f"the caller left: {error}"
    if exchange.caller_channel is not None:
        exchange.caller_channel.abandon()


def _answer_defect(req: falcon.Request, resp: falcon.Response, error: Exception, params: object) -> None:
    exchange: Exchange = req.env[EXCHANGE]
    _log.error("Request %s met a defect of the gateway", exchange.request_id, exc_info=error)
    # SECURITY: its text may hold anything.
    exchange.failure_reason = type(error).__name__
    _answer_error(req, resp, GatewayError(), params)


def render_problem(error: GatewayError, exchange: Exchange) -> bytes:
    """The document that tells the caller what was wrong and what to do."""
    # PERF: only the request id is another one each time, and that needs no escapes. Who is refused
    # comes again, and should cost little.
    before, between, after = _around_id(
        (error.problem, error.title, error.status, error.detail, error.suggestion),
        exchange.service,
        tuple(error.members.items()),
    )
    request_id = exchange.request_id.encode("ascii")
    return b"".join((before, request_id, between, request_id, after))


@lru_cache(maxsize=512)
def _around_id(
    said: tuple[str, str, int, str, str], service: str, members: tuple[tuple[str, object], ...]
) -> tuple[bytes, bytes, bytes]:
    problem, title, status, detail, suggestion = said
    document = {
        "type": f"/problems/{problem}",
        "title": title,
        "status": status,
        "detail": detail,
        "instance": f"/requests/{_ID}",
        "error": title,
        "details": detail,
        "service": service or None,
        "request_id": _ID,
        "suggestion": suggestion,
        **dict(members),
    }
    before, between, after = json.dumps(document).encode().split(json.dumps(_ID).strip('"').encode())
    return before, between, after
