"""The health service (`grpc.health.v1`), whose watchers do not hold up the end of the server."""

from __future__ import annotations

import asyncio
from typing import Any

import grpc
from grpc_health.v1 import health_pb2
from grpc_health.v1.health import aio as health_aio


class HealthServicer(health_aio.HealthServicer):  # type: ignore[misc]  # grpc_health has no types
    """grpc's own, but `end_watches` ends what would otherwise be calls in flight for the whole grace period.

    Every client that checks health holds a Watch open for as long as it is connected.
    """

    def __init__(self) -> None:
        super().__init__()
        self._watches: set[asyncio.Task[Any]] = set()
        self._ended = False

    async def List(  # noqa: N802
        self,
        request: health_pb2.HealthListRequest,  # noqa: ARG002
        context: grpc.aio.ServicerContext[Any, Any],  # noqa: ARG002
    ) -> health_pb2.HealthListResponse:
        """Tells the status of all: grpc's own raises, for everyone to call as often as they like."""
        statuses = {
            service: health_pb2.HealthCheckResponse(status=status) for service, status in self._server_status.items()
        }
        return health_pb2.HealthListResponse(statuses=statuses)

    async def Watch(  # noqa: N802
        self, request: health_pb2.HealthCheckRequest, context: grpc.aio.ServicerContext[Any, Any]
    ) -> None:
        """Sends the status now and whenever it changes, until the client leaves or `end_watches` is called."""
        if self._ended:
            return
        watch = asyncio.current_task()
        assert watch is not None  # noqa: S101  (for the type checker)
        self._watches.add(watch)
        try:
            await super().Watch(request, context)
        except asyncio.CancelledError:
            if not self._ended:  # the client left
                raise
        finally:
            self._watches.discard(watch)

    def end_watches(self) -> None:
        """Ends every Watch, those to come as well."""
        self._ended = True
        for watch in self._watches:
            watch.cancel()
