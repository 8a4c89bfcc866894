"""Whether a call that failed is sent again: one that was refused, some times; one whose replica ended, once at most."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import Any

import grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc

from gateway.tiers.deadline import Deadline
from services.chassis.errors import DeadlinePassed
from services.chassis.rpc import replica

AWAITED_S = 30.0
"""How long a call whose replica ended waits for two that serve: a container is started again within seconds."""
LEAST_SERVING = 2
_REFUSALS = 3
_FIRST_PAUSE_S = 0.05
_LOOK_S = 0.25
_LOOK_TIMEOUT_S = 1.0
_QUESTIONS = 6
_GONE = (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.CANCELLED)


class Replicas:
    """Those that serve behind one channel, counted by asking for their health; several askers share an answer."""

    def __init__(self, service: str) -> None:
        self._service = service
        self._turn = asyncio.Lock()
        self._serving = 0
        self._looked_s = float("-inf")

    async def serving(self, channel: grpc.aio.Channel) -> int:
        """How many serve, at most LEAST_SERVING."""
        async with self._turn:
            if time.monotonic() - self._looked_s > _LOOK_S:
                self._serving = await self._counted(health_pb2_grpc.HealthStub(channel))
                self._looked_s = time.monotonic()
            return self._serving

    async def _counted(self, stub: Any) -> int:  # noqa: ANN401  (grpc_health has no types)
        seen: set[str] = set()
        for _ in range(_QUESTIONS):  # each goes to another replica, as far as calls of others do not come between
            question = stub.Check(health_pb2.HealthCheckRequest(service=self._service), timeout=_LOOK_TIMEOUT_S)
            try:
                answer = await question
            except grpc.aio.AioRpcError:
                continue
            if answer.status == health_pb2.HealthCheckResponse.SERVING:
                seen.add(replica.told_by(await question.trailing_metadata()))
            if len(seen) >= LEAST_SERVING:
                break
        return len(seen)


class Attempts:
    """Of one call."""

    def __init__(self, serving: Callable[[], Awaitable[int]], deadline: Deadline) -> None:
        """`serving` tells how many replicas serve."""
        self._serving = serving
        self._deadline = deadline
        self._refusals = 0
        self._deaths = 0

    async def again(self, error: grpc.aio.AioRpcError, *, refused: bool) -> bool:
        """Whether the call is to be sent again; returns when it is time.

        A call that ends every replica it reaches must not reach all of them: it is sent again only while two serve, so
        that one is left, and only once.

        Args:
            error: How the last attempt failed.
            refused: Whether a replica answered so by itself: it is alive and has done nothing.
        """
        if refused:
            self._refusals += 1
            if self._refusals > _REFUSALS:
                return False
            return await self._after(_FIRST_PAUSE_S * 2 ** (self._refusals - 1))
        if error.code() not in _GONE or not replica.told_by(error.initial_metadata()):
            return False  # what never reached a replica, gRPC has sent again itself
        self._deaths += 1
        return self._deaths == 1 and await self._one_would_be_left()

    async def _one_would_be_left(self) -> bool:
        until_s = time.monotonic() + AWAITED_S
        while time.monotonic() < until_s:
            serving = await self._serving()
            if serving >= LEAST_SERVING:
                return True
            if not serving or not await self._after(_LOOK_S):
                return False
        return False

    async def _after(self, pause_s: float) -> bool:
        """Waits; returns whether the deadline allows one more attempt."""
        try:
            if self._deadline.remaining_s() < pause_s:
                return False
        except DeadlinePassed:
            return False
        await asyncio.sleep(pause_s)
        return True
