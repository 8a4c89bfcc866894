"""A bounded load: callers that call again as soon as they are answered."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from types import TracebackType
from typing import Self


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """One call that has ended."""

    started_s: float
    """By `time.monotonic`."""
    error: Exception | None


class Load:
    """Calls until it is left; a caller goes home after its first error."""

    def __init__(self, call: Callable[[], Awaitable[object]], *, callers: int) -> None:
        self.calls: list[Call] = []
        self._call = call
        self._callers = callers
        self._leaving = False
        self._ended = asyncio.Condition()

    async def __aenter__(self) -> Self:
        """Starts the callers."""
        self._tasks = [asyncio.create_task(self._keep_calling()) for _ in range(self._callers)]
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, frames: TracebackType | None
    ) -> None:
        """Waits for the calls in flight."""
        self._leaving = True
        await asyncio.gather(*self._tasks)

    async def ended(self, count: int) -> None:
        """Waits until so many more calls have ended."""
        until = len(self.calls) + count
        async with asyncio.timeout(60), self._ended:
            await self._ended.wait_for(lambda: len(self.calls) >= until)

    def errors(self) -> list[Exception]:
        """What went wrong, whenever it was."""
        return [call.error for call in self.calls if call.error is not None]

    def errors_begun_before(self, moment_s: float) -> list[Exception]:
        """What went wrong in calls that had been started by then."""
        return [call.error for call in self.calls if call.error is not None and call.started_s < moment_s]

    async def _keep_calling(self) -> None:
        error: Exception | None = None
        while not self._leaving and error is None:
            started_s = time.monotonic()
            try:
                await self._call()
            except Exception as raised:  # noqa: BLE001  (the test judges it)
                error = raised
            async with self._ended:
                self.calls.append(Call(started_s=started_s, error=error))
                self._ended.notify_all()
