"""Whether what was hidden can still be found or recognised in the result; what can is hidden again, in one colour."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

from facet.v1 import anonymizer_pb2, detector_pb2, geometry_pb2, image_pb2
from gateway.anonymize.choosing import Chosen, ChosenBy
from gateway.anonymize.overlaps import box_of, touch_any, where
from gateway.anonymize.patches import is_one_colour
from gateway.anonymize.recognition import Recognition
from gateway.tiers.deadline import Deadline
from gateway.tiers.off_loop import off_loop
from gateway.tiers.pipeline import Pipeline
from services.chassis.errors import StillRecognisable
from services.chassis.process.patience import still_awaited

ROUNDS = 3
"""So often a picture is hidden more strongly before the check is given up."""
CROP_A_LANDMARKS = 1.4
"""Half the side of an aligned crop, as a multiple of the longer side that eyes, nose and mouth span: 56 to 41."""
LEAST_MARGIN = 0.3
"""Of what is hidden more strongly, as a share of the box."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Hidden:
    """A picture with its faces hidden, and how it was made."""

    original: bytes
    chosen: Chosen
    picture: anonymizer_pb2.AnonymizeImageResponse
    config: detector_pb2.DetectionConfig
    redaction: anonymizer_pb2.Redaction
    hide_all: bool
    """Whether the check searches as this server does by default, at least, whatever the request leaves out."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Checked:
    """A picture in which nothing of what was hidden is found or recognised any more."""

    picture: anonymizer_pb2.AnonymizeImageResponse
    escalated: Sequence[geometry_pb2.BoundingBox]
    """What was hidden again, in one colour."""
    hidden_again: int
    """How many of the hidden faces lie there."""
    new_faces: int
    """How many faces were found in the result alone."""
    detection_model: str
    embedding_model: str
    """Empty where nobody could be compared."""
    identity: str
    visible_faces: int
    """How many found faces stay visible: of the original's, or where that was not searched, of the result's."""
    by: ChosenBy

    @property
    def outcome(self) -> str:
        """For the answer's header; `passed` where nobody is left visible but people to keep, else `partial`."""
        word = "partial" if self.visible_faces and self.by is not ChosenBy.KEEP else "passed"
        visible = f"; visible={self.visible_faces}" if self.visible_faces else ""
        return f"{word}; escalated={self.hidden_again + self.new_faces}{visible}; identity={self.identity}"


class Checker:
    """Checks results with the tiers that made them."""

    def __init__(self, pipeline: Pipeline) -> None:
        self._pipeline = pipeline

    async def check(self, hidden: Hidden, deadline: Deadline) -> Checked:
        """Searches the result and compares it with the original, until nothing is found that was to be hidden.

        Raises:
            StillRecognisable: Something still is, after ROUNDS of hiding it more strongly.
            FacetError: As a tier answers; the embedder's absence is no error.
        """
        picture, redaction = hidden.picture, _in_one_colour(hidden.redaction)
        recognition = await Recognition.of(self._pipeline, hidden.original, hidden.chosen.hidden, deadline)
        config = _of_the_check(hidden)
        known = list(hidden.chosen.hidden)
        escalated: list[geometry_pb2.Face] = []
        new_faces, rounds = 0, 0
        while True:
            content = picture.image.content
            detection = await self._pipeline.detect(content, config, deadline)
            weaker = await self._weaker(detection, content, deadline)
            searched = [*detection.faces, *(weaker if hidden.hide_all else ())]
            found = await off_loop(partial(_still_found, hidden.chosen, searched), deadline)
            recognised = await recognition.still_known(content, deadline)
            exposed = await off_loop(partial(to_hide_again, found, recognised, hidden.chosen.hidden), deadline)
            if not exposed:
                again = await off_loop(partial(_touching, hidden.chosen.hidden, escalated), deadline)
                visible = hidden.chosen.visible_faces
                if visible is None:
                    beside = partial(_touching, [*detection.faces, *weaker], known, wanted=False)
                    visible = len(await off_loop(beside, deadline))
                return Checked(
                    picture=picture,
                    escalated=[face.box for face in escalated],
                    hidden_again=len(again),
                    new_faces=new_faces,
                    detection_model=detection.model_id,
                    embedding_model=recognition.model_id,
                    identity=recognition.summary,
                    visible_faces=visible,
                    by=hidden.chosen.by,
                )
            if rounds == ROUNDS:
                raise StillRecognisable(
                    f"after {ROUNDS} more attempts {len(found)} faces are still found, {len(recognised)} recognised; "
                    "mark them by hand with larger boxes (the field `faces`), or set style=solid and a larger margin"
                )
            rounds += 1
            picture = await self._pipeline.hide(request_to_hide(content, exposed, redaction), deadline)
            new = await off_loop(partial(_touching, exposed, known, wanted=False), deadline)
            known += new
            new_faces += len(new)
            escalated += [geometry_pb2.Face(box=box) for box in picture.hidden]

    async def _weaker(
        self, detection: detector_pb2.DetectFacesResponse, content: bytes, deadline: Deadline
    ) -> list[geometry_pb2.Face]:
        """What was found in a result below the confidence or the size that the request asked for."""
        crops = await self._pipeline.align(content, detection.left_out, deadline)
        pairs = zip(detection.left_out, crops, strict=True)
        return [face for face, crop in pairs if crop is None or not is_one_colour(crop)]


