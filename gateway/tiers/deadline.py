"""One request's deadline, shared by every call that it makes."""

from __future__ import annotations

import time

from services.chassis.errors import DeadlinePassed


class Deadline:
    """Counts from its making."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._until = time.monotonic() + seconds

    def remaining_s(self) -> float:
        """What is left, seconds, > 0.

        Raises:
            DeadlinePassed: Nothing is left.
        """
        remaining_s = self._until - time.monotonic()
        if remaining_s <= 0:
            raise DeadlinePassed(f"the request took longer than {self._seconds:g} s; try a smaller picture")
        return remaining_s
