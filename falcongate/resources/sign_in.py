"""The doors of signing in and out: `/admin/sign-in`, `/admin/callback`, `/admin/sign-out`."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final
from urllib.parse import parse_qsl

import falcon
from gevent.lock import BoundedSemaphore

from falcongate.config.admin import SIGN_IN_COOKIE
from falcongate.config.own_paths import is_of_operators
from falcongate.denials import Forbidden, SignInFailed
from falcongate.exchange import EXCHANGE
from falcongate.outages import ProviderUnavailable
from falcongate.resources.admin_page import show_signed_out
from falcongate.resources.openid import Departure
from falcongate.resources.operator_sessions import Cookie, Seal, client_secret_of
from falcongate.resources.pages import is_of_own_page

if TYPE_CHECKING:
    from collections.abc import Iterator

    from falcongate.admission.limits import Limits
    from falcongate.config.admin import SignInSettings
    from falcongate.exchange import Exchange
    from falcongate.resources.openid import Provider
    from falcongate.resources.operator_sessions import OperatorSessions
    from falcongate.resources.operators import Note

_DEPARTED_S: Final = 600
_MOST_AT_ONCE: Final = 4
_PLAIN_PATH: Final = re.compile(r"(?:/[A-Za-z0-9._~@:-]*)+")


class Departures:
    """What a browser keeps while its user is at the provider: sealed, and for ten minutes.

    One cookie, so who begins twice can end what was begun last.
    """

    def __init__(self, settings: SignInSettings, own_url: str) -> None:
        secret = client_secret_of(settings)
        self._seal = Seal(secret, f"falcongate sign-in {settings.issuer} {settings.client_id}")
        self._cookie = Cookie(SIGN_IN_COOKIE, own_url)

    def find(self, exchange: Exchange) -> Departure:
        """The departure that a request has come back from. Raises SignInFailed."""
        found = self._seal.open(self._cookie.find(exchange.environ), max_age_s=_DEPARTED_S)
        if found is None:
            raise SignInFailed("this browser has not begun it here, or too long ago")
        return Departure(**found)

    def render(self, departure: Departure) -> str:
        """The Set-Cookie that remembers it."""
        return self._cookie.render(self._seal.close(departure._asdict()), max_age_s=_DEPARTED_S)

    def end(self) -> str:
        """The Set-Cookie that forgets it."""
        return self._cookie.render("", max_age_s=0)


class SignIn:
    """`GET /admin/sign-in`: sends the user to the provider."""

    def __init__(self, provider: Provider, departures: Departures, limits: Limits) -> None:
        self._provider = provider
        self._departures = departures
        self._limits = limits

    def on_get(self, req: falcon.Request, resp: falcon.Response) -> None:
        """Redirect, and remember what must come back. Waits for the provider if it is not known yet."""
        exchange: Exchange = req.env[EXCHANGE]
        self._limits.admit(exchange)
        then = dict(_query_of(exchange)).get("next", "")
        # SECURITY: `//evil` and `/\evil` begin with a slash, too; so only paths that are for operators.
        is_sound = is_of_operators(then) and _PLAIN_PATH.fullmatch(then) is not None
        url, departure = self._provider.depart(then if is_sound else "/admin/")
        _redirect(resp, url, self._departures.render(departure))


class SignInCallback:
    """`GET /admin/callback`: the user comes back."""

    def __init__(
        self,
        provider: Provider,
        departures: Departures,
        *,
        sessions: OperatorSessions,
        limits: Limits,
        note: Note,
    ) -> None:
        self._provider = provider
        self._departures = departures
        self._sessions = sessions
        self._limits = limits
        self._note = note
        # Anybody can come with a made-up code, for which the provider must be asked.
        self._places = BoundedSemaphore(_MOST_AT_ONCE)

    def on_get(self, req: falcon.Request, resp: falcon.Response) -> None:
        """Begin a session and lead on. Waits for the provider; raises SignInFailed, ProviderUnavailable."""
        exchange: Exchange = req.env[EXCHANGE]
        self._limits.admit(exchange)
        resp.append_header("Set-Cookie", self._departures.end())
        where = exchange.caller_address
        try:
            name, then = self._arrived(exchange)
        except (SignInFailed, ProviderUnavailable) as refused:
            self._note("", where, "sign-in refused", refused.why)
            raise
        self._note(name, where, "sign-in", "as the provider says")
        _redirect(resp, then, self._sessions.begin(name))

    def _arrived(self, exchange: Exchange) -> tuple[str, str]:
        departure = self._departures.find(exchange)
        pairs = list(_query_of(exchange))
        answer = dict(pairs)
        if len(answer) != len(pairs):
            raise SignInFailed("the answer says something twice")
        if not self._places.acquire(blocking=False):
            raise ProviderUnavailable("too many sign in at once", retry_after_s=1)
        try:
            return self._provider.arrive(departure, answer), departure.then
        finally:
            self._places.release()


class SignOut:
    """`POST /admin/sign-out`: ends the session in this browser."""

    def __init__(self, provider: Provider, sessions: OperatorSessions, *, own_url: str, note: Note) -> None:
        self._provider = provider
        self._sessions = sessions
        self._own_url = own_url
        self._note = note

    def on_post(self, req: falcon.Request, resp: falcon.Response) -> None:
        """Take the cookie away. Raises Forbidden if another page asks."""
        exchange: Exchange = req.env[EXCHANGE]
        if not is_of_own_page(exchange.environ, self._own_url):
            raise Forbidden("Only the gateway's own page can sign its user out.")
        session = self._sessions.find(exchange.environ)
        if session is not None:
            self._note(session.name, exchange.caller_address, "sign-out", "asked for")
        resp.append_header("Set-Cookie", self._sessions.end())
        show_signed_out(resp, self._provider.sign_out_url() if session is not None else "")


def _query_of(exchange: Exchange) -> Iterator[tuple[str, str]]:
    query = exchange.target.partition(b"?")[2].decode("latin-1")
    return iter(parse_qsl(query, keep_blank_values=True))


def _redirect(resp: falcon.Response, url: str, cookie: str) -> None:
    resp.status = falcon.HTTP_303
    resp.set_header("Location", url)
    resp.set_header("Cache-Control", "no-store")
    # The address of the callback holds the code.
    resp.set_header("Referrer-Policy", "no-referrer")
    resp.append_header("Set-Cookie", cookie)
