"""Client channels against real servers: what they retry, how large messages may be, whom they ask."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from typing import Any

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc

from facet.v1 import detector_pb2 as pb
from facet.v1 import detector_pb2_grpc, image_pb2
from services.chassis.process.settings import MIB, SharedSettings
from services.chassis.rpc.channels import open_channel, server_options
from services.chassis.rpc.health import HealthServicer

SERVICE = "facet.v1.DetectorService"
SETTINGS = SharedSettings(max_image_bytes=8 * MIB)

Context = grpc.aio.ServicerContext[Any, Any]


class Replica(detector_pb2_grpc.DetectorServiceServicer):
    """Refuses the first calls with the given codes, then answers each with its own name."""

    def __init__(self, name: str, *refusals: grpc.StatusCode) -> None:
        self.name = name
        self.port = 0
        self.health = HealthServicer()
        self.calls = 0
        self.takes_s = 0.0
        self._refusals = list(refusals)

    async def DetectFaces(self, request: pb.DetectFacesRequest, context: Context) -> pb.DetectFacesResponse:  # noqa: ARG002, N802
        self.calls += 1
        if self._refusals:
            await context.abort(self._refusals.pop(0), "not now")
        await asyncio.sleep(self.takes_s)
        return pb.DetectFacesResponse(model_id=self.name)

    def StreamDetectFaces(self, request_iterator: Any, context: Context) -> Any:  # noqa: ANN401, ARG002, N802
        return request_iterator

    async def ListModels(self, request: pb.ListModelsRequest, context: Context) -> pb.ListModelsResponse:  # noqa: ARG002, N802
        return pb.ListModelsResponse()

    async def AlignFaces(self, request: pb.AlignFacesRequest, context: Context) -> pb.AlignFacesResponse:  # noqa: ARG002, N802
        return pb.AlignFacesResponse()


Serve = Callable[..., Any]


@pytest.fixture
async def serve() -> AsyncIterator[Serve]:
    """Starts a replica on a free port."""
    async with contextlib.AsyncExitStack() as running:

        async def start(replica: Replica, settings: SharedSettings = SETTINGS) -> Replica:
            server = grpc.aio.server(options=server_options(settings))
            detector_pb2_grpc.add_DetectorServiceServicer_to_server(replica, server)
            health_pb2_grpc.add_HealthServicer_to_server(replica.health, server)
            await replica.health.set(SERVICE, health_pb2.HealthCheckResponse.SERVING)
            replica.port = server.add_insecure_port("127.0.0.1:0")
            await server.start()
            running.push_async_callback(server.stop, None)
            running.callback(replica.health.end_watches)
            return replica

        yield start


@contextlib.asynccontextmanager
async def client_of(*replicas: Replica) -> AsyncIterator[detector_pb2_grpc.DetectorServiceAsyncStub]:
    target = "ipv4:" + ",".join(f"127.0.0.1:{replica.port}" for replica in replicas)
    async with open_channel(target, SERVICE, SETTINGS) as channel:
        stub: Any = detector_pb2_grpc.DetectorServiceStub
        yield stub(channel)


def request(size: int = 0) -> pb.DetectFacesRequest:
    return pb.DetectFacesRequest(image=image_pb2.Image(content=b"x" * size))


@pytest.mark.parametrize("code", [grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.CANCELLED])
async def test_call_that_met_a_stopping_replica_is_sent_again(serve: Serve, code: grpc.StatusCode) -> None:
    replica = await serve(Replica("a", code, code))
    async with client_of(replica) as stub:
        assert (await stub.DetectFaces(request(), timeout=10)).model_id == "a"
    assert replica.calls == 3


async def test_call_of_megabytes_is_sent_again_too(serve: Serve) -> None:
    replica = await serve(Replica("a", grpc.StatusCode.UNAVAILABLE))
    async with client_of(replica) as stub:
        assert (await stub.DetectFaces(request(SETTINGS.max_image_bytes), timeout=10)).model_id == "a"
    assert replica.calls == 2


@pytest.mark.parametrize(
    "code", [grpc.StatusCode.INVALID_ARGUMENT, grpc.StatusCode.RESOURCE_EXHAUSTED, grpc.StatusCode.INTERNAL]
)
async def test_refusal_that_would_be_repeated_is_passed_on_at_once(serve: Serve, code: grpc.StatusCode) -> None:
    replica = await serve(Replica("a", code))
    async with client_of(replica) as stub:
        with pytest.raises(grpc.aio.AioRpcError) as raised:
            await stub.DetectFaces(request(), timeout=10)
    assert raised.value.code() is code
    assert replica.calls == 1


async def test_calls_spread_over_all_replicas(serve: Serve) -> None:
    a, b = await serve(Replica("a")), await serve(Replica("b"))
    async with client_of(a, b) as stub:
        async with asyncio.timeout(10):
            while not (a.calls and b.calls):  # until both are connected
                await stub.DetectFaces(request(), timeout=10)
        a.calls = b.calls = 0
        for _ in range(20):
            await stub.DetectFaces(request(), timeout=10)
    assert (a.calls, b.calls) == (10, 10)


async def test_replica_that_says_it_does_not_serve_gets_no_calls(serve: Serve) -> None:
    a, b = await serve(Replica("a")), await serve(Replica("b"))
    await a.health.set(SERVICE, health_pb2.HealthCheckResponse.NOT_SERVING)
    async with client_of(a, b) as stub:
        for _ in range(10):
            await stub.DetectFaces(request(), timeout=10)
    assert (a.calls, b.calls) == (0, 10)


async def test_call_is_refused_at_once_where_nobody_serves(serve: Serve) -> None:
    replica = await serve(Replica("a"))
    await replica.health.set(SERVICE, health_pb2.HealthCheckResponse.NOT_SERVING)
    async with client_of(replica) as stub:
        with pytest.raises(grpc.aio.AioRpcError) as raised:
            await stub.DetectFaces(request(), timeout=30)
    assert raised.value.code() is grpc.StatusCode.UNAVAILABLE
    assert replica.calls == 0


async def test_call_outlives_the_age_of_its_connection(serve: Serve) -> None:
    replica = await serve(Replica("a"), SETTINGS.model_copy(update={"max_connection_age_s": 0.3}))
    replica.takes_s = 1.0
    async with client_of(replica) as stub:
        assert (await stub.DetectFaces(request(), timeout=10)).model_id == "a"
    assert replica.calls == 1
