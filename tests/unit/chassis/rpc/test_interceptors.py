"""Around every call of a real server: request id, metrics, access log, and errors as statuses."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from typing import Any

import grpc
import pytest
from google.rpc.error_details_pb2 import ErrorInfo
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_status import rpc_status

from facet.v1 import detector_pb2 as pb
from facet.v1 import detector_pb2_grpc, embedder_pb2, embedder_pb2_grpc, image_pb2
from services.chassis.errors import InvalidPicture, NotReady
from services.chassis.process.metrics import TierMetrics
from services.chassis.rpc.health import HealthServicer
from services.chassis.rpc.interceptors import CallInterceptor
from services.chassis.rpc.request_id import HEADER, current_request_id

Context = grpc.aio.ServicerContext[Any, Any]


class Scripted(detector_pb2_grpc.DetectorServiceServicer):
    """Does in each call what the picture's content names."""

    def __init__(self) -> None:
        self.waiting = asyncio.Event()

    async def DetectFaces(self, request: pb.DetectFacesRequest, context: Context) -> pb.DetectFacesResponse:  # noqa: ARG002, N802
        return await self._do(request)

    async def StreamDetectFaces(  # noqa: N802
        self,
        request_iterator: AsyncIterator[pb.StreamDetectFacesRequest],
        context: Context,  # noqa: ARG002
    ) -> AsyncIterator[pb.StreamDetectFacesResponse]:
        async for item in request_iterator:
            yield pb.StreamDetectFacesResponse(response=await self._do(item.request))

    async def ListModels(self, request: pb.ListModelsRequest, context: Context) -> pb.ListModelsResponse:  # noqa: ARG002, N802
        return pb.ListModelsResponse()

    async def AlignFaces(self, request: pb.AlignFacesRequest, context: Context) -> pb.AlignFacesResponse:  # noqa: ARG002, N802
        return pb.AlignFacesResponse()

    async def _do(self, request: pb.DetectFacesRequest) -> pb.DetectFacesResponse:
        match request.image.content:
            case b"refuse":
                raise InvalidPicture("the picture is empty")
            case b"not ready":
                raise NotReady("run `facet models pull x`")
            case b"fail":
                raise ValueError("a secret")
            case b"wait":
                self.waiting.set()
                await asyncio.Event().wait()
        return pb.DetectFacesResponse(model_id=current_request_id.get())


class AccessLog(logging.Handler):
    """Hands out the lines of the access log as they arrive."""

    def __init__(self) -> None:
        super().__init__()
        self._lines: asyncio.Queue[dict[str, Any]] = asyncio.Queue()

    def emit(self, record: logging.LogRecord) -> None:
        self._lines.put_nowait(vars(record)["fields"] | {"request_id": current_request_id.get()})

    async def next_line(self) -> dict[str, Any]:
        async with asyncio.timeout(10):
            return await self._lines.get()


@dataclass
class Served:
    """A server, its log, and a plain client of it."""

    scripted: Scripted
    metrics: TierMetrics
    channel: grpc.aio.Channel
    log: AccessLog

    def __post_init__(self) -> None:
        self.stub: detector_pb2_grpc.DetectorServiceAsyncStub = _stub(
            detector_pb2_grpc.DetectorServiceStub, self.channel
        )

    def calls(self, method: str, code: str) -> float | None:
        return self.metrics.registry.get_sample_value("facet_test_calls_total", {"method": method, "code": code})

    @property
    def in_progress(self) -> float | None:
        return self.metrics.registry.get_sample_value("facet_test_calls_in_progress")


def _stub(kind: Any, channel: grpc.aio.Channel) -> Any:  # noqa: ANN401  (the generated types know no aio channel)
    return kind(channel)


@pytest.fixture
async def log() -> AsyncIterator[AccessLog]:
    log = AccessLog()
    logger = logging.getLogger("facet.access")
    logger.addHandler(log)
    logger.setLevel(logging.INFO)
    yield log
    logger.setLevel(logging.NOTSET)
    logger.removeHandler(log)


@pytest.fixture
async def served(log: AccessLog) -> AsyncIterator[Served]:
    metrics = TierMetrics("test")
    server = grpc.aio.server(interceptors=[CallInterceptor(metrics)])
    scripted = Scripted()
    detector_pb2_grpc.add_DetectorServiceServicer_to_server(scripted, server)
    health_pb2_grpc.add_HealthServicer_to_server(HealthServicer(), server)
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
        yield Served(scripted=scripted, metrics=metrics, channel=channel, log=log)
    await server.stop(None)


