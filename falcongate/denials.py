"""Who may not: refusals of callers for who they are or where they come from (401 and 403)."""

from __future__ import annotations

from falcongate.refusals import Refusal


class Unauthorized(Refusal):
    """No credentials, or wrong ones, where some are needed (RFC 9110, 15.5.2).

    `why` is what is wrong with those that were sent, "" if there were none (RFC 6750, 3).
    """

    status = 401
    problem = "unauthorized"
    title = "Credentials are needed"
    suggestion = "Send a valid token as Authorization: Bearer."
    detail = "The request has no valid credentials."

    def __init__(self, why: str = "") -> None:
        challenge = 'Bearer realm="falcongate"'
        if why:
            challenge += f', error="invalid_token", error_description="{why}"'
        super().__init__(
            f"The credentials are not valid: {why}." if why else "",
            headers=(("WWW-Authenticate", challenge),),
        )
        self.why = why


class Forbidden(Refusal):
    """Not for this caller, whatever credentials it has."""

    status = 403
    problem = "forbidden"
    title = "Not allowed"
    suggestion = "Come from an address in admin.change_from, or have FALCONGATE_ADMIN_TOKEN set."
    detail = "This is only for those who operate the gateway."


class SignInFailed(Refusal):
    """A sign-in of an operator came to nothing. `why` is for the log."""

    status = 403
    problem = "sign-in-failed"
    title = "Not signed in"
    suggestion = "Begin again at /admin/."
    detail = "The sign-in could not be finished."

    def __init__(self, why: str = "") -> None:
        super().__init__()
        self.why = why


class NotPermitted(Refusal):
    """The caller is known, and may not do this: its credential lacks a scope, a claim or a service.

    `scopes` are those that are needed (RFC 6750, 3.1).
    """

    status = 403
    problem = "not-permitted"
    title = "Not permitted"
    suggestion = "Use a credential that has what this route asks for."
    detail = "The credential does not permit this."

    def __init__(self, scopes: tuple[str, ...] = ()) -> None:
        challenge = 'Bearer realm="falcongate", error="insufficient_scope"'
        if scopes:
            challenge += f', scope="{" ".join(scopes)}"'
        super().__init__(headers=(("WWW-Authenticate", challenge),))


class AddressNotAllowed(Refusal):
    """Not from this address."""

    status = 403
    problem = "address-not-allowed"
    title = "Not from this address"
    suggestion = "Ask the operator to allow your address."
    detail = "Requests from your address are not allowed here."


class OriginNotAllowed(Refusal):
    """A page of this origin may not open a WebSocket here."""

    status = 403
    problem = "origin-not-allowed"
    title = "Not from this page"
    suggestion = "Have the page's origin added to cors.origins."
    detail = "A page of this origin may not open a WebSocket here."
