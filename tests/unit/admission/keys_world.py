"""API keys over a shared state in the process, for tests of whose they are."""

from __future__ import annotations

import pytest

from falcongate.admission.api_keys import ApiKeys
from falcongate.denials import Unauthorized
from falcongate.exchange import Caller
from falcongate.state.api_keys import ApiKey, NewKey
from falcongate.state.memory_store import MemoryState
from falcongate.wire.api_key import make_key, parse_key
from tests.unit.making import make_exchange


class World:
    """Keys over a state that counts what it is asked; `passed_s` is how late requests come."""

    def __init__(self) -> None:
        self.now_ms = 1_699_999_980_000
        self.state = MemoryState(lambda: self.now_ms)
        self.asked = 0
        find = self.state.find_key

        def find_key(key_id: str) -> ApiKey | None:
            self.asked += 1
            return find(key_id)

        self.state.find_key = find_key  # type: ignore[method-assign]
        self.gap = lambda: None
        subscribe = self.state.subscribe_keys

        def subscribe_keys(on_change: object, on_gap: object) -> None:
            self.gap = on_gap  # type: ignore[assignment]
            subscribe(on_change, on_gap)  # type: ignore[arg-type]

        self.state.subscribe_keys = subscribe_keys  # type: ignore[method-assign,assignment]
        self.keys = ApiKeys(self.state)
        self.passed_s = 0.0
        self.has_waited_in_vain = False

    def create(self, **rest: object) -> str:
        """A new key, as its caller has it."""
        return self.with_secret(lambda key_id, digest: self.state.create_key(
            NewKey(key_id, digest, "billing", "jane", **rest)  # type: ignore[arg-type]
        ))  # fmt: skip

    def rotate(self, text: str, *, grace_s: float) -> str:
        """Another secret for it."""
        return self.with_secret(
            lambda key_id, digest: self.state.rotate_key(key_id, digest, grace_s=grace_s), id_of(text)
        )

    def with_secret(self, change: object, key_id: str = "") -> str:
        text = make_key(key_id)
        parsed = parse_key(text)
        assert parsed is not None
        assert change(parsed.id, parsed.digest.hex()) is not None  # type: ignore[operator]
        return text

    def find(self, text: str) -> Caller | None:
        """Whose it is; raises what the request is refused with."""
        exchange = make_exchange(f"X-API-Key: {text}")
        exchange.started += self.passed_s
        try:
            return self.keys.find(exchange)
        finally:
            self.has_waited_in_vain = exchange.waited_in_vain

    def why_not(self, text: str) -> str:
        """What is wrong with it."""
        with pytest.raises(Unauthorized) as refused:
            self.find(text)
        return refused.value.why


def id_of(text: str) -> str:
    """The part of a key that may be shown."""
    return text.split("_")[1]
