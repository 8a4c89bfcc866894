"""The health service (`grpc.health.v1`): no watcher holds up another caller, the tier, or the end of the server."""

from __future__ import annotations

import asyncio
from collections import Counter
from typing import Any

import grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc

MOST_WATCHES = 1000
"""At once; each client that checks health holds one for every connection."""
MOST_WATCHES_OF_A_CONNECTION = 16
LONGEST_WATCH_S = 300.0

_SERVICE = "grpc.health.v1.Health"
_Status = health_pb2.HealthCheckResponse
_Context = grpc.aio.ServicerContext[Any, Any]


class _Watch:
    """One that is open."""

    def __init__(self, connection: str) -> None:
        """`connection` is address and port of the client, as gRPC writes them."""
        self.connection = connection
        self.host = connection.rpartition(":")[0]
        self.news = asyncio.Event()
        """A status has changed, or this is to end."""
        self.ended = False

    def end(self) -> None:
        """Ends it as soon as it has sent what it is sending."""
        self.ended = True
        self.news.set()


class HealthServicer(health_pb2_grpc.HealthServicer):  # type: ignore[misc]  # grpc_health has no types
    """Check, List and Watch, with the methods of grpc's own servicer.

    Grpc's own writes to a watcher while it holds the lock that every change of a status needs: one client that never
    takes what it is sent keeps a tier from becoming ready and from stopping. Here a watcher waits for nobody and nobody
    for it. One that has been open for long or is one too many is ended with OK, after which clients watch anew at once.
    (UNIMPLEMENTED would have them take the tier for healthy ever after, and a refusal for ill.)
    """

    def __init__(self, *, most_watches: int = MOST_WATCHES, longest_watch_s: float = LONGEST_WATCH_S) -> None:
        """Knows that the process is alive, and of no service."""
        self._most_watches = most_watches
        self._longest_watch_s = longest_watch_s
        self._statuses: dict[str, int] = {"": _Status.SERVING}
        self._watches: dict[_Watch, None] = {}  # the oldest first
        self._stopping = False
        self._ended = False

    async def Check(  # noqa: N802
        self, request: health_pb2.HealthCheckRequest, context: _Context
    ) -> health_pb2.HealthCheckResponse:
        """Tells the status of a service; NOT_FOUND for one that is not known."""
        status = self._statuses.get(request.service)
        if status is None:
            await context.abort(grpc.StatusCode.NOT_FOUND, "no such service; an empty name asks for the process itself")
        return _Status(status=status)

    async def List(  # noqa: N802
        self,
        request: health_pb2.HealthListRequest,  # noqa: ARG002
        context: _Context,  # noqa: ARG002
    ) -> health_pb2.HealthListResponse:
        """Tells the status of all."""
        statuses = {service: _Status(status=status) for service, status in self._statuses.items()}
        return health_pb2.HealthListResponse(statuses=statuses)

    async def Watch(self, request: health_pb2.HealthCheckRequest, context: _Context) -> None:  # noqa: N802
        """Sends the status now and whenever it changes, until the client leaves or the watch is ended."""
        if self._ended:
            return
        watch = _Watch(connection=context.peer())
        self._make_room_for(watch)
        self._watches[watch] = None
        time_over = asyncio.get_running_loop().call_later(self._longest_watch_s, watch.end)
        try:
            await self._tell(request.service, context, watch)
        finally:
            time_over.cancel()
            self._watches.pop(watch, None)

    async def set(self, service: str, status: int) -> None:
        """Sets the status of a service, unless the server is stopping."""
        if not self._stopping:
            self._set({service: status})

    async def enter_graceful_shutdown(self) -> None:
        """Has every service not serve any more, for good."""
        self._stopping = True
        self._set(dict.fromkeys(self._statuses, _Status.NOT_SERVING))

    def end_watches(self) -> None:
        """Ends every Watch, those to come as well."""
        self._ended = True
        for watch in self._watches:
            watch.end()

    def _set(self, statuses: dict[str, int]) -> None:
        self._statuses |= statuses
        for watch in self._watches:
            watch.news.set()

    async def _tell(self, service: str, context: _Context, watch: _Watch) -> None:
        """Sends the latest status whenever the last one was taken, until the watch is to end."""
        told = None
        while not watch.ended:
            watch.news.clear()
            status = self._statuses.get(service, _Status.SERVICE_UNKNOWN)
            if status == told:
                await watch.news.wait()
            else:
                # A client that never takes it stays in here until its connection ends. It could not be told of an end.
                await context.write(_Status(status=status))
                told = status

    def _make_room_for(self, watch: _Watch) -> None:
        """Ends the connection's oldest, or the oldest of the client that has the most, where there are too many."""
        own = [each for each in self._watches if each.connection == watch.connection]
        if len(own) >= MOST_WATCHES_OF_A_CONNECTION:
            self._end(own[0])
        elif len(self._watches) >= self._most_watches:
            [(host, _)] = Counter(each.host for each in self._watches).most_common(1)
            self._end(next(each for each in self._watches if each.host == host))

    def _end(self, watch: _Watch) -> None:
        del self._watches[watch]
        watch.end()


def add_check_alone(servicer: HealthServicer, server: grpc.aio.Server) -> None:
    """Adds the service to a server whose callers are not known: Check answers, all else is UNIMPLEMENTED."""
    check = grpc.unary_unary_rpc_method_handler(
        servicer.Check,
        request_deserializer=health_pb2.HealthCheckRequest.FromString,
        response_serializer=_Status.SerializeToString,
    )
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(_SERVICE, {"Check": check}),))
