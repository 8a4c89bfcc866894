"""Which faces of a picture are hidden: all that are found, exactly those given, or by whom they show."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from functools import partial
from typing import Protocol

from facet.v1 import detector_pb2, embedder_pb2, geometry_pb2
from gateway.anonymize import notices
from gateway.anonymize.deciding import decide, keep, only
from gateway.anonymize.given_faces import read_given_faces
from gateway.anonymize.overlaps import BoxIndex, box_of, lies_in_any, touches_any
from gateway.anonymize.references import embed_references
from gateway.anonymize.selection import Reference, Selection
from gateway.tiers.deadline import Deadline
from gateway.tiers.off_loop import off_loop
from gateway.tiers.pipeline import Pipeline
from services.chassis.errors import InvalidRequest, NotReady
from services.chassis.pictures.geometry import Box


@dataclass(frozen=True, slots=True, kw_only=True)
class AnonymizationUpload:
    """A picture to anonymize and what was sent with it."""

    image: bytes
    faces: bytes | None = None
    """A JSON document: which faces to hide."""
    keep: Sequence[bytes] = ()
    """Each a picture or a JSON document: whom to leave visible."""
    only: Sequence[bytes] = ()
    """Each a picture or a JSON document: whom alone to hide."""


class ChosenBy(StrEnum):
    """Who or what decided which faces are hidden."""

    SEARCH = "search"
    """Every face that was found."""
    CALLER = "caller"
    """Exactly the faces that the request gave."""
    KEEP = "keep"
    """Every face that was found, but not of people to keep."""
    ONLY = "only"
    """The faces that may be of people to hide."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Chosen:
    """The faces to hide, and what they were chosen by."""

    by: ChosenBy
    hidden: Sequence[geometry_pb2.Face]
    visible_faces: int | None = None
    """How many of the found faces stay visible; None = nothing was detected."""
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


def choice_of(upload: AnonymizationUpload, pipeline: Pipeline, *, hide_all: bool = False) -> Choice:
    """The way that a request asks for.

    Args:
        upload: The request's body.
        pipeline: The tiers.
        hide_all: Whether a found face may stay visible by whom it shows alone, whatever else the request says.

    Raises:
        InvalidRequest: It asks for two ways at once.
    """
    asked = [field for field in ("faces", "keep", "only") if getattr(upload, field)]
    if len(asked) > 1:
        raise InvalidRequest(f"{' and '.join(asked)} exclude each other; send one of them")
    if upload.faces is not None:
        return GivenChoice(upload.faces, hide_all=hide_all)
    if upload.keep:
        return PeopleChoice(pipeline, upload.keep, ChosenBy.KEEP, keep, hide_all=hide_all)
    if upload.only:
        return PeopleChoice(pipeline, upload.only, ChosenBy.ONLY, only, hide_all=hide_all)
    return FoundChoice(pipeline, hide_all=hide_all)


class FoundChoice:
    """Every face that the detector finds."""

    def __init__(self, pipeline: Pipeline, *, hide_all: bool = False) -> None:
        self._pipeline = pipeline
        self._hide_all = hide_all

    async def choose(self, content: bytes, config: detector_pb2.DetectionConfig, deadline: Deadline) -> Chosen:
        """Detects."""
        detection = await self._pipeline.detect(content, config, deadline)
        found = [*detection.faces, *detection.left_out]
        hidden = found if self._hide_all else found[: len(detection.faces)]
        shown = found[len(hidden) :]
        return Chosen(
            by=ChosenBy.SEARCH,
            hidden=hidden,
            visible_faces=len(shown),
            must_not_show=_all_but(shown),
            found_faces=len(found),
            detection_model=detection.model_id,
            notice=_joined(detection.notice, notices.left_out(len(shown), config)),
        )


class GivenChoice:
    """Exactly the faces that a caller gives; nothing is detected."""

    def __init__(self, document: bytes, *, hide_all: bool = False) -> None:
        """They are read when they are chosen, as that may take long."""
        self._document = document
        self._hide_all = hide_all

    async def choose(
        self,
        content: bytes,  # noqa: ARG002
        config: detector_pb2.DetectionConfig,  # noqa: ARG002
        deadline: Deadline,
    ) -> Chosen:
        """What else a search of the result finds was left visible on purpose.

        Raises:
            InvalidRequest: They are malformed.
        """
        given = await off_loop(partial(read_given_faces, self._document), deadline)
        given_boxes = BoxIndex(map(box_of, given.faces))
        return Chosen(
            by=ChosenBy.CALLER,
            hidden=given.faces,
            must_not_show=_all_but([]) if self._hide_all else partial(touches_any, others=given_boxes),
            size_px=(given.width_px, given.height_px),
        )


class PeopleChoice:
    """Every found face, but not of people to keep, or not of people other than those to hide."""

    def __init__(
        self,
        pipeline: Pipeline,
        references: Sequence[bytes],
        by: ChosenBy,
        select: Callable[[embedder_pb2.GetModelResponse, Sequence[Reference]], Selection],
        *,
        hide_all: bool = False,
    ) -> None:
        """`select` makes the rule by which faces stay visible; both raise as `choose` does."""
        self._pipeline = pipeline
        self._references = {f"{by}[{index}]": reference for index, reference in enumerate(references)}
        self._by = by
        self._select = select
        self._hide_all = hide_all

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
        embedded = await self._pipeline.embed(content, _without_most(config), deadline)
        if embedded.model_id != model.model_id:
            raise NotReady("the embedder is changing its model; try again shortly")
        detection = embedded.detection
        decision = await off_loop(partial(decide, selection, embedded, model), deadline)
        considered = config.max_faces or len(detection.faces)
        hidden: list[geometry_pb2.Face] = []
        recognised: list[geometry_pb2.Face] = []
        for face, visible in zip(detection.faces[:considered], decision.shown.tolist(), strict=False):
            (recognised if visible else hidden).append(face)
        left_out = [*detection.faces[considered:], *detection.left_out]
        shown = recognised
        if self._hide_all:
            hidden += left_out
        else:
            shown = recognised + left_out
        return Chosen(
            by=self._by,
            hidden=hidden,
            visible_faces=len(shown),
            must_not_show=_all_but(shown),
            found_faces=len(detection.faces) + len(detection.left_out),
            detection_model=detection.model_id,
            embedding_model=embedded.model_id,
            notice=_joined(
                detection.notice,
                decision.notice,
                (notices.kept if self._by is ChosenBy.KEEP else notices.not_asked_for)(len(recognised)),
                notices.left_out(len(shown) - len(recognised), config),
            ),
        )


def _without_most(config: detector_pb2.DetectionConfig) -> detector_pb2.DetectionConfig:
    """The same without `max_faces`: who is whose is decided among all faces."""
    everyone = detector_pb2.DetectionConfig()
    everyone.CopyFrom(config)
    everyone.max_faces = 0
    return everyone


def _joined(*sentences: str) -> str:
    return " ".join(filter(None, sentences))


def _all_but(shown: Sequence[geometry_pb2.Face]) -> Callable[[Box], bool]:
    boxes = BoxIndex(map(box_of, shown))

    def must_not_show(found: Box) -> bool:
        return not lies_in_any(found, boxes)

    return must_not_show
