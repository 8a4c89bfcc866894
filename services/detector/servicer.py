"""facet.v1.DetectorService: translates between messages and the domain, and nothing else."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import grpc
from google.rpc.status_pb2 import Status
from prometheus_client import Histogram

from facet.v1 import detector_pb2 as pb
from facet.v1 import detector_pb2_grpc, geometry_pb2
from services.chassis.errors import InvalidRequest
from services.chassis.process.metrics import TierMetrics
from services.chassis.process.settings import PictureLimits
from services.chassis.process.workers import WorkerPool
from services.chassis.rpc.streams import answer_in_order
from services.chassis.rpc.wire import box_from_wire, box_to_wire, landmarks_from_wire, landmarks_to_wire
from services.detector.alignment import AlignedFace, Template
from services.detector.detection import Detection, DetectionConfig, align_faces, check_alignable, detect
from services.detector.faces import Face
from services.detector.models import DetectorModels
from services.detector.search import Recall

_RECALLS = {
    pb.RECALL_UNSPECIFIED: Recall.BALANCED,
    pb.RECALL_FAST: Recall.FAST,
    pb.RECALL_BALANCED: Recall.BALANCED,
    pb.RECALL_MAX: Recall.MAX,
}
_ALIGNMENTS = {
    Template.FIVE_POINT: geometry_pb2.ALIGNMENT_FIVE_POINT,
    Template.FOUR_POINT: geometry_pb2.ALIGNMENT_FOUR_POINT,
}
Context = grpc.aio.ServicerContext[Any, Any]


class DetectorServicer(detector_pb2_grpc.DetectorServiceServicer):
    """Serves detection from a pool of workers."""

    def __init__(self, models: DetectorModels, pool: WorkerPool, limits: PictureLimits, metrics: TierMetrics) -> None:
        self._models = models
        self._pool = pool
        self._limits = limits
        self._metrics = metrics
        self._faces_per_picture = Histogram(
            f"{metrics.prefix}_faces_per_picture",
            "Faces answered a picture.",
            buckets=(0, 1, 2, 5, 10, 20, 50, 100, 200, 500),
            registry=metrics.registry,
        )

    async def DetectFaces(self, request: pb.DetectFacesRequest, context: Context) -> pb.DetectFacesResponse:  # noqa: N802
        """Finds the faces of one picture."""
        return await self._detect(request, within_s=context.time_remaining())

    async def StreamDetectFaces(  # noqa: N802
        self,
        request_iterator: AsyncIterator[pb.StreamDetectFacesRequest],
        context: Context,  # noqa: ARG002
    ) -> AsyncIterator[pb.StreamDetectFacesResponse]:
        """Finds the faces of many pictures, answered in order."""
        answers = answer_in_order(
            request_iterator, lambda item: self._detect(item.request), window=self._pool.workers + 1
        )
        async for answer in answers:
            if isinstance(answer, Status):
                yield pb.StreamDetectFacesResponse(error=answer)
            else:
                yield pb.StreamDetectFacesResponse(response=answer)

    async def AlignFaces(self, request: pb.AlignFacesRequest, context: Context) -> pb.AlignFacesResponse:  # noqa: N802
        """Cuts out the crops of faces that are known already."""
        check_alignable(len(request.faces))

        def work() -> pb.AlignFacesResponse:
            faces = [_known_face(face, field=f"faces[{index}]") for index, face in enumerate(request.faces)]
            crops = align_faces(request.image.content, faces, limits=self._limits)
            return pb.AlignFacesResponse(aligned=map(_crop, crops))

        size_bytes = len(request.image.content)
        return await self._pool.run(work, size_bytes=size_bytes, within_s=context.time_remaining())

    async def ListModels(self, request: pb.ListModelsRequest, context: Context) -> pb.ListModelsResponse:  # noqa: ARG002, N802
        """Tells which models there are."""
        statuses = await self._pool.run(self._models.statuses)
        return pb.ListModelsResponse(
            models=[
                pb.ModelStatus(
                    name=status.name,
                    model_id=status.model_id if status.serving else "",
                    license=status.license,
                    sha256=status.sha256,
                    serving=status.serving,
                    is_default=status.is_default,
                    detail=status.detail,
                )
                for status in statuses
            ]
        )

    async def _detect(self, request: pb.DetectFacesRequest, within_s: float | None = None) -> pb.DetectFacesResponse:
        config = _config(request.config)

        def work() -> pb.DetectFacesResponse:
            detection = detect(request.image.content, config, models=self._models, limits=self._limits)
            return _response(detection)  # of a crowd that takes some time, too

        response = await self._pool.run(work, size_bytes=len(request.image.content), within_s=within_s)
        self._faces_per_picture.observe(len(response.faces))
        if not config.model:  # better weights may have been installed since the last picture
            self._metrics.set_default_model(response.model_id.partition("+")[0])
        return response


def _config(message: pb.DetectionConfig) -> DetectionConfig:
    if message.recall not in _RECALLS:
        raise InvalidRequest(f"config.recall: {message.recall} is not a valid Recall")
    return DetectionConfig(
        model=message.model,
        recall=_RECALLS[message.recall],
        # A 32-bit float on the wire: 0.02 arrives as 0.0199999996.
        min_confidence=round(message.min_confidence, 6) if message.HasField("min_confidence") else None,
        min_face_px=message.min_face_px,
        max_faces=message.max_faces,
        include_aligned=message.include_aligned,
    )


def _response(detection: Detection) -> pb.DetectFacesResponse:
    aligned = detection.aligned or [None] * len(detection.faces)
    return pb.DetectFacesResponse(
        width_px=detection.width_px,
        height_px=detection.height_px,
        faces=[_face(face, crop) for face, crop in zip(detection.faces, aligned, strict=True)],
        model_id=detection.model_id,
        notice=detection.notice,
        left_out=[_face(face, None) for face in detection.left_out],
    )


def _face(face: Face, aligned: AlignedFace | None) -> geometry_pb2.Face:
    message = geometry_pb2.Face(
        box=box_to_wire(face.box), confidence=face.confidence, landmarks=landmarks_to_wire(face.landmarks)
    )
    if aligned is not None:
        message.aligned.CopyFrom(_crop(aligned))
    return message


def _crop(aligned: AlignedFace | None) -> geometry_pb2.AlignedFace:
    if aligned is None:
        return geometry_pb2.AlignedFace()
    return geometry_pb2.AlignedFace(pixels=aligned.pixels.tobytes(), alignment=_ALIGNMENTS[aligned.template])


def _known_face(message: geometry_pb2.Face, *, field: str) -> Face:
    return Face(
        box=box_from_wire(message.box, field=f"{field}.box"),
        confidence=message.confidence,
        landmarks=landmarks_from_wire(message.landmarks, field=f"{field}.landmarks"),
    )
