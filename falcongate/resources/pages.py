"""What a request tells of the page in a browser that has sent it, if one has.

A browser sends requests for any page that is open in it, from its user's address and with its user's
cookies. So rights that hang on either are only for requests that no strange page can have sent.
"""

from __future__ import annotations

import re
from typing import Any, Final

_OWN_SITE: Final = ("", "same-origin", "none")
# Names that nobody can have in the public DNS (RFC 2606; RFC 6761; RFC 6762, appendix G), and addresses.
_UNOWNED: Final = re.compile(
    r"(?:[a-z0-9_-]+|(?:[a-z0-9_-]+\.)+(?:localhost|test|local|internal|intranet|private|corp|home|lan)"
    r"|(?:[a-z0-9_-]+\.)*home\.arpa|[0-9]{1,3}(?:\.[0-9]{1,3}){3}|\[[0-9a-f:.]+\])(?::[0-9]{1,5})?",
    re.IGNORECASE,
)


def is_of_no_page(environ: dict[str, Any]) -> bool:
    """Whether no page of another origin can have sent it, as far as browsers tell."""
    return "HTTP_ORIGIN" not in environ and environ.get("HTTP_SEC_FETCH_SITE", "") in _OWN_SITE


def may_be_of_browser(environ: dict[str, Any]) -> bool:
    """Whether a browser may have sent it: they all say which languages, and no page can prevent that."""
    return "HTTP_ACCEPT_LANGUAGE" in environ


def is_name_of_ours(host: str, own_origin: str) -> bool:
    """Whether no stranger can own the name that the gateway was called by.

    SECURITY: whoever owns a name can have it lead to any address (DNS rebinding); for a browser,
    a page under it is then one of ours.
    """
    return _UNOWNED.fullmatch(host) is not None or bool(
        host and host.lower() == own_origin.partition("://")[2]
    )


def may_read_by_cookie(environ: dict[str, Any], own_origin: str) -> bool:
    """Whether one of our own pages, or nobody's, asks; or the user has just come here."""
    if environ.get("HTTP_ORIGIN", own_origin) != own_origin:
        return False
    site = environ.get("HTTP_SEC_FETCH_SITE", "")
    return site in _OWN_SITE or environ.get("HTTP_SEC_FETCH_MODE") == "navigate"


def is_of_own_page(environ: dict[str, Any], own_origin: str) -> bool:
    """Whether the browser says that one of our own pages has sent it."""
    origin, site = environ.get("HTTP_ORIGIN"), environ.get("HTTP_SEC_FETCH_SITE", "")
    if origin is None:
        return bool(site == "same-origin")
    return bool(origin == own_origin and site in _OWN_SITE)


def may_change_by_cookie(environ: dict[str, Any], own_origin: str) -> bool:
    """Whether one of our own pages asks, in a way that no form of another could, whatever is said of it."""
    kind = environ.get("CONTENT_TYPE", "").partition(";")[0].strip().lower()
    is_no_form = "HTTP_X_REQUESTED_WITH" in environ or kind == "application/json"
    return is_no_form and is_of_own_page(environ, own_origin)
