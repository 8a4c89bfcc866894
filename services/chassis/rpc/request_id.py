"""The id that follows one request through every tier, its logs and its answer."""

from __future__ import annotations

import re
import uuid
from contextvars import ContextVar

HEADER = "x-request-id"

current_request_id: ContextVar[str] = ContextVar("current_request_id", default="")

_ACCEPTED = re.compile(r"[A-Za-z0-9._:/+=@-]{1,128}")


def accept(proposed: str | None) -> str:
    """The caller's id where it is harmless to log and send on, a new one otherwise."""
    if proposed is not None and _ACCEPTED.fullmatch(proposed):
        return proposed
    return uuid.uuid4().hex
