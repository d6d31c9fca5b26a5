"""What several tests of admission look at."""

from __future__ import annotations

import pytest

from falcongate.admission.issuers import Issuer


@pytest.fixture
def proofs(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Every token that was proven, each time."""
    proven: list[str] = []
    prove = Issuer.prove

    def counted(self: Issuer, text: str, *rest: object) -> object:
        proven.append(text)
        return prove(self, text, *rest)  # type: ignore[arg-type]

    monkeypatch.setattr(Issuer, "prove", counted)
    return proven
