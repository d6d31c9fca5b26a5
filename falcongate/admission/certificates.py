"""Client certificates: who a caller is by the certificate that it has shown in its TLS handshake.

Whether the certificate is to be believed was decided there, by the authorities of `client_ca_file`. What a
proxy says of certificates in header fields is never read.
"""

from __future__ import annotations

from functools import lru_cache
from time import monotonic
from typing import TYPE_CHECKING, Any, Final

from falcongate.denials import Unauthorized
from falcongate.exchange import Caller
from falcongate.wire.certificates import seconds_until

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from falcongate.exchange import Exchange

_Names = tuple[tuple[tuple[str, str], ...], ...]
# RFC 4514, 3; whatever else there is keeps the name that OpenSSL has for it.
_SHORT: Final = {
    "commonName": "CN",
    "localityName": "L",
    "stateOrProvinceName": "ST",
    "organizationName": "O",
    "organizationalUnitName": "OU",
    "countryName": "C",
    "streetAddress": "STREET",
    "domainComponent": "DC",
    "userId": "UID",
}
_ESCAPES: Final = {character: f"\\{character}" for character in '\\"+,;<>='} | {
    chr(code): f"\\{code:02x}" for code in (*range(32), 127)
}
_MAX_KNOWN: Final = 1_024
_NAMING: Final = ("DNS", "URI", "email")


class ClientCertificates:
    """The credentials of callers with a certificate of their own."""

    __slots__ = ("_known",)

    kind = "certificate"

    def __init__(self) -> None:
        self._known: dict[int, tuple[dict[str, Any], Caller]] = {}

    def find(self, exchange: Exchange) -> Caller | None:
        """Whose certificate the connection has, if any. Does not wait.

        Raises Unauthorized for one that names nobody, or has ended while the connection was kept.
        """
        certificate: dict[str, Any] | None = exchange.environ.get("falcongate.client_certificate")
        if certificate is None:
            return None
        caller = self._known_or_new(certificate)
        if not caller.name:
            raise Unauthorized("the certificate names nobody")
        if caller.ends_at <= monotonic():
            raise Unauthorized("the certificate has expired")
        return caller

    def _known_or_new(self, certificate: dict[str, Any]) -> Caller:
        """PERF: a connection has one dict for all its requests; to compare what is in it costs 5 us."""
        known = self._known.get(id(certificate))
        # What is kept here has its number for itself.
        if known is not None:
            return known[1]
        caller = _caller_of(tuple(certificate.items()))
        if len(self._known) >= _MAX_KNOWN:
            self._known.clear()
        self._known[id(certificate)] = certificate, caller
        return caller


@lru_cache(maxsize=_MAX_KNOWN)
def _caller_of(said: tuple[tuple[str, Any], ...]) -> Caller:
    certificate = dict(said)
    subject: _Names = certificate.get("subject", ())
    alternatives: tuple[tuple[str, str], ...] = certificate.get("subjectAltName", ())
    # The most specific name stands last.
    common_name = next((value for key, value in _pairs(reversed(subject)) if key == "commonName"), "")
    named = (value for kind in _NAMING for other, value in alternatives if other == kind)
    claims = {
        "subject": render_name(subject),
        "common_name": common_name,
        "dns_names": [value for kind, value in alternatives if kind == "DNS"],
        "uris": [value for kind, value in alternatives if kind == "URI"],
        "emails": [value for kind, value in alternatives if kind == "email"],
        "serial": certificate.get("serialNumber", ""),
        "issuer": render_name(certificate.get("issuer", ())),
    }
    name = common_name or next(named, "") or claims["subject"]
    ends_at = monotonic() + seconds_until(certificate["notAfter"])
    return Caller("certificate", str(name), claims=claims, ends_at=ends_at)


def render_name(names: _Names) -> str:
    """A subject or issuer as text, the most specific part first: `CN=reports,O=Example` (RFC 4514)."""
    parts = ("+".join(f"{_SHORT.get(key, key)}={_escaped(value)}" for key, value in part) for part in names)
    return ",".join(reversed(tuple(parts)))


def _escaped(value: str) -> str:
    """RFC 4514, 2.4: nobody can write a name that reads like two."""
    text = "".join(_ESCAPES.get(character, character) for character in value)
    if text.startswith(("#", " ")):
        text = "\\" + text
    if text.endswith(" ") and value != " ":
        text = text[:-1] + "\\ "
    return text


def _pairs(names: Iterable[tuple[tuple[str, str], ...]]) -> Iterator[tuple[str, str]]:
    return (pair for part in names for pair in part)
