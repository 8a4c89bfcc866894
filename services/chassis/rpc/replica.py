"""By what a caller knows that its call is in the hands of a replica, and of which."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from functools import cache

from services.chassis.errors import NotReady

KEY = "facet-replica"
"""Metadata of the beginning of an answer. It comes when the request has arrived, before anything is done for it.

gRPC sends a call again by itself only until then: one whose replica ends thereafter was worked on, and may have been
what ended it.
"""
ASKS = "facet-asks-for-replica"
"""Metadata of a call that is to be told so, as its caller decides itself whether it is sent again."""
_PREVIOUS_ATTEMPTS = "grpc-previous-rpc-attempts"
_MOST_ATTEMPTS = 2


def check_attempts(metadata: Mapping[str, str | bytes]) -> None:
    """Of a call that gRPC sends again by itself: whatever ended two replicas is not tried on a third.

    Raises:
        NotReady: Two have had it.
    """
    previous = metadata.get(_PREVIOUS_ATTEMPTS, "")
    if isinstance(previous, str) and previous.isdecimal() and int(previous) >= _MOST_ATTEMPTS:
        raise NotReady("two replicas have failed on this call; send it again unless it may have crashed them")


@cache
def replica_id() -> str:
    """Of this process, another after every start."""
    return uuid.uuid4().hex


def told_by(metadata: object) -> str:
    """The replica that such metadata names; empty where it names none."""
    pairs = metadata if isinstance(metadata, (list, tuple)) or hasattr(metadata, "__iter__") else ()
    return next((str(value) for key, value in pairs if key == KEY), "")
