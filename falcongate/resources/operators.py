"""Who may look into the gateway, and who may change what it does: the one policy for all such doors."""

from __future__ import annotations

import logging
from hmac import compare_digest
from typing import TYPE_CHECKING, Any, Final, NamedTuple, Protocol

from falcongate.admission.access import has_scopes
from falcongate.denials import Forbidden, NotPermitted, Unauthorized
from falcongate.outages import KeysUnavailable
from falcongate.resources import pages
from falcongate.state.audit import Change, audit
from falcongate.telemetry.console import printable
from falcongate.wire.address import address_of, network_of
from falcongate.wire.bearer import bearer_in

if TYPE_CHECKING:
    from collections.abc import Callable

    from falcongate.config.admin import AdminSettings
    from falcongate.exchange import Caller, Exchange
    from falcongate.resources.listeners import Listeners
    from falcongate.resources.operator_sessions import OperatorSessions
    from falcongate.state.audit import AuditLog
    from falcongate.wire.address import Address, Network

_MAX_NAME: Final = 100
_log = logging.getLogger("falcongate.admin")


class Note(Protocol):
    """Takes down what somebody did, or was refused, for those who look later."""

    def __call__(self, who: str, where: str, what: str, why: str) -> None:
        """`who` as far as known, `where` from, `what` it was, and `why`."""


def log_note(who: str, where: str, what: str, why: str) -> None:
    """Write it into the log, which is read on terminals.

    SECURITY: callers choose what stands in paths and names, and a terminal obeys what it is sent.
    """
    told = (what, who or "somebody", where or "a Unix socket", why)
    _log.info("%s by %s from %s: %s", *map(printable, told))


class AuditNote:
    """Writes it into the audit stream as well; of those whom nobody knows, who could fill that up, not."""

    def __init__(self, log: AuditLog) -> None:
        self._audit = log

    def __call__(self, who: str, where: str, what: str, why: str) -> None:
        """As `Note` says. Waits at most for the shared state."""
        log_note(who, where, what, why)
        if who:
            audit(self._audit, Change(who, where, what, "administration", why))


class ProvenTokens(Protocol):
    """The tokens of issuers."""

    def find(self, exchange: Exchange, *, waits: bool = True) -> Caller | None:
        """Whose token it is, None without one. Raises Unauthorized, or KeysUnavailable if nobody can say.

        Unless it `waits` for keys, that is so of tokens whose keys are not known.
        """
        ...


class _Right(NamedTuple):
    """To look, or to change: from where, by which setting, and which pages may by their user's session.

    With `is_for_own_pages` pages of the gateway may by their user's address as well.
    """

    setting: str
    networks: tuple[Network, ...]
    may_by_cookie: Callable[[dict[str, Any], str], bool]
    is_for_own_pages: bool


