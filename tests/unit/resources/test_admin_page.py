"""The page for operators, its files, and what they must not have in them."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import falcon
import falcon.testing
import pytest

import falcongate
from falcongate.exchange import EXCHANGE
from falcongate.middleware.problem import add_error_handlers
from falcongate.resources.admin_page import AdminPage, PageFiles, read_page, show_signed_out
from falcongate.resources.operator_sessions import OperatorSessions
from tests.unit.making import make_exchange
from tests.unit.resources.policies import SESSIONS, cookie, operators

DASHBOARD = Path(falcongate.__file__).parent / "dashboard"
PAGE, FILES = read_page()
SOURCES = {path.name: path.read_text("utf-8") for path in DASHBOARD.iterdir()}
NAMED = re.compile(r"""(?:/admin/page/|from '\./)([\w.-]+)""")
MARKUP = re.compile(
    r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|createContextualFragment|DOMParser|srcdoc"
    r"|\beval\b|\bFunction\(|setTimeout\('|\.style\b|setAttribute\('(?:style|on)"
)


class SignedOut:
    """A door that says that it is done."""

    def on_get(self, req: falcon.Request, resp: falcon.Response) -> None:
        del req
        show_signed_out(resp, 'https://login.example.com/end?a="><b>')


def ask(
    path: str,
    *lines: str,
    method: str = "GET",
    sessions: OperatorSessions | None = None,
    peer: str = "10.0.0.9",
    has_metrics: bool = True,
) -> falcon.testing.Result:
    """What is answered at these doors to somebody of a private address, unless he is from elsewhere."""
    policy, _ = operators(sessions=sessions)
    app: falcon.App[Any, Any] = falcon.App()
    add_error_handlers(app)
    app.add_route("/admin", AdminPage(PAGE, policy, sessions=sessions, has_metrics=has_metrics))
    app.add_route("/admin/page/{name}", PageFiles(FILES))
    app.add_route("/signed-out", SignedOut())
    exchange = make_exchange(*lines, peer=peer, path=path)
    given = {name: value for name, value in exchange.environ.items() if name.startswith("HTTP_")}
    client = falcon.testing.TestClient(app)
    return client.simulate_request(method, path, extras={**given, EXCHANGE: exchange})


def test_the_page_says_who_looks_as_text() -> None:
    answer = ask("/admin")
    assert answer.status_code == 200
    assert "You are <strong>operator@10.0.0.9</strong>" in answer.text
    assert "sign-in" not in answer.text
    signed_in = ask("/admin", cookie(name='<b onclick="x">ada'), sessions=SESSIONS)
    assert "You are <strong>&lt;b onclick=&quot;x&quot;&gt;ada" in signed_in.text


def test_the_way_in_is_shown_to_who_has_no_session_and_the_way_out_to_who_has_one() -> None:
    assert '<a href="/admin/sign-in">' in ask("/admin", sessions=SESSIONS).text
    signed_in = ask("/admin", cookie(name="ada"), sessions=SESSIONS).text
    assert '<form method="post" action="/admin/sign-out">' in signed_in
    assert "/admin/sign-in" not in signed_in


def test_metrics_are_linked_to_where_there_are_some() -> None:
    assert ask("/admin").text.count('<a href="/metrics/">') == 2
    assert "metrics" not in ask("/admin", has_metrics=False).text


def test_who_may_not_look_is_sent_to_sign_in_where_that_is() -> None:
    sent = ask("/admin", sessions=SESSIONS, peer="203.0.113.7")
    assert (sent.status_code, sent.headers["location"]) == (303, "/admin/sign-in")
    wrong = ask("/admin", "Authorization: Bearer wrong", sessions=SESSIONS, peer="203.0.113.7")
    assert wrong.status_code == 401
    assert ask("/admin", peer="203.0.113.7").status_code in (401, 403)


def test_pages_let_nothing_in_that_is_not_from_here_and_nobody_frame_them() -> None:
    for answer in (ask("/admin"), ask("/signed-out")):
        policy = answer.headers["content-security-policy"]
        for rule in (
            "default-src 'none'",
            "script-src 'self'",
            "style-src 'self'",
            "base-uri 'none'",
            "form-action 'self'",
            "frame-ancestors 'none'",
            "require-trusted-types-for 'script'",
        ):
            assert rule in policy.split("; ")
        assert "unsafe" not in policy
        assert answer.headers["x-frame-options"] == "DENY"
        assert answer.headers["referrer-policy"] == "same-origin"
        assert answer.headers["cache-control"] == "no-store"


def test_who_has_signed_out_is_told_so_and_where_else_to() -> None:
    text = ask("/signed-out").text
    assert "You are signed out." in text
    assert 'href="https://login.example.com/end?a=&quot;&gt;&lt;b&gt;"' in text


@pytest.mark.parametrize("name", sorted(FILES))
def test_a_file_is_sent_once_while_it_is_the_same(name: str) -> None:
    answer = ask(f"/admin/page/{name}", peer="203.0.113.7")
    assert answer.status_code == 200
    assert answer.content == (DASHBOARD / name).read_bytes()
    assert answer.headers["cache-control"] == "no-cache"
    assert answer.headers["content-type"].partition(";")[0] in (
        "text/css",
        "text/javascript",
        "image/svg+xml",
    )
    again = ask(f"/admin/page/{name}", f"If-None-Match: {answer.headers['etag']}")
    assert (again.status_code, again.content) == (304, b"")
    assert again.headers["etag"] == answer.headers["etag"]
    assert ask(f"/admin/page/{name}", 'If-None-Match: "another"').status_code == 200
    assert ask(f"/admin/page/{name}", method="HEAD").status_code == 200


@pytest.mark.parametrize("name", ["index.html", "nothing.js", "..", "%2e%2e%2fadmin_page.py", "page"])
def test_nothing_else_is_a_file(name: str) -> None:
    assert ask(f"/admin/page/{name}").status_code == 404


def test_every_file_is_used_and_every_file_that_is_used_is_there() -> None:
    named = {name for text in SOURCES.values() for name in NAMED.findall(text)}
    assert named == FILES.keys()
    assert FILES.keys() | {"index.html"} == SOURCES.keys()


@pytest.mark.parametrize("name", sorted(SOURCES))
def test_no_file_asks_elsewhere_or_makes_markup_of_text(name: str) -> None:
    text = SOURCES[name]
    assert set(re.findall(r"https?://[^'\"\s]+|[\"'(]//[^'\"\s]+", text)) <= {"http://www.w3.org/2000/svg"}
    assert not MARKUP.search(text)
    assert not re.search(r"<style|<script(?![^>]*\bsrc=)|\s(?:style|on\w+)=\"", text)
    assert len(text.splitlines()) < 300
