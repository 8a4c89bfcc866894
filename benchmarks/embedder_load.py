"""Load on a running embedder: callers of EmbedFaces who send anew when answered, or who never wait."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass, field

import grpc
import numpy as np

from facet.v1 import embedder_pb2, embedder_pb2_grpc, geometry_pb2
from services.embedder.embeddings import FACE_BYTES

WARM_UP_S = 2.0
CALL_TIMEOUT_S = 60.0


async def faces_a_second(target: str, *, callers: int, faces_a_call: int, duration_s: float) -> float:
    """Faces embedded a second, after a warm-up.

    Args:
        target: where the embedder listens.
        callers: calls in flight at any moment.
        faces_a_call: faces of one call.
        duration_s: how long to measure.
    """
    dice = np.random.default_rng(0)
    request = embedder_pb2.EmbedFacesRequest(
        faces=[geometry_pb2.AlignedFace(pixels=dice.bytes(FACE_BYTES)) for _ in range(faces_a_call)]
    )
    started_s = time.monotonic() + WARM_UP_S
    ends_s = started_s + duration_s
    answered = 0

    async def caller(stub: embedder_pb2_grpc.EmbedderServiceAsyncStub) -> None:
        nonlocal answered
        while time.monotonic() < ends_s:
            await stub.EmbedFaces(request, timeout=CALL_TIMEOUT_S, wait_for_ready=True)
            if started_s <= time.monotonic() < ends_s:
                answered += faces_a_call

    async with grpc.aio.insecure_channel(target) as channel:
        stub = embedder_pb2_grpc.EmbedderServiceStub(channel)
        await asyncio.gather(*(caller(stub) for _ in range(callers)))
    return answered / duration_s


@dataclass(slots=True)
class Overload:
    """What came of calls that were sent at a fixed rate, whatever the answers."""

    answered_after_s: list[float] = field(default_factory=list)
    refused_after_s: list[float] = field(default_factory=list)
    late: int = 0
    """Calls that were accepted and then ran past their deadline."""
    answers_a_second: float = 0.0
    """After the warm-up, in which the queue fills."""


async def overload(target: str, *, calls_a_second: float, deadline_s: float, duration_s: float) -> Overload:
    """Sends single faces at a fixed rate.

    Args:
        target: where the embedder listens.
        calls_a_second: how many are sent.
        deadline_s: of each.
        duration_s: how long to send after a warm-up; the rate counts the answers of this time alone.
    """
    dice = np.random.default_rng(0)
    request = embedder_pb2.EmbedFacesRequest(faces=[geometry_pb2.AlignedFace(pixels=dice.bytes(FACE_BYTES))])
    came = Overload()
    in_time = 0
    first_s = time.monotonic()
    started_s = first_s + WARM_UP_S
    ends_s = started_s + duration_s

    async def call(stub: embedder_pb2_grpc.EmbedderServiceAsyncStub) -> None:
        nonlocal in_time
        sent_s = time.monotonic()
        try:
            await stub.EmbedFaces(request, timeout=deadline_s)
        except grpc.aio.AioRpcError as error:
            match error.code():
                case grpc.StatusCode.RESOURCE_EXHAUSTED:
                    came.refused_after_s.append(time.monotonic() - sent_s)
                case grpc.StatusCode.DEADLINE_EXCEEDED:
                    came.late += 1
                case _:
                    raise
        else:
            came.answered_after_s.append(time.monotonic() - sent_s)
            in_time += started_s <= time.monotonic() < ends_s

    async with grpc.aio.insecure_channel(target) as channel, asyncio.TaskGroup() as calls:
        stub: embedder_pb2_grpc.EmbedderServiceAsyncStub = embedder_pb2_grpc.EmbedderServiceStub(channel)
        sent = 0
        while (now_s := time.monotonic()) < ends_s:
            while sent < calls_a_second * (now_s - first_s):
                calls.create_task(call(stub))
                sent += 1
            await asyncio.sleep(0.005)
    came.answers_a_second = in_time / duration_s
    return came
