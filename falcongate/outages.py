"""What the gateway itself cannot do at the moment, and so must refuse.

Services that fail are not among these: what becomes of their requests is in `errors.py` and `refusals.py`.
"""

from __future__ import annotations

from falcongate.refusals import Refusal


class Outage(Refusal):
    """Something that the gateway stands on is away. Each of these says what."""

    status = 503
    suggestion = "Try again after the time in Retry-After."
    proxy_status = "proxy_internal_error"


class StateUnavailable(Outage):
    """The shared state is away, and this needs it."""

    problem = "state-unavailable"
    title = "The shared state cannot be reached"
    suggestion = "Look at the status first: the order may have arrived all the same. Then try again."
    detail = "The state that all workers share did not answer in time."


class ShuttingDown(Outage):
    """The worker ends, so what would last must begin elsewhere."""

    problem = "shutting-down"
    title = "The gateway is restarting"
    suggestion = "Connect anew after the time in Retry-After."
    detail = "This part of the gateway takes no more WebSockets."


class LimitsUnknown(Outage):
    """The shared state is away, and a limit of this route lets nothing pass without it."""

    problem = "limits-unknown"
    title = "Requests cannot be counted at the moment"
    detail = "A limit of this route cannot be checked at the moment."


class CredentialsUnknown(Outage):
    """What tells whether a credential is valid cannot be asked, and it is not known from before."""

    problem = "credentials-unknown"
    title = "Credentials cannot be checked at the moment"
    detail = "The credentials of this request cannot be checked at the moment."


class ProviderUnavailable(Outage):
    """The provider that operators sign in at cannot be asked. `why` is for the log."""

    problem = "provider-unavailable"
    title = "Nobody can sign in at the moment"
    suggestion = "Try again after the time in Retry-After, or use a token."
    detail = "The provider that operators sign in at did not answer as it should."

    def __init__(self, why: str = "", *, retry_after_s: int = 1) -> None:
        super().__init__(retry_after_s=retry_after_s)
        self.why = why


class MetricsUnavailable(Outage):
    """The files in which the workers keep their numbers cannot be read; the log has the reason."""

    problem = "metrics-unavailable"
    title = "The metrics cannot be read"
    suggestion = "Try again after the time in Retry-After. As an operator, look into the gateway's log."
    detail = "The files that the workers count in cannot be read at the moment."


class KeysUnavailable(Outage):
    """The keys of the issuer cannot be had, so that nobody can say whether a token is good."""

    problem = "keys-unavailable"
    title = "Tokens cannot be checked at the moment"
    detail = "The keys of the token's issuer cannot be had at the moment."

    def __init__(self) -> None:
        super().__init__(retry_after_s=5)
