"""A short name for a configuration: hosts that have the same are configured alike."""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING, Final

from pydantic import SecretStr

if TYPE_CHECKING:
    from falcongate.config.settings import GatewaySettings

_LENGTH: Final = 8


def version_of(settings: GatewaySettings) -> str:
    """Eight digits that are others as soon as any setting is, secrets included.

    SECURITY: of a secret only its digest goes in, and of that with everything else 32 bits are shown.
    """
    text = json.dumps(settings.model_dump(), sort_keys=True, default=_plain)
    return hashlib.sha256(text.encode()).hexdigest()[:_LENGTH]


def _plain(value: object) -> object:
    if isinstance(value, SecretStr):
        return hashlib.sha256(value.get_secret_value().encode()).hexdigest()
    if isinstance(value, set | frozenset):
        return sorted(value, key=str)
    return str(value)
