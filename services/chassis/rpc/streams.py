"""Streaming calls: items worked on side by side, answered in order, a bad one answered with its error."""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import NoReturn, TypeVar

from google.rpc.status_pb2 import Status

from services.chassis.errors import FacetError
from services.chassis.rpc.status import to_status

Request = TypeVar("Request")
Response = TypeVar("Response")


class Unreadable:
    """Stands in a stream for an item that cannot be parsed, so that it is answered in its turn, like any bad one."""

    def __init__(self, error: FacetError) -> None:
        self._error = error

    @property
    def request(self) -> NoReturn:
        """What every item of a stream has.

        Raises:
            FacetError: Why this one has none.
        """
        raise self._error


async def answer_in_order(
    requests: AsyncIterator[Request], handle: Callable[[Request], Awaitable[Response]], *, window: int
) -> AsyncIterator[Response | Status]:
    """Yields for each request, in order, what `handle` returns or the status of what it raised.

    At most `window` items are in work at once, so that a fast sender is held back by flow control and never fills the
    queue that all callers share.
    """
    pending: deque[asyncio.Task[Response | Status]] = deque()
    arrivals = aiter(requests)
    arrival: asyncio.Task[Request] | None = asyncio.create_task(_next(arrivals))
    try:
        while arrival is not None or pending:
            waiting: set[asyncio.Task[Request] | asyncio.Task[Response | Status]] = set()
            if pending:
                waiting.add(pending[0])
            if arrival is not None and len(pending) < window:
                waiting.add(arrival)
            await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
            if arrival is not None and arrival.done() and len(pending) < window:
                try:
                    pending.append(asyncio.create_task(_settle(handle, arrival.result())))
                    arrival = asyncio.create_task(_next(arrivals))
                except StopAsyncIteration:
                    arrival = None
            while pending and pending[0].done():
                yield pending.popleft().result()
    finally:
        for task in (*pending, *([arrival] if arrival is not None else [])):
            task.cancel()


async def _next(arrivals: AsyncIterator[Request]) -> Request:
    return await anext(arrivals)


async def _settle(handle: Callable[[Request], Awaitable[Response]], request: Request) -> Response | Status:
    try:
        return await handle(request)
    except FacetError as error:
        return to_status(error)
    except Exception as error:  # one bad item never ends the stream
        logging.getLogger("facet").exception("unexpected error")
        return to_status(error)
