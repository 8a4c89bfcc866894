"""The health service: statuses, and watchers that are bounded in number and time and hold up nobody."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc

from services.chassis.process.settings import SharedSettings
from services.chassis.rpc.channels import open_channel
from services.chassis.rpc.health import MOST_WATCHES_OF_A_CONNECTION, HealthServicer, add_check_alone
from tests.support.raw_http2 import RawHttp2

SERVICE = "facet.v1.DetectorService"
WATCH = "/grpc.health.v1.Health/Watch"
SERVING = health_pb2.HealthCheckResponse.SERVING
NOT_SERVING = health_pb2.HealthCheckResponse.NOT_SERVING
REQUEST = health_pb2.HealthCheckRequest(service=SERVICE)


@dataclass
class Served:
    """A server of health."""

    health: HealthServicer
    port: int

    @contextlib.asynccontextmanager
    async def stub(self) -> AsyncIterator[health_pb2_grpc.HealthStub]:
        """On a connection of its own."""
        options = [("grpc.use_local_subchannel_pool", 1)]
        async with grpc.aio.insecure_channel(f"127.0.0.1:{self.port}", options=options) as channel:
            yield health_pb2_grpc.HealthStub(channel)


@contextlib.asynccontextmanager
async def served(health: HealthServicer, *, check_alone: bool = False) -> AsyncIterator[Served]:
    server = grpc.aio.server()
    if check_alone:
        add_check_alone(health, server)
    else:
        health_pb2_grpc.add_HealthServicer_to_server(health, server)
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    await health.set(SERVICE, SERVING)
    yield Served(health, port)
    health.end_watches()
    await server.stop(None)


async def next_status(watch: Any) -> int:  # noqa: ANN401  (a call of a stub without types)
    async with asyncio.timeout(20):
        status: int = (await anext(watch)).status
        return status


async def is_ended(watch: Any) -> bool:  # noqa: ANN401
    async with asyncio.timeout(20):
        return [answer async for answer in watch] == []


async def test_change_reaches_all_others_past_a_watcher_that_takes_nothing() -> None:
    async with served(HealthServicer()) as server, server.stub() as stub:
        with RawHttp2(server.port) as frozen:
            frozen.call(WATCH, REQUEST.SerializeToString())
            watch = aiter(stub.Watch(REQUEST))
            assert await next_status(watch) == SERVING
            async with asyncio.timeout(20):
                await server.health.set(SERVICE, NOT_SERVING)
                assert await next_status(watch) == NOT_SERVING
                await server.health.set(SERVICE, SERVING)
                assert await next_status(watch) == SERVING
                await server.health.enter_graceful_shutdown()
                assert await next_status(watch) == NOT_SERVING
                assert (await stub.Check(REQUEST)).status == NOT_SERVING


async def test_status_is_not_changed_any_more_once_the_server_stops() -> None:
    async with served(HealthServicer()) as server, server.stub() as stub:
        await server.health.enter_graceful_shutdown()
        await server.health.set(SERVICE, SERVING)
        assert (await stub.Check(REQUEST)).status == NOT_SERVING


async def test_watch_ends_after_its_time() -> None:
    async with served(HealthServicer(longest_watch_s=0.3)) as server, server.stub() as stub:
        watch = aiter(stub.Watch(REQUEST))
        assert await next_status(watch) == SERVING
        assert await is_ended(watch)


async def test_client_whose_watch_ends_watches_anew_and_calls_nobody_that_does_not_serve() -> None:
    async with (
        served(HealthServicer(longest_watch_s=0.2)) as server,
        open_channel(f"127.0.0.1:{server.port}", SERVICE, SharedSettings()) as channel,
    ):
        call: Any = channel.unary_unary(f"/{SERVICE}/ListModels")

        async def answered() -> str:
            with pytest.raises(grpc.aio.AioRpcError) as raised:
                await call(b"", timeout=20)
            return raised.value.code().name

        for _ in range(8):  # over several watches: the replica, which has no such method, is asked
            assert await answered() == "UNIMPLEMENTED"
            await asyncio.sleep(0.1)
        await server.health.set(SERVICE, NOT_SERVING)
        async with asyncio.timeout(20):
            while await answered() == "UNIMPLEMENTED":
                pass
        assert await answered() == "UNAVAILABLE"


async def test_watches_of_a_connection_are_bounded_at_its_own_cost() -> None:
    async with served(HealthServicer()) as server, server.stub() as stub, server.stub() as other:
        others = aiter(other.Watch(REQUEST))
        assert await next_status(others) == SERVING
        watches = []
        for _ in range(MOST_WATCHES_OF_A_CONNECTION + 1):
            watches.append(aiter(stub.Watch(REQUEST)))
            assert await next_status(watches[-1]) == SERVING
        assert await is_ended(watches[0])
        await server.health.set(SERVICE, NOT_SERVING)
        for watch in (*watches[1:], others):
            assert await next_status(watch) == NOT_SERVING


async def test_watches_of_all_are_bounded_and_the_newest_is_answered() -> None:
    most = 3
    async with contextlib.AsyncExitStack() as stack:
        server = await stack.enter_async_context(served(HealthServicer(most_watches=most)))
        stubs = [await stack.enter_async_context(server.stub()) for _ in range(most + 1)]
        watches = []
        for stub in stubs:
            watches.append(aiter(stub.Watch(REQUEST)))
            assert await next_status(watches[-1]) == SERVING
        assert await is_ended(watches[0])
        await server.health.set(SERVICE, NOT_SERVING)
        assert [await next_status(watch) for watch in watches[1:]] == [NOT_SERVING] * most


async def test_check_alone_is_answered_where_callers_are_not_known() -> None:
    async with served(HealthServicer(), check_alone=True) as server, server.stub() as stub:
        assert (await stub.Check(REQUEST)).status == SERVING
        with pytest.raises(grpc.aio.AioRpcError) as listed:
            await stub.List(health_pb2.HealthListRequest())
        with pytest.raises(grpc.aio.AioRpcError) as watched:
            await next_status(aiter(stub.Watch(REQUEST)))
    assert {listed.value.code(), watched.value.code()} == {grpc.StatusCode.UNIMPLEMENTED}
