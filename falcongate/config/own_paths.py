"""The paths that the gateway answers itself, and whom each is for. No service can have one below them."""

from __future__ import annotations

import re
from enum import Enum
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping


class For(Enum):
    """Whom a path is for, and so on which port it answers where they have ports of their own."""

    ALL = "all"
    CALLERS = "callers"
    OPERATORS = "operators"


SIGN_IN_PATHS: Final = ("/admin/sign-in", "/admin/callback", "/admin/sign-out")
"""Those that are there where operators can sign in."""

OWN_PATHS: Final[Mapping[str, For]] = {
    "/health": For.ALL,
    "/health/live": For.ALL,
    "/health/ready": For.ALL,
    "/ws/{service}": For.CALLERS,
    "/ws/{service}/{rest:path}": For.CALLERS,
    "/metrics": For.OPERATORS,
    "/circuit-breaker/status": For.OPERATORS,
    "/circuit-breaker/status/{name}": For.OPERATORS,
    **{
        f"/circuit-breaker/{order}/{{name}}": For.OPERATORS
        for order in ("reset", "disable", "enable", "open", "close")
    },
    "/admin": For.OPERATORS,
    "/admin/page/{name}": For.OPERATORS,
    "/admin/overview": For.OPERATORS,
    "/admin/live": For.OPERATORS,
    "/admin/why": For.OPERATORS,
    "/admin/why/{request_id:path}": For.OPERATORS,
    **dict.fromkeys(SIGN_IN_PATHS, For.OPERATORS),
}
"""All of them, as Falcon writes templates."""


def _pattern(templates: Iterable[str]) -> re.Pattern[str]:
    """What matches such paths, with and without a slash at their end."""
    any_rest = (re.sub(r"\{\w+:path\}", ".*", template) for template in templates)
    alternatives = (re.sub(r"\{\w+\}", "[^/]+", template) for template in any_rest)
    return re.compile(f"(?:{'|'.join(alternatives)})/?", re.DOTALL)


def _roots(templates: Iterable[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys("/" + template.split("/")[1] for template in templates))


_ALWAYS: Final = _pattern(OWN_PATHS.keys() - SIGN_IN_PATHS)
_SIGN_IN: Final = _pattern(SIGN_IN_PATHS)
_ROOTS: Final = _roots(OWN_PATHS)
_ROOTS_OF_OPERATORS: Final = _roots(path for path, whom in OWN_PATHS.items() if whom is not For.CALLERS)


def is_own_path(path: str, *, can_sign_in: bool) -> bool:
    """Whether the gateway answers a path itself."""
    return _ALWAYS.fullmatch(path) is not None or (can_sign_in and _SIGN_IN.fullmatch(path) is not None)


def is_below_own(path: str) -> bool:
    """Whether a path begins like one of the gateway's own, so that no service can have it."""
    return _is_below(path, _ROOTS)


def is_of_operators(path: str) -> bool:
    """Whether a path begins like one that tells operators more than others, or is for them alone."""
    return _is_below(path, _ROOTS_OF_OPERATORS)


def _is_below(path: str, roots: Iterable[str]) -> bool:
    return any(path == root or path.startswith(f"{root}/") for root in roots)
