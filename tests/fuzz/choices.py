"""Choices made by bytes, so that whoever makes up bytes makes up inputs.

Hypothesis draws one value in place of a hundred and still finds the smallest failing one; atheris can
give the same bytes. When they are used up, every choice is the first: zeros make the plainest input.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

from hypothesis import strategies as st

T = TypeVar("T")

BLOBS = st.binary(min_size=24, max_size=160)


class Choices:
    """Reads choices from a blob, front to back."""

    def __init__(self, blob: bytes) -> None:
        self._blob = blob
        self._at = 0

    def _byte(self) -> int:
        at, self._at = self._at, self._at + 1
        return self._blob[at] if at < len(self._blob) else 0

    def below(self, limit: int) -> int:
        """A number from 0 on, less than `limit`, which is at most 65 536."""
        number = self._byte()
        if limit > 256:
            number = number << 8 | self._byte()
        return number % limit

    def of(self, options: Sequence[T]) -> T:
        """One of these; the first is the plainest."""
        return options[self.below(len(options))]

    def raw(self, size: int) -> bytes:
        """So many bytes."""
        return bytes(self._byte() for _ in range(size))

    def sizes(self, limit: int) -> list[int]:
        """Sizes of pieces: none, each of one byte, or some."""
        kind = self.below(4)
        if kind < 2:
            return [1] * limit if kind else []
        return [self.below(60) + 1 for _ in range(self.below(12))]


def pieces_of(raw: bytes, sizes: list[int]) -> list[bytes]:
    """`raw` in pieces of these sizes; what is left comes at last, in one."""
    pieces, at = [], 0
    for size in sizes:
        if at >= len(raw):
            break
        pieces.append(raw[at : at + size])
        at += size
    return [*pieces, raw[at:]] if at < len(raw) else pieces
