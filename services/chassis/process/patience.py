"""How long whoever asked for a piece of work still waits for it; long work looks from time to time, and ends."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

from services.chassis.errors import DeadlinePassed


class Patience:
    """Of one caller."""

    def __init__(self, within_s: float | None = None) -> None:
        """The caller waits so long from now on; None = as long as it takes."""
        self._until = math.inf if within_s is None else time.monotonic() + within_s
        self._left = False

    def leave(self) -> None:
        """The caller waits no more. May be called from any thread."""
        self._left = True

    def look(self) -> None:
        """Ends work that nobody waits for.

        Raises:
            DeadlinePassed: The caller left, or its deadline passed.
        """
        if self._left:
            raise DeadlinePassed("the caller left before the answer was there")
        if time.monotonic() > self._until:
            raise DeadlinePassed("the deadline passed during the work; try a smaller picture, or allow more time")


_current: ContextVar[Patience | None] = ContextVar("patience", default=None)


@contextmanager
def awaited_by(patience: Patience) -> Iterator[None]:
    """Whoever works within the context works for this caller."""
    token = _current.set(patience)
    try:
        yield
    finally:
        _current.reset(token)


def still_awaited() -> None:
    """Goes on where the caller of the work in hand still waits; a look costs less than a microsecond.

    Raises:
        DeadlinePassed: The caller left, or its deadline passed.
    """
    patience = _current.get()
    if patience is not None:
        patience.look()
