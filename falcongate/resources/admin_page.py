"""`/admin/`: the page for operators, its files, and the page that says that one is signed out.

The page is static but for three places, filled in here so that signing in and out needs no script: who
looks, the way in or out, and whether there are metrics. All else it asks for itself, by `/admin/live` and
`/admin/overview`.
"""

from __future__ import annotations

from hashlib import sha256
from html import escape
from importlib.resources import files
from typing import TYPE_CHECKING, Final, NamedTuple

import falcon

from falcongate.denials import Unauthorized
from falcongate.exchange import EXCHANGE
from falcongate.refusals import NoRoute

if TYPE_CHECKING:
    from falcongate.exchange import Exchange
    from falcongate.resources.operator_sessions import OperatorSessions
    from falcongate.resources.operators import Operators

_POLICY: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self';"
    " form-action 'self'; base-uri 'none'; frame-ancestors 'none'; require-trusted-types-for 'script';"
    " trusted-types 'none'"
)
_KINDS: Final = {
    "css": "text/css; charset=utf-8",
    "js": "text/javascript; charset=utf-8",
    "svg": "image/svg+xml",
}
_SIGN_OUT: Final = '<form method="post" action="/admin/sign-out"><button>Sign out</button></form>'
_SIGN_IN: Final = '<a href="/admin/sign-in">Sign in</a>'
_METRICS: Final = ', <a href="/metrics/">metrics</a>'
_SIGNED_OUT: Final = """\
<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>Signed out - falcongate</title>
<link rel="icon" href="/admin/page/icon.svg">
<link rel="stylesheet" href="/admin/page/page.css">
</head>
<body>
<main class="alone">
<h1>falcongate</h1>
{content}
</main>
</body>
</html>
"""


class File(NamedTuple):
    """A file of the page as it is sent."""

    kind: str
    content: bytes
    etag: str


def read_page() -> tuple[str, dict[str, File]]:
    """The page, and its files by name. Called once, at start."""
    page, others = "", {}
    for path in (files("falcongate") / "dashboard").iterdir():
        ending = path.name.rpartition(".")[2]
        if path.name == "index.html":
            page = path.read_text("utf-8")
        elif ending in _KINDS:
            content = path.read_bytes()
            others[path.name] = File(_KINDS[ending], content, sha256(content).hexdigest()[:32])
    return page, others


class AdminPage:
    """`GET /admin`. Without `sessions` nobody can sign in."""

    def __init__(
        self, page: str, operators: Operators, *, sessions: OperatorSessions | None, has_metrics: bool
    ) -> None:
        page = page.replace("<!-- metrics -->", _METRICS if has_metrics else "")
        self._before, _, rest = page.partition("<!-- who -->")
        self._between, _, self._after = rest.partition("<!-- way -->")
        self._operators = operators
        self._sessions = sessions

    def on_get(self, req: falcon.Request, resp: falcon.Response) -> None:
        """The page; or, for who may not see it, the way to sign in, or a refusal."""
        exchange: Exchange = req.env[EXCHANGE]
        try:
            name = self._operators.identify_reader(exchange)
        except Unauthorized as refused:
            # A credential that is not valid is the program's that sends it, and no program signs in.
            if self._sessions is None or refused.why:
                raise
            resp.status = falcon.HTTP_303
            resp.set_header("Location", "/admin/sign-in")
            resp.set_header("Cache-Control", "no-store")
            return
        way = ""
        if self._sessions is not None:
            way = _SIGN_OUT if self._sessions.find(exchange.environ) is not None else _SIGN_IN
        who = f"You are <strong>{escape(name)}</strong>"
        _show(resp, f"{self._before}{who}{self._between}{way}{self._after}")

    on_head = on_get


class PageFiles:
    """`GET /admin/page/<file>`: scripts and styles.

    For everybody who reaches the port: they are those that are published with the gateway, and say
    nothing of this one. So the page that says that one is signed out has them, too.
    """

    def __init__(self, others: dict[str, File]) -> None:
        self._files = others

    def on_get(self, req: falcon.Request, resp: falcon.Response, name: str) -> None:
        """A file, or nothing for who has it. Raises NoRoute."""
        file = self._files.get(name)
        if file is None:
            raise NoRoute
        # A browser asks each time: scripts of two versions must not meet in one page.
        resp.set_header("Cache-Control", "no-cache")
        resp.etag = file.etag
        if f'"{file.etag}"' in req.env.get("HTTP_IF_NONE_MATCH", ""):
            resp.status = falcon.HTTP_304
            return
        resp.content_type = file.kind
        resp.data = file.content
        resp.set_header("Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'")

    on_head = on_get


def show_signed_out(resp: falcon.Response, provider_url: str) -> None:
    """Say that it is done, and where the user can sign out at the provider as well, if anywhere."""
    content = f"<p>You are signed out.</p>\n<p>{_SIGN_IN}</p>"
    if provider_url:
        content += f'\n<p><a href="{escape(provider_url)}">Sign out at the provider, too</a></p>'
    _show(resp, _SIGNED_OUT.format(content=content))


def _show(resp: falcon.Response, text: str) -> None:
    resp.content_type = falcon.MEDIA_HTML
    resp.text = text
    resp.set_header("Cache-Control", "no-store")
    resp.set_header("Content-Security-Policy", _POLICY)
    resp.set_header("X-Frame-Options", "DENY")
    # With no-referrer, browsers would not say that the form is ours.
    resp.set_header("Referrer-Policy", "same-origin")
