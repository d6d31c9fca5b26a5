"""The names under which things lie in the store, in Redis and in the process alike.

The stamp at the beginning is of the layout: releases that read each other's values share it, and others
run side by side. What stands in braces decides where in a cluster a key lies.
"""

from __future__ import annotations

import hashlib
import re
from typing import TYPE_CHECKING, Final
from urllib.parse import quote

if TYPE_CHECKING:
    from falcongate.state.store import Charge

_STAMP: Final = "falcongate:1:"
_MAX_LENGTH: Final = 128
_SAFE: Final = re.compile(rf"[A-Za-z0-9._:@/-]{{1,{_MAX_LENGTH}}}", re.ASCII)

WRITE_TEST: Final = f"{_STAMP}write-test"
"""A text, written to see whether a server that was away can be written to; kept for a minute."""

TRANSITIONS: Final = f"{_STAMP}breakers"
HOSTS: Final = f"{_STAMP}hosts"
AUDIT: Final = f"{_STAMP}audit"
DECISIONS: Final = f"{_STAMP}decisions"
ORDINARY_DECISIONS: Final = f"{_STAMP}decisions:ordinary"
TRAFFIC: Final = f"{_STAMP}{{traffic}}"
TOTALS: Final = f"{TRAFFIC}:totals"
REFUSED_CALLERS: Final = f"{TRAFFIC}:refused"
API_KEYS: Final = f"{_STAMP}key-ids"
API_KEY_CHANGES: Final = f"{_STAMP}key-changes"
REVOCATIONS: Final = f"{_STAMP}revocations"
REVOKED: Final = (f"{_STAMP}{{revoked}}", f"{_STAMP}{{revoked}}:told")


def plain(name: str) -> str:
    """A name without spaces, braces and control characters, of at most 128; different ones stay different.

    SECURITY: callers choose theirs. A brace would move a key to another server of a cluster, and a long
    one would be kept for as long as its window.
    """
    if _SAFE.fullmatch(name):
        return name
    data = name.encode("utf-8", "surrogatepass")
    quoted = quote(data, safe=":@/").replace("~", "%7E")
    if quoted and len(quoted) <= _MAX_LENGTH:
        return quoted
    return f"{quoted[:40]}~{hashlib.sha256(data).hexdigest()}"


def limit_key(charge: Charge) -> str:
    """The window of a caller. Its shape is in the name: counts of another one cannot be read with this."""
    caller = charge.caller
    if not _SAFE.fullmatch(caller):
        caller = plain(caller)
    return f"{_STAMP}limit:{{{caller}}}:{charge.window.name}"


def lease_key(key: str) -> str:
    """The places of one concurrency limit."""
    return f"{_STAMP}lease:{{{plain(key)}}}"


def session_key(service: str, sid: str) -> str:
    """A session that one target of a service keeps. What begins it may come from a caller."""
    return f"{_STAMP}session:{{{plain(f'{service}:{sid}')}}}"


def api_key_key(key_id: str) -> str:
    """An API key."""
    return f"{_STAMP}key:{{{plain(key_id)}}}"


def key_set_key(url: str) -> str:
    """The keys that an issuer has published at one address. A part of that may come from a token."""
    return f"{_STAMP}keys:{{{plain(url)}}}"


def breaker_keys(name: str) -> tuple[str, str, str, str]:
    """The state of a breaker, the counts of its window, its probes and its history."""
    state = f"{_STAMP}breaker:{{{plain(name)}}}"
    return state, f"{state}:window", f"{state}:probes", f"{state}:history"
