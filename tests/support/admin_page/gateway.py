"""A gateway that is none: the page as it really is, and its doors with pictures that a test chooses.

For states that are hard to bring about. `POST /control` says what is played, and tells what came in:

    picture     which of `PICTURES`
    is_live     whether WebSockets are taken; those that are there end with it
    is_away     whether connections end without an answer
    name        who its reader is
    may_change  what the page is told that its reader may
    order       the status that orders are answered with

    python -m tests.support.admin_page.gateway

prints its port.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any, Protocol

import falcon
import gevent
from gevent.pywsgi import WSGIServer
from geventwebsocket.exceptions import WebSocketError
from geventwebsocket.handler import WebSocketHandler

from falcongate.exchange import EXCHANGE
from falcongate.resources.admin_page import AdminPage, PageFiles, read_page
from tests.support.admin_page.pictures import PICTURES, why

_MEDIA = falcon.MEDIA_JSON


def _now() -> float:
    return datetime.now(UTC).timestamp()


class Played:
    """What is played, and the orders that came in."""

    def __init__(self) -> None:
        self.said: dict[str, Any] = {}
        self.begin({})

    def begin(self, said: dict[str, Any]) -> None:
        """Play this from now on."""
        usual = {"picture": "quiet", "name": "jane", "may_change": True, "order": 200}
        usual |= {"is_live": True, "is_away": False}
        self.said = {**usual, **self.said, **said}
        if said.get("anew") or not hasattr(self, "orders"):
            self.said = {**usual, **said}
            self.began = _now()
            self.orders: list[Any] = []

    def picture(self) -> dict[str, Any]:
        """What is told now."""
        told = PICTURES[self.said["picture"]](_now(), self.began)
        told["you"] = {"name": self.said["name"], "may_change": self.said["may_change"]}
        return told


class _Anybody:
    """Lets everybody look."""

    def __init__(self, played: Played) -> None:
        self._played = played

    def identify_reader(self, exchange: object) -> str:
        """Whoever is played."""
        del exchange
        return str(self._played.said["name"])


class _Doors:
    """What the page asks for. Falcon takes one method for each."""

    def __init__(self, played: Played) -> None:
        self._played = played

    def on_get(self, req: falcon.Request, resp: falcon.Response) -> None:
        """`GET /admin/overview`."""
        del req
        resp.media = self._played.picture()

    def on_get_why(self, req: falcon.Request, resp: falcon.Response, request_id: str = "") -> None:
        """`GET /admin/why/<request id>`, and `/admin/why?request_id=...`."""
        request_id = request_id or req.get_param("request_id", required=True)
        if request_id == "unknown":
            resp.status = falcon.HTTP_404
            resp.media = {"detail": "Nothing is known of it.", "suggestion": "Look at another host."}
            return
        resp.media = why(request_id, _now())

    def on_post_order(self, req: falcon.Request, resp: falcon.Response, order: str, name: str) -> None:
        """`POST /circuit-breaker/<order>/<name>`."""
        fields = {each: req.get_header(each) for each in ("Content-Type", "Origin", "Sec-Fetch-Site")}
        self._played.orders.append({"order": order, "name": name, "said": req.get_media(), "fields": fields})
        if self._played.said["order"] != 200:
            resp.status = self._played.said["order"]
            resp.media = {"detail": "Nobody has let you do this.", "suggestion": "Sign in at /admin/."}
            return
        state = {"disable": "DISABLED", "open": "FORCED_OPEN"}.get(order, "CLOSED")
        resp.media = {"service": name, "state": state, "by": "jane", "until": None}

    def on_post_control(self, req: falcon.Request, resp: falcon.Response) -> None:
        """`POST /control`."""
        self._played.begin(req.get_media())
        resp.media = {"orders": self._played.orders}


class _Socket(Protocol):
    def send(self, text: str) -> None:
        """Send a message."""


def _watch(socket: _Socket, played: Played) -> None:
    told = ""
    while played.said["is_live"] and not played.said["is_away"]:
        news = json.dumps(played.picture())
        if news != told:
            socket.send(news)
            told = news
        gevent.sleep(0.25)


def serve() -> None:
    """Play until it is ended."""
    played = Played()
    page, files = read_page()
    app: falcon.App[Any, Any] = falcon.App()
    doors = _Doors(played)
    app.add_route("/admin/", AdminPage(page, _Anybody(played), sessions=None, has_metrics=True))  # type: ignore[arg-type]  # it is asked no more
    app.add_route("/admin/page/{name}", PageFiles(files))
    app.add_route("/admin/overview", doors)
    app.add_route("/admin/why/{request_id}", doors, suffix="why")
    app.add_route("/admin/why", doors, suffix="why")
    app.add_route("/circuit-breaker/{order}/{name}", doors, suffix="order")
    app.add_route("/control", doors, suffix="control")

    def answer(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        environ[EXCHANGE] = None
        if environ["PATH_INFO"] != "/admin/live":
            return app(environ, start_response)
        if played.said["is_live"] and "wsgi.websocket" in environ:
            with suppress(WebSocketError):  # the page has gone
                _watch(environ["wsgi.websocket"], played)
            return []
        start_response("403 Forbidden", [("Content-Type", _MEDIA)])
        return [b"{}"]

    class Handler(WebSocketHandler):  # type: ignore[misc]  # it has no types
        def handle_one_response(self) -> None:
            if played.said["is_away"] and self.path != "/control":
                self.close_connection = True
                return
            super().handle_one_response()

    server = WSGIServer(("127.0.0.1", 0), answer, handler_class=Handler, log=None)
    server.start()
    print(server.server_port, flush=True)  # noqa: T201  # whoever started it reads it
    server.serve_forever()


if __name__ == "__main__":
    serve()
