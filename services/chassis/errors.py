"""What can go wrong, in the words of the domain; `status.py` turns these into gRPC statuses, the gateway into problems.

A message is for the caller: it says what was wrong and what to do, and never quotes the picture.
"""

from __future__ import annotations

from typing import ClassVar


class FacetError(Exception):
    """An error whose message may be shown to the caller."""

    reason: ClassVar[str]  # stable and machine readable: the same over gRPC (google.rpc.ErrorInfo) and REST (`type`)

    retry_after_s: float | None = None
    """When to try again, where that is known."""


class InvalidRequest(FacetError):  # noqa: N818  (a domain word, like every error below)
    """A parameter is missing, unknown or out of range."""

    reason = "INVALID_REQUEST"


class InvalidPicture(InvalidRequest):
    """The content is empty, damaged, truncated or a kind of picture that cannot be processed."""

    reason = "INVALID_PICTURE"


class UnsupportedFormat(InvalidPicture):
    """The content is not of an accepted file format."""

    reason = "UNSUPPORTED_FORMAT"


class TooLarge(InvalidRequest):
    """Too many bytes or pixels."""

    reason = "TOO_LARGE"


class Overloaded(FacetError):  # noqa: N818
    """A queue or limit is full; the same call may succeed a little later."""

    reason = "OVERLOADED"


class LimitReached(Overloaded):
    """A caller asks more often, or for more at once, than it may."""

    reason = "LIMIT_REACHED"


class Unauthenticated(FacetError):  # noqa: N818
    """The caller did not say who it is."""

    reason = "UNAUTHENTICATED"


class InvalidCredential(Unauthenticated):
    """What the caller showed is no valid key or token."""

    reason = "INVALID_CREDENTIAL"


class Forbidden(FacetError):  # noqa: N818
    """The caller is known, and may not do this."""

    reason = "FORBIDDEN"


class NotReady(FacetError):  # noqa: N818
    """Weights are absent or loading, or a neighbour is down."""

    reason = "NOT_READY"


class DeadlinePassed(FacetError):  # noqa: N818
    """The caller's deadline passed before the answer was there."""

    reason = "DEADLINE_PASSED"


class TooSlow(DeadlinePassed):
    """A request's body did not come at the pace it has to."""

    reason = "TOO_SLOW"


class StillRecognisable(FacetError):  # noqa: N818
    """What was to be hidden can still be found or recognised, however strongly it was hidden."""

    reason = "STILL_RECOGNISABLE"
