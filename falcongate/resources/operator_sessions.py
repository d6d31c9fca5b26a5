"""Who is signed in: sealed cookies, which every host can open and nobody else can make or read."""

from __future__ import annotations

import base64
import json
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from cryptography.fernet import Fernet, InvalidToken
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from falcongate.admission.recent import Recent
from falcongate.config.admin import SESSION_COOKIE

if TYPE_CHECKING:
    from falcongate.config.admin import SignInSettings

_MAX_COOKIE: Final = 4_096
_MOST_KNOWN: Final = 1_000


def client_secret_of(settings: SignInSettings) -> str:
    """What the provider and all hosts know, and nobody else; "" without sign-in."""
    return settings.client_secret.get_secret_value() if settings.client_secret else ""


class Seal:
    """Seals documents with a key for one purpose, made from a secret that all hosts have."""

    def __init__(self, secret: str, purpose: str) -> None:
        derived = HKDF(SHA256(), 32, salt=None, info=purpose.encode()).derive(secret.encode())
        self._fernet = Fernet(base64.urlsafe_b64encode(derived))

    def close(self, document: dict[str, Any]) -> str:
        """The document as a text for a cookie."""
        return self._fernet.encrypt(json.dumps(document).encode()).decode("ascii")

    def open(self, text: str, *, max_age_s: int) -> dict[str, Any] | None:
        """What was sealed not longer ago than that; None if it was not, or not by us."""
        if len(text) > _MAX_COOKIE or not text.isascii():
            return None
        try:
            document: dict[str, Any] = json.loads(self._fernet.decrypt(text.encode("ascii"), ttl=max_age_s))
        except InvalidToken:
            return None
        return document


class Session(NamedTuple):
    """A user who has signed in. `ends_s` is wall-clock time: hosts have no other in common."""

    name: str
    ends_s: float


class Cookie:
    """A cookie of ours at one address; on https no other host and no plain connection can set or see it."""

    def __init__(self, name: str, own_url: str) -> None:
        is_secure = own_url.startswith("https://")
        self.name = f"__Host-{name}" if is_secure else name
        # Not Strict: the way back from the provider begins on another site, and so does a link in a chat.
        self._attributes = "; Path=/; HttpOnly; SameSite=Lax" + ("; Secure" if is_secure else "")

    def find(self, environ: dict[str, Any]) -> str:
        """What the browser has sent; "" if nothing."""
        for pair in environ.get("HTTP_COOKIE", "").split(";"):
            name, _, value = pair.strip().partition("=")
            if name == self.name:
                return str(value)
        return ""

    def render(self, value: str, *, max_age_s: int) -> str:
        """The field value that sets it; 0 seconds take it away."""
        return f"{self.name}={value}; Max-Age={max_age_s}{self._attributes}"


class OperatorSessions:
    """Sessions of one configuration, in one worker. Asks nobody."""

    def __init__(self, settings: SignInSettings, own_url: str) -> None:
        secret = client_secret_of(settings)
        # Whom a change of the configuration shuts out is signed out by it.
        wanted = json.dumps(
            {name: sorted(values) for name, values in settings.claims.items()}, sort_keys=True
        )
        self._seal = Seal(secret, f"falcongate session {settings.issuer} {settings.client_id} {wanted}")
        self._max_age_s = settings.session_s
        self._cookie = Cookie(SESSION_COOKIE, own_url)
        self._known: Recent[str, Session] = Recent(_MOST_KNOWN)

    def find(self, environ: dict[str, Any]) -> Session | None:
        """The session of a request; None if it has none that holds."""
        text = self._cookie.find(environ)
        if not text:
            return None
        session = self._known.get(text) or self._opened(text)
        return session if session is not None and session.ends_s > _now_s() else None

    def begin(self, name: str) -> str:
        """The Set-Cookie of a new session."""
        document = {"name": name, "ends": _now_s() + self._max_age_s}
        return self._cookie.render(self._seal.close(document), max_age_s=self._max_age_s)

    def end(self) -> str:
        """The Set-Cookie that takes it from the browser."""
        return self._cookie.render("", max_age_s=0)

    def _opened(self, text: str) -> Session | None:
        document = self._seal.open(text, max_age_s=self._max_age_s)
        if document is None:
            return None
        session = Session(document["name"], document["ends"])
        self._known[text] = session
        return session


def _now_s() -> float:
    return datetime.now(UTC).timestamp()