def to_hide_again(
    found: Sequence[geometry_pb2.Face],
    recognised: Sequence[geometry_pb2.Face],
    hidden: Sequence[geometry_pb2.Face],
) -> list[geometry_pb2.Face]:
    """What is to be hidden more strongly: faces found, hidden ones that they lie on, and hidden ones recognised."""
    beneath = _touching(hidden, found)
    known = {id(face): face for face in (*beneath, *recognised)}
    seen = [geometry_pb2.Face(box=seen_by_recogniser(face)) for face in recognised]
    # The landmarks of a found face were found in what is hidden, and say nothing of how it is turned.
    return [*(geometry_pb2.Face(box=face.box) for face in found), *known.values(), *seen]


def _still_found(chosen: Chosen, faces: Sequence[geometry_pb2.Face]) -> list[geometry_pb2.Face]:
    found = []
    for face in faces:
        still_awaited()
        if chosen.must_not_show(box_of(face)) and not is_one_colour(face.aligned):
            found.append(face)
    return found


def _touching(
    faces: Sequence[geometry_pb2.Face], others: Sequence[geometry_pb2.Face], *, wanted: bool = True
) -> list[geometry_pb2.Face]:
    """Those of `faces` that may be one of `others`, or else that are none."""
    return where(faces, touch_any(map(box_of, faces), map(box_of, others)) == wanted)


def seen_by_recogniser(face: geometry_pb2.Face) -> geometry_pb2.BoundingBox:
    """About what an aligned crop shows, which reaches beyond the face's box where that is small or the head turned."""
    xs, ys = [mark.position.x for mark in face.landmarks], [mark.position.y for mark in face.landmarks]
    x, y = (min(xs) + max(xs)) / 2, (min(ys) + max(ys)) / 2
    half = CROP_A_LANDMARKS * max(1.0, max(xs) - min(xs), max(ys) - min(ys))
    return geometry_pb2.BoundingBox(x_min=x - half, y_min=y - half, x_max=x + half, y_max=y + half)


def request_to_hide(
    content: bytes, faces: Sequence[geometry_pb2.Face], redaction: anonymizer_pb2.Redaction
) -> anonymizer_pb2.AnonymizeImageRequest:
    """The anonymizer's message."""
    return anonymizer_pb2.AnonymizeImageRequest(
        image=image_pb2.Image(content=content),
        regions=[anonymizer_pb2.Region(box=face.box, landmarks=face.landmarks) for face in faces],
        redaction=redaction,
    )


def _of_the_check(hidden: Hidden) -> detector_pb2.DetectionConfig:
    """As the request searched, without its limits; where all are to be hidden, as the server does by default."""
    config = detector_pb2.DetectionConfig()
    config.CopyFrom(hidden.config)
    config.max_faces = 0
    config.include_aligned = True
    if hidden.hide_all:
        config.model, config.min_face_px = "", 0
        if config.recall == detector_pb2.RECALL_FAST:
            config.recall = detector_pb2.RECALL_BALANCED
    return config


def _in_one_colour(redaction: anonymizer_pb2.Redaction) -> anonymizer_pb2.Redaction:
    return anonymizer_pb2.Redaction(
        style=anonymizer_pb2.STYLE_SOLID,
        shape=redaction.shape,
        margin=max(redaction.margin, LEAST_MARGIN),
        outline=redaction.outline,
    )
