"""facet.v1.AnonymizerService: translates between messages and the domain, and nothing else."""

from __future__ import annotations

import math
from collections.abc import AsyncIterator, Callable, Sequence
from typing import Any

import grpc
from google.rpc.status_pb2 import Status

from facet.v1 import anonymizer_pb2 as pb
from facet.v1 import anonymizer_pb2_grpc, image_pb2
from services.anonymizer.anonymization import Anonymized, anonymize
from services.anonymizer.bounds import check_count
from services.anonymizer.encoding import Output
from services.anonymizer.redaction import DEFAULT_MARGIN, DEFAULT_STRENGTH, Redaction
from services.anonymizer.regions import Region, Shape
from services.anonymizer.styles import AveragingMosaic, Blur, GaussianBlur, Mosaic, Solid, Style
from services.chassis.errors import InvalidRequest
from services.chassis.pictures.picture_format import PictureFormat
from services.chassis.process.settings import PictureLimits
from services.chassis.process.workers import WorkerPool
from services.chassis.rpc.streams import answer_in_order
from services.chassis.rpc.wire import box_from_wire, box_to_wire, landmarks_from_wire

_Styles = dict[int, Callable[[float], Style]]
_STYLES: _Styles = {
    pb.STYLE_UNSPECIFIED: lambda strength: Mosaic(strength=strength),
    pb.STYLE_MOSAIC: lambda strength: Mosaic(strength=strength),
    pb.STYLE_BLUR: lambda strength: Blur(strength=strength),
    pb.STYLE_SOLID: lambda _strength: Solid(),
}
_WEAK_STYLES: _Styles = {
    **_STYLES,
    pb.STYLE_MOSAIC: lambda strength: AveragingMosaic(strength=strength),
    pb.STYLE_BLUR: lambda strength: GaussianBlur(strength=strength),
}
_SHAPES: dict[int, Shape] = {
    pb.SHAPE_UNSPECIFIED: Shape.ELLIPSE,
    pb.SHAPE_ELLIPSE: Shape.ELLIPSE,
    pb.SHAPE_BOX: Shape.BOX,
}
_FORMATS: dict[int, PictureFormat | None] = {
    pb.OUTPUT_FORMAT_UNSPECIFIED: None,
    pb.OUTPUT_FORMAT_JPEG: PictureFormat.JPEG,
    pb.OUTPUT_FORMAT_PNG: PictureFormat.PNG,
    pb.OUTPUT_FORMAT_WEBP: PictureFormat.WEBP,
}
Context = grpc.aio.ServicerContext[Any, Any]


class AnonymizerServicer(anonymizer_pb2_grpc.AnonymizerServiceServicer):
    """Serves redaction from a pool of workers."""

    def __init__(self, pool: WorkerPool, limits: PictureLimits, *, keep_capture_time: bool) -> None:
        self._pool = pool
        self._limits = limits
        self._keep_capture_time = keep_capture_time

    async def AnonymizeImage(self, request: pb.AnonymizeImageRequest, context: Context) -> pb.AnonymizeImageResponse:  # noqa: N802
        """Hides regions of one picture."""
        return await self._anonymize(request, within_s=context.time_remaining())

    async def StreamAnonymizeImages(  # noqa: N802
        self,
        request_iterator: AsyncIterator[pb.StreamAnonymizeImagesRequest],
        context: Context,  # noqa: ARG002
    ) -> AsyncIterator[pb.StreamAnonymizeImagesResponse]:
        """Hides regions of many pictures, answered in order."""
        answers = answer_in_order(
            request_iterator, lambda item: self._anonymize(item.request), window=self._pool.workers + 1
        )
        async for answer in answers:
            if isinstance(answer, Status):
                yield pb.StreamAnonymizeImagesResponse(error=answer)
            else:
                yield pb.StreamAnonymizeImagesResponse(response=answer)

    async def _anonymize(
        self, request: pb.AnonymizeImageRequest, within_s: float | None = None
    ) -> pb.AnonymizeImageResponse:
        check_count(len(request.regions))
        redaction = _redaction(request.redaction)
        output = Output(format=_format(request.output), keep_capture_time=self._keep_capture_time)

        def work() -> Anonymized:
            regions = _regions(request.regions)  # of a crowd that takes some time, too
            return anonymize(request.image.content, regions, redaction, limits=self._limits, output=output)

        done = await self._pool.run(work, size_bytes=len(request.image.content), within_s=within_s)
        return pb.AnonymizeImageResponse(
            image=image_pb2.Image(content=done.content),
            media_type=done.media_type,
            width_px=done.width_px,
            height_px=done.height_px,
            hidden_regions=done.hidden_regions,
            notice=done.notice,
            hidden=map(box_to_wire, done.hidden),
        )


def _regions(messages: Sequence[pb.Region]) -> list[Region]:
    return [
        Region(
            box=box_from_wire(message.box, field=f"regions[{index}].box"),
            landmarks=landmarks_from_wire(message.landmarks, field=f"regions[{index}].landmarks"),
        )
        for index, message in enumerate(messages)
    ]


def _redaction(message: pb.Redaction) -> Redaction:
    if message.style not in _STYLES:
        raise InvalidRequest(f"redaction.style: {message.style} is not a valid Style")
    if message.shape not in _SHAPES:
        raise InvalidRequest(f"redaction.shape: {message.shape} is not a valid Shape")
    strength = message.strength if message.HasField("strength") else DEFAULT_STRENGTH
    if not (math.isfinite(strength) and 0 <= strength <= 1):
        raise InvalidRequest("strength must be between 0 and 1")
    return Redaction(
        style=(_WEAK_STYLES if message.allow_weak else _STYLES)[message.style](strength),
        shape=_SHAPES[message.shape],
        margin=message.margin if message.HasField("margin") else DEFAULT_MARGIN,
        outline=message.outline,
    )


def _format(value: int) -> PictureFormat | None:
    if value not in _FORMATS:
        raise InvalidRequest(f"output: {value} is not a valid OutputFormat")
    return _FORMATS[value]
