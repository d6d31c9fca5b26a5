"""Mistakes in what is said of administration that no setting shows alone."""

from __future__ import annotations

import difflib
from typing import TYPE_CHECKING, Final

from falcongate.config.admin import place_of
from falcongate.config.mistakes import Mistake, shown
from falcongate.config.values import is_protected

if TYPE_CHECKING:
    from collections.abc import Iterator

    from falcongate.config.admin import AdminSettings
    from falcongate.config.settings import GatewaySettings

_PORT: Final = 8_000


def one_port_for_two(admin: AdminSettings, port: int | None) -> Iterator[Mistake]:
    """The mistake of giving operators the port of callers, which is `port`, or the usual one."""
    if admin.bind and place_of(admin.bind)[1] == (port or _PORT):
        yield Mistake(("admin", "bind"), "is the port of callers (PORT); choose another", shown(admin.bind))


def in_admin(settings: GatewaySettings) -> Iterator[Mistake]:
    """Every contradiction of `[admin]` with itself and the rest."""
    admin = settings.admin
    issuer = admin.token_issuer
    if issuer is not None and issuer not in settings.issuers:
        near = difflib.get_close_matches(issuer, settings.issuers, 1)
        known = f"did you mean {near[0]}?" if near else "write [issuers.<name>], or take it away"
        yield Mistake(("admin", "token_issuer"), f"no issuer has this name; {known}", shown(issuer))
    if admin.sign_in.issuer is None:
        return
    if not admin.url and not settings.public_url:
        remedy = "needs admin.url or public_url: the provider must know where users come back to"
        yield Mistake(("admin", "sign_in", "issuer"), remedy)
    elif admin.bind and not admin.url:
        remedy = "needs admin.url beside admin.bind: at public_url nothing of administration answers"
        yield Mistake(("admin", "sign_in", "issuer"), remedy)
    elif not is_protected(admin.url or settings.public_url):
        location = ("admin", "url") if admin.url else ("public_url",)
        remedy = "must begin with https:// where operators sign in; only this machine may do without"
        yield Mistake(location, remedy, shown(admin.url or settings.public_url))
