"""Event loops that can follow each other in one process, with gRPC on each."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextvars import Context


class SuccessiveEventLoop(asyncio.SelectorEventLoop):
    """A loop after which others run.

    gRPC has one completion queue in a process (grpc._cython, `PollerCompletionQueue`): what it finishes for a test that
    has ended is handed out in the loop of the next, to a loop that is closed, and asyncio logs that as an error of the
    next test. Nobody waits for it; this loop drops it.
    """

    def call_soon_threadsafe(
        self, callback: Callable[..., object], *args: object, context: Context | None = None
    ) -> asyncio.Handle:
        """As asyncio's, but closed and asked from another loop it does nothing."""
        if self.is_closed() and asyncio._get_running_loop() is not None:  # noqa: SLF001  (for loops, says asyncio)
            return asyncio.Handle(callback, args, self, context)
        return super().call_soon_threadsafe(callback, *args, context=context)
