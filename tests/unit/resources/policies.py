"""A policy of administration in the making, and what it grants to whom."""

from __future__ import annotations

from falcongate.config.admin import AdminSettings, SignInSettings
from falcongate.config.settings import ServerSettings
from falcongate.denials import Forbidden, NotPermitted, Unauthorized
from falcongate.exchange import Caller, Exchange
from falcongate.middleware.caller_address import TrustedProxies
from falcongate.outages import KeysUnavailable
from falcongate.resources.listeners import Listeners
from falcongate.resources.operator_sessions import OperatorSessions
from falcongate.resources.operators import Note, Operators
from tests.unit.making import make_exchange

TOKEN = "a-token-that-is-long-enough"  # noqa: S105  # of this test alone
OURS = "https://ops.example.com"
SIGN_IN = SignInSettings.model_validate(
    {
        "issuer": "https://login.example.com",
        "client_id": "gateway",
        "client_secret": "a-secret-of-this-test",
        "claims": {"groups": "operators"},
    }
)
SESSIONS = OperatorSessions(SIGN_IN, OURS)


class Tokens:
    """Knows the tokens of two issuers by what they say."""

    def find(self, exchange: Exchange, *, waits: bool = True) -> Caller | None:
        if not waits:
            raise KeysUnavailable
        issuer, _, scope = exchange.environ["HTTP_AUTHORIZATION"].partition(" ")[2].partition("/")
        if issuer == "forged":
            raise Unauthorized("its signature is wrong")
        return Caller("token", "ada", issuer, {"scope": scope.replace("+", " ")})


class Notes(list[tuple[str, str, str, str]]):
    """Keeps what is noted."""

    def __call__(self, who: str, where: str, what: str, why: str) -> None:
        self.append((who, where, what, why))


def operators(
    *,
    token: str | None = None,
    server: dict[str, object] | None = None,
    sessions: OperatorSessions | None = None,
    note: Note | None = None,
    **settings: object,
) -> tuple[Operators, TrustedProxies]:
    """The policy of such a configuration, and who knows its proxies."""
    admin = AdminSettings.model_validate(settings)
    proxies = TrustedProxies(ServerSettings.model_validate(server or {}))
    made = Operators(
        admin,
        token,
        listeners=Listeners(None),
        proven_address=proxies.proven_address,
        sessions=sessions,
        tokens=Tokens(),
        note=note if note is not None else Notes(),
        own_url=OURS,
    )
    return made, proxies


def rights(
    policy: tuple[Operators, TrustedProxies], *lines: str, peer: str = "127.0.0.1", host: str = "localhost"
) -> str:
    """`read`, `change`, both or neither: what a request of this peer with these lines may."""
    may = []
    for right in ("read", "change"):
        exchange = make_exchange(f"Host: {host}", *lines, peer=peer, method="POST")
        policy[1].identify(exchange)
        identify = policy[0].identify_reader if right == "read" else policy[0].identify_changer
        try:
            assert identify(exchange)
        except (Unauthorized, Forbidden, NotPermitted):
            continue
        may.append(right)
    return " ".join(may)


def cookie(sessions: OperatorSessions = SESSIONS, name: str = "ada@example.com") -> str:
    """The line by which a browser shows that its user is signed in."""
    return "Cookie: theme=dark; " + sessions.begin(name).partition(";")[0]
