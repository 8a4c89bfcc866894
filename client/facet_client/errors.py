"""What a call may raise: the errors that a gateway answers, and those of reaching it."""

from __future__ import annotations

from typing import ClassVar


class ServiceError(Exception):
    """A call that came to nothing. The message says what is wrong and what to do."""

    reason: ClassVar[str]
    """Stable and machine readable: the end of `type` in the gateway's problem."""
    status: int | None = None
    """Of the HTTP answer; None where there was none."""
    request_id: str = ""
    """Finds the request in the gateway's log; empty where there was no answer."""
    retry_after_s: float | None = None
    """When to try again; None where the gateway does not say."""


class InvalidRequestError(ServiceError):
    """A parameter is missing, unknown or out of range."""

    reason = "INVALID_REQUEST"


class InvalidPictureError(InvalidRequestError):
    """The picture is empty, damaged, truncated or of an unsupported kind."""

    reason = "INVALID_PICTURE"


class UnsupportedFormatError(InvalidPictureError):
    """The file is in no accepted format."""

    reason = "UNSUPPORTED_FORMAT"


class TooLargeError(InvalidRequestError):
    """The picture has too many bytes or pixels."""

    reason = "TOO_LARGE"


class OverloadedError(ServiceError):
    """The gateway stayed too busy."""

    reason = "OVERLOADED"


class LimitReachedError(OverloadedError):
    """This key's limit of requests is reached."""

    reason = "LIMIT_REACHED"


class UnauthenticatedError(ServiceError):
    """The gateway wants an API key or a token."""

    reason = "UNAUTHENTICATED"


class InvalidCredentialError(UnauthenticatedError):
    """The API key or token is not valid."""

    reason = "INVALID_CREDENTIAL"


class ForbiddenError(ServiceError):
    """The key is valid, but not for this call."""

    reason = "FORBIDDEN"


class NotReadyError(ServiceError):
    """Nothing answers at the address, a tier is down, or its weights are absent."""

    reason = "NOT_READY"


class DeadlinePassedError(ServiceError):
    """The client's time-out, or the gateway's own, passed before there was an answer."""

    reason = "DEADLINE_PASSED"


class TooSlowError(DeadlinePassedError):
    """The request's body arrived too slowly."""

    reason = "TOO_SLOW"


class StillRecognisableError(ServiceError):
    """The check still finds someone who should be hidden, however strongly they were hidden."""

    reason = "STILL_RECOGNISABLE"


class UnexpectedAnswerError(ServiceError):
    """The gateway failed, or what answers is not a gateway of Facet."""

    reason = "UNEXPECTED_ANSWER"
