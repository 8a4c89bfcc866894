"""What happens often is told once a second, with its number: a flood fills no disk and takes no time for its log."""

from __future__ import annotations

import asyncio
import logging
from contextvars import Context
from typing import ClassVar


class Tally:
    """Counts one kind of event; used on one running event loop."""

    telling_s: ClassVar[float] = 1.0

    def __init__(self, log: logging.Logger, event: str, field: str) -> None:
        """Lines are warnings of `event` whose `field` is how often it happened since the line before."""
        self._log = log
        self._event = event
        self._field = field
        self._untold = 0

    def note(self) -> None:
        """It has happened once more."""
        if not self._untold:
            of_no_request = Context()
            asyncio.get_running_loop().call_later(self.telling_s, self._tell, context=of_no_request)
        self._untold += 1

    def _tell(self) -> None:
        self._log.warning(self._event, extra={"fields": {self._field: self._untold}})
        self._untold = 0
