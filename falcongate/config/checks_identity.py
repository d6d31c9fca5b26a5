"""Mistakes in who callers are: issuers whose keys cannot be used, headers that tell of nobody."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Final

from falcongate.config.mistakes import Mistake, shown
from falcongate.config.public_keys import algorithms_of, load_public_key

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from falcongate.config.identity import IssuerSettings
    from falcongate.config.mistakes import Location
    from falcongate.config.settings import GatewaySettings

    Check = Callable[[Location, str], Iterator[Mistake]]

# fmt: off
_NOT_TOLD: Final = frozenset((
    "authorization", "connection", "content-length", "content-type", "cookie", "expect", "host",
    "keep-alive", "te", "trailer", "transfer-encoding", "upgrade", "via", "x-request-id",
))
# fmt: on
_PLAIN_HEADER: Final = re.compile(r"[A-Za-z0-9-]+")
_LEAST_SECRET_BYTES: Final = {"HS256": 32, "HS384": 48, "HS512": 64}


def in_identity(settings: GatewaySettings, *, in_authorities: Check) -> Iterator[Mistake]:
    """What is wrong with issuers and tokens. `in_authorities` looks into a file of authorities."""
    for name, issuer in settings.issuers.items():
        yield from _in_issuer(("issuers", name), issuer, in_authorities)
    told = {header.lower(): header for header in reversed(settings.tokens.headers)}
    for header in settings.tokens.headers:
        if header.lower() in _NOT_TOLD:
            yield Mistake(("tokens", "headers", header), "is for something else; choose another header")
        if not _PLAIN_HEADER.fullmatch(header):
            # SECURITY: services read X_User_ID as X-User-ID, so callers could say one under the other's name.
            remedy = "must have letters, digits and hyphens only, as services take other signs for hyphens"
            yield Mistake(("tokens", "headers", header), remedy)
        if told[header.lower()] != header:
            remedy = f"is the same header as {told[header.lower()]}; remove one"
            yield Mistake(("tokens", "headers", header), remedy)


def _in_issuer(location: Location, issuer: IssuerSettings, in_authorities: Check) -> Iterator[Mistake]:
    if issuer.ca_file and issuer.jwks_url is None:
        yield Mistake((*location, "ca_file"), "has no effect without jwks_url", shown(issuer.ca_file))
    elif issuer.ca_file and not (issuer.jwks_url or "").startswith("https"):
        yield Mistake((*location, "ca_file"), "has no effect: jwks_url does not begin with https")
    elif issuer.ca_file:
        yield from in_authorities((*location, "ca_file"), issuer.ca_file)
    if issuer.public_key_file:
        yield from _in_public_key((*location, "public_key_file"), issuer.public_key_file, issuer)
    if issuer.secret is not None:
        length = len(issuer.secret.get_secret_value().encode())
        for algorithm in issuer.algorithms:
            if length < _LEAST_SECRET_BYTES[algorithm]:
                least = _LEAST_SECRET_BYTES[algorithm]
                yield Mistake(
                    (*location, "secret"), f"must have {least} bytes for {algorithm} (RFC 7518, 3.2)"
                )


def _in_public_key(location: Location, path: str, issuer: IssuerSettings) -> Iterator[Mistake]:
    try:
        key = load_public_key(Path(path).read_bytes())
    except OSError as error:
        yield Mistake(location, f"the file cannot be read: {error.strerror}", shown(path))
    except ValueError as error:
        yield Mistake(location, str(error), shown(path))
    else:
        possible = algorithms_of(key)
        if not possible:
            yield Mistake(location, "holds a key that is too weak; RSA needs 2048 bits", shown(path))
        for algorithm in issuer.algorithms:
            if possible and algorithm not in possible:
                remedy = f"holds a key that {algorithm} does not go with; it goes with"
                yield Mistake(location, f"{remedy} {', '.join(sorted(possible))}", shown(path))