class Operators:
    """Decides by, in this order: a bearer token, a session, the address.

    `proven_address` is the address that rights may hang on, "" for whoever comes from outside. `tokens`
    knows the tokens of issuers. Waits for nothing but the keys of an issuer.
    """

    def __init__(
        self,
        settings: AdminSettings,
        token: str | None,
        *,
        listeners: Listeners,
        proven_address: Callable[[Exchange], str],
        sessions: OperatorSessions | None = None,
        tokens: ProvenTokens | None = None,
        note: Note = log_note,
        own_url: str = "",
    ) -> None:
        self._settings = settings
        self._token = token.encode() if token else None
        self._tokens = tokens if settings.token_issuer else None
        self._sessions = sessions
        self._listeners = listeners
        self._proven_address = proven_address
        self._note = note
        self._own_url = own_url
        self._reading = _Right(
            "admin.read_from",
            tuple(map(network_of, settings.read_from)),
            pages.may_read_by_cookie,
            is_for_own_pages=True,
        )
        self._changing = _Right(
            "admin.change_from",
            tuple(map(network_of, settings.change_from)),
            pages.may_change_by_cookie,
            is_for_own_pages=False,
        )

    def identify_reader(self, exchange: Exchange) -> str:
        """Who wants to see what is for operators. Raises Unauthorized, Forbidden or NotPermitted."""
        return self._identify(exchange, self._reading)

    def identify_changer(self, exchange: Exchange) -> str:
        """Who wants to change something; a name for the history. Raises like `identify_reader`."""
        try:
            return self._identify(exchange, self._changing)
        except (Unauthorized, Forbidden, NotPermitted) as refused:
            what = f"refused: {exchange.method} {exchange.path}"
            self._note("", exchange.caller_address, what, refused.detail)
            raise

    def may_read(self, exchange: Exchange) -> bool:
        """Whether the request may see what is for operators, and came in where that answers.

        Does not wait.
        """
        if not self._listeners.serves_operators(exchange.environ):
            return False
        try:
            self._identify(exchange, self._reading, waits=False)
        except (Forbidden, NotPermitted, Unauthorized, KeysUnavailable):
            return False
        return True

    def may_change(self, exchange: Exchange) -> bool:
        """Whether who may read could change something as well, by a request that is made for it.

        The change itself is judged when it comes. Does not wait.
        """
        environ = exchange.environ
        if "HTTP_AUTHORIZATION" not in environ:
            if self._sessions is not None and self._sessions.find(environ) is not None:
                return True
            # What a page reads may come without its origin. What it changes does not, and no address helps.
            if pages.may_be_of_browser(environ) or "HTTP_SEC_FETCH_SITE" in environ:
                return False
        try:
            self._identify(exchange, self._changing, waits=False)
        except (Forbidden, NotPermitted, Unauthorized, KeysUnavailable):
            return False
        return True

    def _identify(self, exchange: Exchange, right: _Right, *, waits: bool = True) -> str:
        by_credential = self._of_bearer(exchange, waits=waits)
        if by_credential:
            return by_credential
        if self._sessions is not None and (session := self._sessions.find(exchange.environ)):
            if right.may_by_cookie(exchange.environ, self._own_url):
                return session.name
            raise _of_a_strange_page()
        address = self._proven_address(exchange)
        # Without one, as behind a Unix socket, there is a proxy as a rule.
        ip = address_of(address)
        is_listed = ip is not None and any(ip in network for network in right.networks)
        if ip is None or not is_listed or not self._is_no_strange_page(exchange, ip, right):
            raise self._refusal(right.setting, is_listed=is_listed, address=address)
        return f"operator@{address}"

    def _of_bearer(self, exchange: Exchange, *, waits: bool) -> str:
        """Whose the bearer token is; "" without one. One that is not valid is no better than none."""
        given = bearer_in(exchange.environ.get("HTTP_AUTHORIZATION", ""))
        if given is None:
            return ""
        if self._token is not None and compare_digest(given.encode("latin-1", "replace"), self._token):
            return f"token@{exchange.caller_address or 'unix'}"
        caller = self._tokens.find(exchange, waits=waits) if self._tokens is not None else None
        if caller is None or caller.kind != "token" or caller.issuer != self._settings.token_issuer:
            raise Unauthorized("it is not for administration")
        if not has_scopes(caller, (self._settings.token_scope,)):
            raise NotPermitted((self._settings.token_scope,))
        return f"{one_line(caller.name)} ({caller.issuer})"

    def _is_no_strange_page(self, exchange: Exchange, ip: Address, right: _Right) -> bool:
        """Whether it is not a page in a browser at this address that asks, unless it is one of ours."""
        is_ours = pages.is_name_of_ours(exchange.host, self._own_url)
        origin = f"{exchange.scheme}://{exchange.host}"
        if right.is_for_own_pages and is_ours and pages.is_of_own_page(exchange.environ, origin):
            return True
        is_program = not ip.is_loopback and not pages.may_be_of_browser(exchange.environ)
        return pages.is_of_no_page(exchange.environ) and (is_program or is_ours)

    def _refusal(self, setting: str, *, is_listed: bool, address: str) -> Unauthorized | Forbidden:
        refusal: Unauthorized | Forbidden
        can_prove_it = self._token is not None or self._sessions is not None or self._tokens is not None
        refusal = Unauthorized() if can_prove_it else Forbidden()
        if is_listed:
            ways = "Ask by a local name or address, such as localhost, and not from a page of another origin"
        elif not address:
            ways = f"Come from {setting} without a proxy, or through one in server.trusted_proxies"
        else:
            ways = f"Come from an address in {setting}"
        if isinstance(refusal, Forbidden):
            ways += ", or have the operator set FALCONGATE_ADMIN_TOKEN or admin.sign_in."
        elif self._sessions is not None:
            ways = f"Sign in at {self._own_url}/admin/, or send a token as Authorization: Bearer."
        else:
            ways += ", or send a token as Authorization: Bearer."
        refusal.suggestion = ways
        return refusal


def _of_a_strange_page() -> Forbidden:
    refusal = Forbidden("Nothing tells that a page of the gateway itself has sent this.")
    refusal.suggestion = (
        "Send it from the gateway's own origin, as JSON or with X-Requested-With, or use a token."
    )
    return refusal


def one_line(name: str) -> str:
    """A name as it is shown in pages and histories: on one line, and not for ever."""
    return "".join(sign if sign.isprintable() else "?" for sign in name)[:_MAX_NAME]
