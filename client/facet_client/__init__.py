"""Facet from Python: `Facet` blocks, `AsyncFacet` awaits; both speak REST to a gateway.

They answer the frozen models of `facet_client.api`, and raise:

    ServiceError
      x InvalidRequestError
        + InvalidPictureError
          · UnsupportedFormatError
        + TooLargeError
      x OverloadedError
        + LimitReachedError
      x UnauthenticatedError
        + InvalidCredentialError
      x ForbiddenError
      x NotReadyError
      x DeadlinePassedError
        + TooSlowError
      x StillRecognisableError
      x UnexpectedAnswerError

Each has a `reason`, stable and machine readable; the HTTP `status`, the `request_id` that the gateway's log knows, and
`retry_after_s`, as far as there was an answer that says them.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from facet_client.errors import (
    DeadlinePassedError,
    ForbiddenError,
    InvalidCredentialError,
    InvalidPictureError,
    InvalidRequestError,
    LimitReachedError,
    NotReadyError,
    OverloadedError,
    ServiceError,
    StillRecognisableError,
    TooLargeError,
    TooSlowError,
    UnauthenticatedError,
    UnexpectedAnswerError,
    UnsupportedFormatError,
)
from facet_client.names import FormatName, RecallName, ShapeName, StyleName
from facet_client.options import DetectionOptions, RedactionOptions
from facet_client.version import __version__

if TYPE_CHECKING:
    from facet_client.asynchronous import AsyncFacet
    from facet_client.blocking import Facet

__all__ = [
    "AsyncFacet",
    "DeadlinePassedError",
    "DetectionOptions",
    "Facet",
    "ForbiddenError",
    "FormatName",
    "InvalidCredentialError",
    "InvalidPictureError",
    "InvalidRequestError",
    "LimitReachedError",
    "NotReadyError",
    "OverloadedError",
    "RecallName",
    "RedactionOptions",
    "ServiceError",
    "ShapeName",
    "StillRecognisableError",
    "StyleName",
    "TooLargeError",
    "TooSlowError",
    "UnauthenticatedError",
    "UnexpectedAnswerError",
    "UnsupportedFormatError",
    "__version__",
]

_LOADED_WHEN_USED = {"AsyncFacet": "facet_client.asynchronous", "Facet": "facet_client.blocking"}


def __getattr__(name: str) -> Any:  # noqa: ANN401  (any attribute)
    """Loads httpx and pydantic with the first client: the words and errors alone need neither."""
    if name not in _LOADED_WHEN_USED:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_LOADED_WHEN_USED[name]), name)
