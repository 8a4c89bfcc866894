"""What a caller can do to a server with the call alone: damaged items, requests and answers that nobody ends."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

import grpc
import pytest
from google.rpc.code_pb2 import INVALID_ARGUMENT
from google.rpc.status_pb2 import Status

from facet.v1 import detector_pb2 as pb
from facet.v1 import detector_pb2_grpc, image_pb2
from services.chassis.process.metrics import TierMetrics
from services.chassis.process.settings import SharedSettings
from services.chassis.rpc.channels import server_options
from services.chassis.rpc.interceptors import CallInterceptor
from services.chassis.rpc.streams import answer_in_order
from tests.support.raw_http2 import MAX_CONCURRENT_STREAMS, RawHttp2

SERVICE = "facet.v1.DetectorService"
STREAM = f"/{SERVICE}/StreamDetectFaces"
UNARY = f"/{SERVICE}/DetectFaces"
DAMAGED = b"\xff"
SHORT = SharedSettings(max_connection_age_s=0.3, max_call_s=0.5)

Context = grpc.aio.ServicerContext[Any, Any]


class Echo(detector_pb2_grpc.DetectorServiceServicer):
    """Answers with what the picture's content says; `wait` is never answered."""

    def __init__(self) -> None:
        self.left = asyncio.Event()

    async def DetectFaces(self, request: pb.DetectFacesRequest, context: Context) -> pb.DetectFacesResponse:  # noqa: ARG002, N802
        return await self._echo(request)

    async def StreamDetectFaces(  # noqa: N802
        self,
        request_iterator: AsyncIterator[pb.StreamDetectFacesRequest],
        context: Context,  # noqa: ARG002
    ) -> AsyncIterator[pb.StreamDetectFacesResponse]:
        async for answer in answer_in_order(request_iterator, lambda item: self._echo(item.request), window=3):
            if isinstance(answer, Status):
                yield pb.StreamDetectFacesResponse(error=answer)
            else:
                yield pb.StreamDetectFacesResponse(response=answer)

    async def ListModels(self, request: pb.ListModelsRequest, context: Context) -> pb.ListModelsResponse:  # noqa: ARG002, N802
        return pb.ListModelsResponse()

    async def AlignFaces(self, request: pb.AlignFacesRequest, context: Context) -> pb.AlignFacesResponse:  # noqa: ARG002, N802
        return pb.AlignFacesResponse()

    async def _echo(self, request: pb.DetectFacesRequest) -> pb.DetectFacesResponse:
        try:
            if request.image.content == b"wait":
                await asyncio.Event().wait()
        except asyncio.CancelledError:
            self.left.set()
            raise
        return pb.DetectFacesResponse(model_id=request.image.content.decode())


@dataclass
class Served:
    """A server of it, and a client that sends bytes."""

    echo: Echo
    port: int
    channel: grpc.aio.Channel
    metrics: TierMetrics

    async def streamed(
        self, *items: bytes, timeout_s: float | None = 20
    ) -> AsyncIterator[pb.StreamDetectFacesResponse]:
        call: Any = self.channel.stream_stream(STREAM, response_deserializer=pb.StreamDetectFacesResponse.FromString)
        async for answer in call(iter(items), timeout=timeout_s):
            yield answer

    async def alive(self) -> None:
        """Another caller is answered."""
        call: Any = self.channel.unary_unary(UNARY, response_deserializer=pb.DetectFacesResponse.FromString)
        assert (await call(request("here"), timeout=20)).model_id == "here"


@contextlib.asynccontextmanager
async def served(settings: SharedSettings = SHORT, **bounds: float) -> AsyncIterator[Served]:
    echo, metrics = Echo(), TierMetrics("test")
    server = grpc.aio.server(interceptors=[CallInterceptor(metrics, **bounds)], options=server_options(settings))
    detector_pb2_grpc.add_DetectorServiceServicer_to_server(echo, server)
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
        yield Served(echo, port, channel, metrics)
    await server.stop(None)


def request(content: str) -> bytes:
    message = pb.DetectFacesRequest(image=image_pb2.Image(content=content.encode()))
    return message.SerializeToString()


def item(content: str) -> bytes:
    whole = pb.StreamDetectFacesRequest(request=pb.DetectFacesRequest.FromString(request(content)))
    return whole.SerializeToString()


async def test_item_that_cannot_be_parsed_is_answered_in_its_turn_and_the_stream_goes_on(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async with served() as server:
        answers = [each async for each in server.streamed(item("a"), DAMAGED, item("b"), DAMAGED, DAMAGED, item("c"))]
    results = [each.response.model_id if each.HasField("response") else each.error.code for each in answers]
    assert results == ["a", INVALID_ARGUMENT, "b", INVALID_ARGUMENT, INVALID_ARGUMENT, "c"]
    assert "cannot be parsed" in answers[1].error.message
    assert [line for line in caplog.records if line.levelno >= logging.ERROR] == []


@pytest.mark.parametrize("items", [[DAMAGED], [DAMAGED, item("a")], [item("a"), DAMAGED]])
async def test_stream_that_begins_or_ends_with_a_damaged_item_is_answered_whole(items: list[bytes]) -> None:
    async with served() as server:
        answers = [each async for each in server.streamed(*items)]
    assert [each.HasField("error") for each in answers] == [each is DAMAGED for each in items]


async def test_call_without_a_deadline_is_ended_by_the_server() -> None:
    async with served(most_s=0.3) as server:
        call: Any = server.channel.unary_unary(UNARY)
        with pytest.raises(grpc.aio.AioRpcError, match="FACET_MAX_CALL_S") as raised:
            await call(request("wait"))
        assert raised.value.code() is grpc.StatusCode.DEADLINE_EXCEEDED
        assert server.echo.left.is_set()
        await server.alive()


async def test_stream_without_a_deadline_is_ended_by_the_server_and_its_answers_are_there() -> None:
    async with served(most_s=0.5) as server:
        answers = server.streamed(item("a"), item("wait"), timeout_s=None)
        assert (await anext(answers)).response.model_id == "a"
        with pytest.raises(grpc.aio.AioRpcError) as raised:
            await anext(answers)
        assert raised.value.code() is grpc.StatusCode.DEADLINE_EXCEEDED
        await server.alive()


async def test_unary_call_whose_request_never_comes_is_ended_by_the_server() -> None:
    async with served(request_s=0.3) as server:
        with RawHttp2(server.port) as client:
            stream = client.call(UNARY)
            await asyncio.to_thread(client.wait_for_end, stream)
        await server.alive()


async def test_unary_call_without_a_message_is_told_what_to_send() -> None:
    async with served() as server:
        call: Any = server.channel.stream_unary(UNARY)
        with pytest.raises(grpc.aio.AioRpcError, match="send one request") as raised:
            await call(iter(()), timeout=20)
        assert raised.value.code() is grpc.StatusCode.INVALID_ARGUMENT


@pytest.mark.parametrize(("path", "message"), [(UNARY, request("a")), (STREAM, item("a")), (STREAM, item("wait"))])
async def test_connection_whose_answers_are_not_taken_ends(path: str, message: bytes) -> None:
    async with served(most_s=SHORT.max_call_s) as server:
        with RawHttp2(server.port, window=0) as client:
            client.call(path, message, ends=False)
            await server.alive()
            assert await asyncio.to_thread(client.closed.wait, 20)
        await server.alive()


async def test_calls_of_one_connection_are_bounded() -> None:
    async with served() as server:
        with RawHttp2(server.port) as client:
            settings = await asyncio.to_thread(client.wait_for_settings)
    assert settings[MAX_CONCURRENT_STREAMS] == 256
