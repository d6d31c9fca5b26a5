"""Header lines that tell callers their limits.

`RateLimit-Policy` and `RateLimit` are those of draft-ietf-httpapi-ratelimit-headers-10; the trio of
`X-RateLimit-` fields is what came before, for the tightest limit.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from falcongate.state.store import Charge, Verdict, Window


def render_policies(windows: Iterable[Window]) -> str:
    """The line of `RateLimit-Policy`, the same for all requests; "" where nothing can be refused."""
    told = [
        f"{name_of(window)};q={window.limit};w={math.ceil(window.length_s)}"
        for window in windows
        if not window.counts_only
    ]
    return f"RateLimit-Policy: {', '.join(told)}\r\n" if told else ""


def render_limits(
    policy_line: str,
    names: Sequence[str],
    charges: Sequence[Charge],
    verdicts: Sequence[Verdict | None],
    *,
    has_trio: bool,
) -> bytes:
    """All lines for one answer. A limit in shadow mode, and one without a verdict, is not told.

    `names` are those of the windows of the charges, as `name_of` makes them.
    """
    told = []
    tightest: tuple[float, Window, int, int] | None = None
    for name, charge, verdict in zip(names, charges, verdicts, strict=True):
        window = charge.window
        if verdict is None or window.counts_only:
            continue
        _, remaining, reset_s = verdict
        reset_s = math.ceil(min(reset_s, window.life_s))
        told.append(f"{name};r={remaining};t={reset_s}")
        if has_trio:
            left = remaining / max(window.limit, 1)
            if tightest is None or left < tightest[0]:
                tightest = (left, window, remaining, reset_s)
    if not told:
        return policy_line.encode("ascii")
    text = f"{policy_line}RateLimit: {', '.join(told)}\r\n"
    if tightest is not None:
        _, window, remaining, reset_s = tightest
        text += (
            f"X-RateLimit-Limit: {window.limit}\r\nX-RateLimit-Remaining: {remaining}\r\n"
            f"X-RateLimit-Reset: {reset_s}\r\n"
        )
    return text.encode("ascii")


def name_of(window: Window) -> str:
    """A window's name in the fields, in quotes: one policy may have several, each with its own."""
    return f'"{window.policy}-{window.length_s:g}s"'
