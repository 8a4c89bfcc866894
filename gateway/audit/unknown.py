"""Refused calls of callers nobody knows: a few are entered one by one, the rest counted, so that none fill the disk."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Awaitable, Callable
from typing import ClassVar

from gateway.audit.chain import Anchor
from gateway.audit.file import Fields
from services.chassis.errors import NotReady

Enter = Callable[[Fields], Awaitable[Anchor]]


class UnknownCallers:
    """Enters what it counted in one line a second, as long as there is anything."""

    burst: ClassVar[int] = 10
    """Lines of their own after a pause."""
    refill_s: ClassVar[float] = 10.0
    """For one more."""
    count_s: ClassVar[float] = 1.0
    most_addresses: ClassVar[int] = 8
    """Named in one line."""

    def __init__(self, enter: Enter, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._enter = enter
        self._clock = clock
        self._left = float(self.burst)
        self._filled_at_s = clock()
        self._outcomes: Counter[str] = Counter()
        self._operations: Counter[str] = Counter()
        self._addresses: dict[str, None] = {}
        self._first_at_s = 0.0
        self._counting: asyncio.Task[None] | None = None

    async def enter(self, fields: Fields) -> Anchor | None:
        """Enters a refused call, or counts it; None = it was counted.

        Raises:
            NotReady: It was to have a line of its own, which could not be written.
        """
        if self._may_have_its_own():
            return await self._enter(fields)
        self._count(fields)
        return None

    async def close(self) -> None:
        """Enters what is counted so far."""
        if self._counting is not None:
            self._counting.cancel()
            await asyncio.wait({self._counting})
            await self._enter_count()

    def _may_have_its_own(self) -> bool:
        now_s = self._clock()
        self._left = min(float(self.burst), self._left + (now_s - self._filled_at_s) / self.refill_s)
        self._filled_at_s = now_s
        if self._left < 1:
            return False
        self._left -= 1
        return True

    def _count(self, fields: Fields) -> None:
        if not self._outcomes:
            self._first_at_s = self._clock()
        self._outcomes[str(fields["outcome"])] += 1
        self._operations[str(fields["operation"])] += 1
        if len(self._addresses) < self.most_addresses:
            self._addresses[str(fields["address"])] = None
        if self._counting is None:
            self._counting = asyncio.create_task(self._enter_counts())

    async def _enter_counts(self) -> None:
        while self._outcomes:
            await asyncio.sleep(self.count_s)
            await self._enter_count()
        self._counting = None

    async def _enter_count(self) -> None:
        """What cannot be written now is in the next line."""
        outcomes, operations, addresses = self._outcomes, self._operations, self._addresses
        if not outcomes:
            return
        self._outcomes, self._operations, self._addresses = Counter(), Counter(), {}
        try:
            await self._enter(
                {
                    "event": "refused",
                    "caller": None,
                    "count": outcomes.total(),
                    "outcomes": dict(outcomes),
                    "operations": dict(operations),
                    "addresses": list(addresses),
                    "duration_s": round(self._clock() - self._first_at_s, 4),
                }
            )
        except NotReady:
            self._outcomes += outcomes
            self._operations += operations
            self._addresses = dict(list((addresses | self._addresses).items())[: self.most_addresses])
