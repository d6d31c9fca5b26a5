"""A short name for a configuration, the same on all hosts whose settings are the same."""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from falcongate.config.settings import GatewaySettings


def version_of(settings: GatewaySettings) -> str:
    """Eight hex digits that change with any setting that is not secret.

    SECURITY: secrets count as stars. A digest of them, however short, could be tried against guesses.
    """
    text = json.dumps(settings.model_dump(mode="json"), sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()[:8]
