"""What a command may fail with: its own mistakes (the chassis' errors), and what a gateway answers (the client's)."""

from __future__ import annotations

from facet_client.errors import (
    ForbiddenError,
    InvalidRequestError,
    NotReadyError,
    ServiceError,
    StillRecognisableError,
    UnauthenticatedError,
)
from services.chassis.errors import FacetError, InvalidRequest, NotReady

Failure = FacetError | ServiceError
"""Its message is for whoever gave the command."""
FAILURES = (FacetError, ServiceError)
REFUSALS = (InvalidRequest, InvalidRequestError, StillRecognisableError)
"""Of one picture: trying again does not help."""
OF_THE_SERVICE = (NotReady, NotReadyError, UnauthenticatedError, ForbiddenError)
"""Of the service, not of one picture: the next would fare no better."""
