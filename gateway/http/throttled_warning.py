"""Warnings of frequent events, logged once a second with a count: a flood neither fills the disk nor costs time."""

from __future__ import annotations

import asyncio
import logging
from contextvars import Context
from typing import ClassVar


class ThrottledWarning:
    """Counts one kind of event; used on one running event loop."""

    interval_s: ClassVar[float] = 1.0

    def __init__(self, log: logging.Logger, event: str, field: str) -> None:
        """Lines are warnings of `event` whose `field` is how often it happened since the line before."""
        self._log = log
        self._event = event
        self._field = field
        self._count = 0

    def note(self) -> None:
        """It has happened once more."""
        if not self._count:
            of_no_request = Context()
            asyncio.get_running_loop().call_later(self.interval_s, self._log_count, context=of_no_request)
        self._count += 1

    def _log_count(self) -> None:
        self._log.warning(self._event, extra={"fields": {self._field: self._count}})
        self._count = 0
