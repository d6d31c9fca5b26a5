"""`/admin/`: who you are, and where to look. A page without scripts."""

from __future__ import annotations

import base64
from hashlib import sha256
from html import escape
from typing import TYPE_CHECKING, Final

import falcon

from falcongate.denials import Unauthorized
from falcongate.exchange import EXCHANGE

if TYPE_CHECKING:
    from falcongate.exchange import Exchange
    from falcongate.resources.operator_sessions import OperatorSessions
    from falcongate.resources.operators import Operators

_STYLE: Final = "body{font:1rem/1.5 system-ui,sans-serif;max-width:40rem;margin:3rem auto;padding:0 1rem}"
_STYLE_HASH: Final = base64.b64encode(sha256(_STYLE.encode()).digest()).decode("ascii")
_POLICY: Final = (
    f"default-src 'none'; style-src 'sha256-{_STYLE_HASH}'; form-action 'self'; base-uri 'none';"
    " frame-ancestors 'none'"
)
_PAGE: Final = """\
<!doctype html>
<html lang="en">
<head><meta charset="utf-8"><title>falcongate</title><style>{style}</style></head>
<body>
<h1>falcongate</h1>
{content}
</body>
</html>
"""
_LINKS: Final = """\
<ul>
<li><a href="/health/">Health</a></li>
<li><a href="/circuit-breaker/status/">Breakers</a></li>
<li><a href="/metrics/">Metrics</a></li>
</ul>"""
_SIGN_OUT: Final = '<form method="post" action="/admin/sign-out"><button>Sign out</button></form>'
_SIGN_IN: Final = '<p><a href="/admin/sign-in">Sign in</a></p>'


class AdminPage:
    """`GET /admin`. Without `sessions` nobody can sign in."""

    def __init__(self, operators: Operators, sessions: OperatorSessions | None) -> None:
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
        action = ""
        if self._sessions is not None:
            action = _SIGN_OUT if self._sessions.find(exchange.environ) is not None else _SIGN_IN
        _show(resp, f"<p>You are <strong>{escape(name)}</strong>.</p>\n{_LINKS}\n{action}")

    on_head = on_get


def show_signed_out(resp: falcon.Response, provider_url: str) -> None:
    """Say that it is done, and where the user can sign out at the provider as well, if anywhere."""
    content = "<p>You are signed out.</p>\n" + _SIGN_IN
    if provider_url:
        content += f'\n<p><a href="{escape(provider_url)}">Sign out at the provider, too</a></p>'
    _show(resp, content)


def _show(resp: falcon.Response, content: str) -> None:
    resp.content_type = falcon.MEDIA_HTML
    resp.text = _PAGE.format(style=_STYLE, content=content)
    resp.set_header("Cache-Control", "no-store")
    resp.set_header("Content-Security-Policy", _POLICY)
    resp.set_header("X-Frame-Options", "DENY")
    # With no-referrer, browsers would not say that the form is ours.
    resp.set_header("Referrer-Policy", "same-origin")
