"""Which faces of a picture are hidden: all that are found, exactly those given, or by whom they show."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Protocol

from facet.v1 import detector_pb2, embedder_pb2, geometry_pb2
from gateway.deadline import Deadline
from gateway.deciding import decide, keep, only
from gateway.given_faces import read_given_faces
from gateway.overlaps import box_of, lies_in_any, touches_any
from gateway.pipeline import Pipeline
from gateway.references import embed_references
from gateway.selection import Reference, Selection
from gateway.uploads import AnonymizationUpload
from services.chassis.errors import InvalidRequest, NotReady
from services.chassis.geometry import Box


@dataclass(frozen=True, slots=True, kw_only=True)
class Chosen:
    """The faces to hide, and what they were chosen by."""

    hidden: Sequence[geometry_pb2.Face]
    must_not_show: Callable[[Box], bool]
    """Whether a face found in the result at this place is one that was to be hidden."""
    size_px: tuple[int, int] | None = None
    """Width and height of the picture that the faces are for, where a caller said it."""
    found_faces: int | None = None
    """None = nothing was detected."""
    detection_model: str = ""
    """Empty = nothing was detected."""
    embedding_model: str = ""
    """Empty = nobody was compared."""
    notice: str = ""
    """What to know of it, for people; empty where there is nothing to say."""


class Choice(Protocol):
    """A way to choose."""

    async def choose(self, content: bytes, config: detector_pb2.DetectionConfig, deadline: Deadline) -> Chosen:
        """Chooses among the faces of a picture.

        Raises:
            FacetError: As the tiers answer, or the caller's own part is wrong.
        """
        ...


def choice_of(upload: AnonymizationUpload, pipeline: Pipeline) -> Choice:
    """The way that a request asks for.

    Raises:
        InvalidRequest: It asks for two ways at once, or its `faces` are malformed.
    """
    asked = [field for field in ("faces", "keep", "only") if getattr(upload, field)]
    if len(asked) > 1:
        raise InvalidRequest(f"{' and '.join(asked)} exclude each other; send one of them")
    if upload.faces is not None:
        return GivenChoice(upload.faces)
    if upload.keep:
        return PeopleChoice(pipeline, upload.keep, "keep", keep)
    if upload.only:
        return PeopleChoice(pipeline, upload.only, "only", only)
    return FoundChoice(pipeline)


class FoundChoice:
    """Every face that the detector finds."""

    def __init__(self, pipeline: Pipeline) -> None:
        self._pipeline = pipeline

    async def choose(self, content: bytes, config: detector_pb2.DetectionConfig, deadline: Deadline) -> Chosen:
        """Detects."""
        detection = await self._pipeline.detect(content, unlimited(config), deadline)
        considered = config.max_faces or len(detection.faces)
        return Chosen(
            hidden=detection.faces[:considered],
            must_not_show=_all_but(detection.faces[considered:]),
            found_faces=len(detection.faces),
            detection_model=detection.model_id,
            notice=detection.notice,
        )


class GivenChoice:
    """Exactly the faces that a caller gives; nothing is detected."""

    def __init__(self, document: bytes) -> None:
        """Reads them.

        Raises:
            InvalidRequest: They are malformed.
        """
        self._given = read_given_faces(document)

    async def choose(
        self,
        content: bytes,  # noqa: ARG002
        config: detector_pb2.DetectionConfig,  # noqa: ARG002
        deadline: Deadline,  # noqa: ARG002
    ) -> Chosen:
        """What else a search of the result finds was left visible on purpose."""
        boxes = [box_of(face) for face in self._given.faces]
        return Chosen(
            hidden=self._given.faces,
            must_not_show=partial(touches_any, others=boxes),
            size_px=(self._given.width_px, self._given.height_px),
        )


class PeopleChoice:
    """Every found face, but not of people to keep, or not of people other than those to hide."""

    def __init__(
        self,
        pipeline: Pipeline,
        references: Sequence[bytes],
        field: str,
        select: Callable[[embedder_pb2.GetModelResponse, Sequence[Reference]], Selection],
    ) -> None:
        """`select` makes the rule by which faces stay visible; both raise as `choose` does."""
        self._pipeline = pipeline
        self._references = {f"{field}[{index}]": reference for index, reference in enumerate(references)}
        self._select = select

    async def choose(self, content: bytes, config: detector_pb2.DetectionConfig, deadline: Deadline) -> Chosen:
        """Detects, embeds and compares."""
        model = await self._pipeline.deciding_model(deadline)
        self._select(model, [])  # what the model cannot decide is refused before any work
        references = await embed_references(
            self._references,
            detection_model=config.model,
            embedding_model=model,
            pipeline=self._pipeline,
            deadline=deadline,
        )
        selection = self._select(model, references)
        embedded = await self._pipeline.embed(content, unlimited(config), deadline)
        if embedded.model_id != model.model_id:
            raise NotReady("the embedder is changing its model; try again shortly")
        detection = embedded.detection
        decision = await asyncio.to_thread(decide, selection, embedded, model)  # a crowd's takes a while
        considered = config.max_faces or len(detection.faces)
        hidden: list[geometry_pb2.Face] = []
        shown = list(detection.faces[considered:])
        for face, visible in zip(detection.faces[:considered], decision.shown.tolist(), strict=False):
            (shown if visible else hidden).append(face)
        return Chosen(
            hidden=hidden,
            must_not_show=_all_but(shown),
            found_faces=len(detection.faces),
            detection_model=detection.model_id,
            embedding_model=embedded.model_id,
            notice=" ".join(filter(None, (detection.notice, decision.notice))),
        )


def unlimited(config: detector_pb2.DetectionConfig) -> detector_pb2.DetectionConfig:
    """The same without `max_faces`: what it leaves out must be known to be left visible on purpose."""
    everything = detector_pb2.DetectionConfig()
    everything.CopyFrom(config)
    everything.max_faces = 0
    return everything


def _all_but(shown: Sequence[geometry_pb2.Face]) -> Callable[[Box], bool]:
    boxes = [box_of(face) for face in shown]

    def must_not_show(found: Box) -> bool:
        return not lies_in_any(found, boxes)

    return must_not_show