def request(content: bytes) -> pb.DetectFacesRequest:
    return pb.DetectFacesRequest(image=image_pb2.Image(content=content))


async def streamed(*contents: bytes) -> AsyncIterator[pb.StreamDetectFacesRequest]:
    for content in contents:
        yield pb.StreamDetectFacesRequest(request=request(content))


async def test_request_id_of_the_caller_is_taken(served: Served) -> None:
    answer = await served.stub.DetectFaces(request(b""), metadata=((HEADER, "abc-1"),))
    assert answer.model_id == "abc-1"


@pytest.mark.parametrize("metadata", [(), ((HEADER, "two words"),), ((HEADER, "x" * 129),)])
async def test_request_id_is_made_where_none_is_usable(served: Served, metadata: tuple[tuple[str, str], ...]) -> None:
    answer = await served.stub.DetectFaces(request(b""), metadata=metadata)
    assert len(answer.model_id) == 32


async def test_request_id_is_known_throughout_a_stream(served: Served) -> None:
    call = served.stub.StreamDetectFaces(streamed(b"", b""), metadata=((HEADER, "abc-2"),))
    assert [answer.response.model_id async for answer in call] == ["abc-2", "abc-2"]


async def test_answered_call_is_counted_timed_and_logged_by_sizes(served: Served) -> None:
    sent = request(b"secret content")
    answer = await served.stub.DetectFaces(sent, metadata=((HEADER, "abc-3"),))
    line = await served.log.next_line()
    assert served.calls("DetectFaces", "OK") == 1
    assert served.in_progress == 0
    assert line.pop("duration_s") >= 0
    assert line == {
        "method": "DetectFaces",
        "code": "OK",
        "request_id": "abc-3",
        "items": 1,
        "request_bytes": sent.ByteSize(),
        "response_bytes": answer.ByteSize(),
    }


async def test_stream_is_one_call_with_its_items_counted(served: Served) -> None:
    assert len([answer async for answer in served.stub.StreamDetectFaces(streamed(b"", b"", b""))]) == 3
    line = await served.log.next_line()
    assert (line["method"], line["items"]) == ("StreamDetectFaces", 3)
    assert served.calls("StreamDetectFaces", "OK") == 1


@pytest.mark.parametrize(
    ("content", "code", "reason"),
    [
        (b"refuse", grpc.StatusCode.INVALID_ARGUMENT, "INVALID_PICTURE"),
        (b"not ready", grpc.StatusCode.UNAVAILABLE, "NOT_READY"),
    ],
)
async def test_domain_error_becomes_its_status_with_a_reason(
    served: Served, content: bytes, code: grpc.StatusCode, reason: str
) -> None:
    with pytest.raises(grpc.aio.AioRpcError) as raised:
        await served.stub.DetectFaces(request(content))
    assert raised.value.code() is code
    status = rpc_status.from_call(raised.value)
    info = ErrorInfo()
    assert status.details[0].Unpack(info)
    assert info.reason == reason
    await served.log.next_line()
    assert served.calls("DetectFaces", code.name) == 1


async def test_domain_error_that_ends_a_stream_becomes_its_status(served: Served) -> None:
    call = served.stub.StreamDetectFaces(streamed(b"", b"refuse"))
    answers = aiter(call)
    await anext(answers)
    with pytest.raises(grpc.aio.AioRpcError, match="the picture is empty"):
        await anext(answers)
    assert (await served.log.next_line())["code"] == "INVALID_ARGUMENT"


async def test_fault_of_ours_is_internal_without_detail_and_logged_with_its_frames(
    served: Served, caplog: pytest.LogCaptureFixture
) -> None:
    with pytest.raises(grpc.aio.AioRpcError) as raised:
        await served.stub.DetectFaces(request(b"fail"))
    assert raised.value.code() is grpc.StatusCode.INTERNAL
    assert raised.value.details() == "internal error"
    assert (await served.log.next_line())["code"] == "INTERNAL"
    [fault] = [line for line in caplog.records if line.name == "facet"]
    assert fault.exc_info is not None
    assert fault.exc_info[0] is ValueError


