"""What all tables of settings have in common."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from pydantic import (
    BaseModel,
    ConfigDict,
    PrivateAttr,
    SerializationInfo,
    SerializerFunctionWrapHandler,
    model_serializer,
)

if TYPE_CHECKING:
    from collections.abc import Iterable

_MASK: Final = "**********"


class Settings(BaseModel):
    """A table of settings: frozen, no unknown keys, silent about what came from a file of secrets."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    _hidden: frozenset[str] = PrivateAttr(default=frozenset())

    def hide(self, setting: str) -> None:
        """Show stars for this setting from now on: its value came from a file of secrets."""
        self._hidden |= {setting}

    def __repr_args__(self) -> Iterable[tuple[str | None, Any]]:
        for name, value in super().__repr_args__():
            yield name, _MASK if name in self._hidden else value

    @model_serializer(mode="wrap")
    def _masked(self, serialize: SerializerFunctionWrapHandler, info: SerializationInfo) -> dict[str, Any]:
        said: dict[str, Any] = serialize(self)
        if info.mode == "json":  # what is made to be shown; pydantic's SecretStr makes the same difference
            said.update(dict.fromkeys(self._hidden & said.keys(), _MASK))
        return said
