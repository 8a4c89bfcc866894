"""Load on a running embedder: concurrent callers of EmbedFaces, each sending anew when answered."""

from __future__ import annotations

import asyncio
import time

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
