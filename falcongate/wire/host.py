"""What a host and port may look like where a caller names them."""

from __future__ import annotations

import re
from typing import Final

_HOST: Final = re.compile(r"(?:[A-Za-z0-9._-]{1,255}|\[[0-9A-Fa-f:.]{2,45}\])(?::([0-9]{1,5}))?")
_MAX_PORT: Final = 65_535


def is_host(text: str) -> bool:
    """Whether it is a name or address with or without a port, and nothing else (RFC 9110, 7.2).

    SECURITY: a user name, a path or a quote in it would mean one thing here and another to a service.
    """
    match = _HOST.fullmatch(text)
    return match is not None and int(match[1] or 0) <= _MAX_PORT