@pytest.mark.parametrize("method", ["DetectFaces", "StreamDetectFaces"])
async def test_call_whose_client_left_counts_as_cancelled(served: Served, method: str) -> None:
    metadata = ((HEADER, "abc-4"),)
    calls: dict[str, Callable[[], Any]] = {
        "DetectFaces": lambda: served.stub.DetectFaces(request(b"wait"), metadata=metadata),
        "StreamDetectFaces": lambda: served.stub.StreamDetectFaces(streamed(b"wait"), metadata=metadata),
    }
    call = calls[method]()
    await served.scripted.waiting.wait()
    assert served.in_progress == 1
    call.cancel()
    line = await served.log.next_line()
    assert (line["method"], line["code"], line["request_id"]) == (method, "CANCELLED", "abc-4")
    assert served.calls(method, "CANCELLED") == 1
    assert served.in_progress == 0


async def test_stream_that_its_client_left_between_two_answers_counts_as_cancelled(served: Served) -> None:
    async def endless() -> AsyncIterator[pb.StreamDetectFacesRequest]:
        while True:
            yield pb.StreamDetectFacesRequest(request=request(b"x" * 100_000))

    call = served.stub.StreamDetectFaces(endless(), metadata=((HEADER, "abc-5"),))
    await anext(aiter(call))
    call.cancel()
    line = await served.log.next_line()
    assert (line["code"], line["request_id"]) == ("CANCELLED", "abc-5")
    assert served.in_progress == 0


async def test_call_whose_deadline_passed_counts_as_cancelled(served: Served) -> None:
    with pytest.raises(grpc.aio.AioRpcError) as raised:
        await served.stub.DetectFaces(request(b"wait"), timeout=0.1)
    assert raised.value.code() is grpc.StatusCode.DEADLINE_EXCEEDED
    assert (await served.log.next_line())["code"] == "CANCELLED"


async def test_health_checks_are_neither_counted_nor_logged(served: Served) -> None:
    await health_pb2_grpc.HealthStub(served.channel).Check(health_pb2.HealthCheckRequest())
    await served.stub.DetectFaces(request(b""))
    assert (await served.log.next_line())["method"] == "DetectFaces"
    assert served.calls("Check", "OK") is None


@pytest.mark.parametrize(
    "method", ["facet.v1.DetectorService/DetectFaces", "grpc.health.v1.Health/Check", "grpc.health.v1.Health/List"]
)
async def test_message_that_cannot_be_parsed_is_refused_and_no_fault_of_ours(
    served: Served, method: str, caplog: pytest.LogCaptureFixture
) -> None:
    call: grpc.aio.UnaryUnaryMultiCallable[bytes, bytes] = served.channel.unary_unary(f"/{method}")
    with pytest.raises(grpc.aio.AioRpcError) as raised:
        await call(b"\xff", timeout=10)
    assert raised.value.code() is grpc.StatusCode.INVALID_ARGUMENT
    assert "cannot be parsed" in (raised.value.details() or "")
    assert [line for line in caplog.records if line.levelno >= logging.ERROR] == []


@pytest.mark.parametrize("call", ["facet.v1.DetectorService/StreamDetectFaces", "grpc.health.v1.Health/Watch"])
async def test_stream_with_a_message_that_cannot_be_parsed_is_refused(
    served: Served, call: str, caplog: pytest.LogCaptureFixture
) -> None:
    open_stream: grpc.aio.StreamStreamMultiCallable[bytes, bytes] = served.channel.stream_stream(f"/{call}")
    stream = open_stream(iter([b"\xff"]), timeout=10)
    with pytest.raises(grpc.aio.AioRpcError) as raised:
        await anext(aiter(stream))
    assert raised.value.code() is grpc.StatusCode.INVALID_ARGUMENT
    assert [line for line in caplog.records if line.levelno >= logging.ERROR] == []


async def test_health_of_all_services_is_listed(served: Served) -> None:
    statuses = (await health_pb2_grpc.HealthStub(served.channel).List(health_pb2.HealthListRequest())).statuses
    assert {name: each.status for name, each in statuses.items()} == {"": health_pb2.HealthCheckResponse.SERVING}


async def test_method_that_nobody_serves_is_unimplemented(served: Served) -> None:
    stranger: embedder_pb2_grpc.EmbedderServiceAsyncStub = _stub(embedder_pb2_grpc.EmbedderServiceStub, served.channel)
    with pytest.raises(grpc.aio.AioRpcError) as raised:
        await stranger.GetModel(embedder_pb2.GetModelRequest())
    assert raised.value.code() is grpc.StatusCode.UNIMPLEMENTED
