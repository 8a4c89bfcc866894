"""facet.v1.EmbedderService: translates between messages and the domain, and nothing else."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

import grpc
import numpy as np
from google.rpc.status_pb2 import Status

from facet.v1 import embedder_pb2 as pb
from facet.v1 import embedder_pb2_grpc
from services.chassis.errors import InvalidRequest, NotReady
from services.chassis.models.manifest import Curve
from services.chassis.rpc.streams import answer_in_order
from services.embedder.batcher import Answer, Batcher
from services.embedder.embeddings import FACE_BYTES, FACE_SHAPE, FaceBatch
from services.embedder.model import Model

Context = grpc.aio.ServicerContext[Any, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Serving:
    """The model that embeds, and the batcher in front of it."""

    model: Model
    dimension: int
    batcher: Batcher


class EmbedderServicer(embedder_pb2_grpc.EmbedderServiceServicer):
    """Serves embeddings from the batcher; unary and streaming calls share its queue."""

    def __init__(self, *, stream_window: int) -> None:
        """`stream_window` requests of one stream are in work at once."""
        self.serving: Serving | None = None
        """Set once the model is loaded and warm."""
        self._stream_window = stream_window

    async def EmbedFaces(self, request: pb.EmbedFacesRequest, context: Context) -> pb.EmbedFacesResponse:  # noqa: N802
        """Embeds the faces of one request."""
        remaining_s = context.time_remaining()
        return await self._embed(request, None if remaining_s is None else time.monotonic() + remaining_s)

    async def StreamEmbedFaces(  # noqa: N802
        self,
        request_iterator: AsyncIterator[pb.StreamEmbedFacesRequest],
        context: Context,  # noqa: ARG002
    ) -> AsyncIterator[pb.StreamEmbedFacesResponse]:
        """Embeds many requests, answered in order."""
        answers = answer_in_order(request_iterator, lambda item: self._embed(item.request), window=self._stream_window)
        async for answer in answers:
            if isinstance(answer, Status):
                yield pb.StreamEmbedFacesResponse(error=answer)
            else:
                yield pb.StreamEmbedFacesResponse(response=answer)

    async def GetModel(self, request: pb.GetModelRequest, context: Context) -> pb.GetModelResponse:  # noqa: ARG002, N802
        """Tells which model embeds."""
        serving = self._serving()
        response = pb.GetModelResponse(
            model_id=serving.model.model_id,
            sha256=serving.model.sha256,
            dimension=serving.dimension,
            license=serving.model.license,
        )
        if serving.model.threshold is not None:
            response.threshold = serving.model.threshold.value
            response.threshold_calibration = serving.model.threshold.calibrated_on
        if serving.model.curve is not None:
            response.curve.CopyFrom(_curve(serving.model.curve))
        response.clear.extend(pb.ClearFace(side_px=face.side_px, norm=face.norm) for face in serving.model.clear)
        return response

    async def _embed(self, request: pb.EmbedFacesRequest, deadline_s: float | None = None) -> pb.EmbedFacesResponse:
        serving = self._serving()
        answer = await serving.batcher.embed(_faces(request), deadline_s=deadline_s)
        return _response(answer, serving.model.model_id)

    def _serving(self) -> Serving:
        if self.serving is None:
            raise NotReady("the embedder has no model loaded: it is starting, or its log says what is missing")
        return self.serving


def _curve(curve: Curve) -> pb.MatchCurve:
    return pb.MatchCurve(
        points=[pb.MatchCurvePoint(similarity=x, false_match_rate=y) for x, y in curve.points],
        pairs=curve.pairs,
        median_genuine=curve.median_genuine,
        calibrated_on=curve.calibrated_on,
    )


def _faces(request: pb.EmbedFacesRequest) -> FaceBatch:
    if not request.faces:
        raise InvalidRequest("faces: at least one is needed")
    for index, face in enumerate(request.faces):
        if len(face.pixels) != FACE_BYTES:
            raise InvalidRequest(
                f"faces[{index}].pixels: {len(face.pixels)} bytes; an aligned face is 112*112*3 = {FACE_BYTES} bytes"
            )
    pixels = b"".join(face.pixels for face in request.faces)
    return np.frombuffer(pixels, np.uint8).reshape(-1, *FACE_SHAPE)


def _response(answer: Answer, model_id: str) -> pb.EmbedFacesResponse:
    embeddings = answer.embeddings
    return pb.EmbedFacesResponse(
        embeddings=[
            pb.Embedding(values=values, norm=norm)
            for values, norm in zip(embeddings.values.tolist(), embeddings.norms.tolist(), strict=True)
        ],
        model_id=model_id,
        queue_wait_s=answer.queue_wait_s,
        device_s=answer.device_s,
    )
