"""By what a caller knows that its call is in the hands of a replica, and of which."""

from __future__ import annotations

import uuid
from functools import cache

KEY = "facet-replica"
"""Metadata of the beginning of an answer. It comes when the request has arrived, before anything is done for it.

gRPC sends a call again by itself only until then: one whose replica ends thereafter was worked on, and may have been
what ended it.
"""


@cache
def replica_id() -> str:
    """Of this process, another after every start."""
    return uuid.uuid4().hex


def told_by(metadata: object) -> str:
    """The replica that such metadata names; empty where it names none."""
    pairs = metadata if isinstance(metadata, (list, tuple)) or hasattr(metadata, "__iter__") else ()
    return next((str(value) for key, value in pairs if key == KEY), "")
