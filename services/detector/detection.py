"""The detector's work on one picture: search it, choose among the faces, cut out the aligned crops."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from services.chassis.errors import InvalidRequest, TooLarge
from services.chassis.patience import still_awaited
from services.chassis.picture import Picture, open_picture
from services.chassis.settings import PictureLimits
from services.detector.alignment import ALIGNED_SIDE_PX, AlignedFace, align
from services.detector.faces import Face
from services.detector.models import DetectorModels
from services.detector.search import Recall

MIN_CONFIDENCE = 0.02
BYTES_A_PIXEL = 14
"""Most that a search holds for each pixel of the picture, as measured at peak for JPEG and PNG, every recall."""
MAX_ALIGNED = 1024
"""Faces cut out of a picture for one call, the surest ones, so that an answer stays within a message."""
MAX_FACES = 20_000
"""Faces of one picture. One with more is refused: to leave the others out would leave them visible."""
NOT_ALIGNED = f"Only the {MAX_ALIGNED} surest faces were cut out: nothing is known of whose the others are."
_BYTES_A_CROP = 3 * 3 * ALIGNED_SIDE_PX**2
"""A crop, its message, and the message that is sent."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DetectionConfig:
    """What to look for.

    Raises:
        InvalidRequest: A value is out of range.
    """

    model: str = ""
    """Empty = the default model."""
    recall: Recall = Recall.BALANCED
    min_confidence: float | None = None
    """None = what suits the model and the recall."""
    min_face_px: int = 0
    """Shortest longer side of a face's box, pixels."""
    max_faces: int = 0
    """0 = no limit."""
    include_aligned: bool = False

    def __post_init__(self) -> None:
        confidence = self.min_confidence
        if confidence is not None and not (math.isfinite(confidence) and MIN_CONFIDENCE <= confidence <= 1):
            raise InvalidRequest(f"min_confidence must be between {MIN_CONFIDENCE} and 1")
        if self.min_face_px < 0:
            raise InvalidRequest("min_face_px must not be negative")
        if self.max_faces < 0:
            raise InvalidRequest("max_faces must not be negative")


@dataclass(frozen=True, slots=True, kw_only=True)
class Detection:
    """The faces of one picture, in pixels of the upright picture, in descending confidence."""

    width_px: int
    height_px: int
    faces: list[Face]
    aligned: list[AlignedFace | None]
    """One a face where crops were asked for, of the first MAX_ALIGNED alone; else empty."""
    model_id: str
    notice: str
    """What an owner should know of this answer; empty where there is nothing to say."""


def detect(content: bytes, config: DetectionConfig, *, models: DetectorModels, limits: PictureLimits) -> Detection:
    """Finds the faces of an encoded picture. Blocks, also while memory is taken; safe to call from several threads.

    Raises:
        InvalidPicture: The content is no picture that can be treated (also TooLarge, UnsupportedFormat).
        InvalidRequest: There is no model of that name.
        NotReady: The model's weights are absent.
    """
    picture = open_picture(content, limits)
    search = models.search(config.model)
    with limits.memory.hold(BYTES_A_PIXEL * picture.width_px * picture.height_px):
        found = search.search(picture, recall=config.recall, min_confidence=config.min_confidence)
        faces = [face for face in found if max(face.box.width, face.box.height) >= config.min_face_px]
        faces = faces[: config.max_faces or None]
        if len(faces) > MAX_FACES:
            raise TooLarge(
                f"the picture shows {len(faces)} faces, and at most {MAX_FACES} are answered: send it in parts, or ask "
                "for a higher min_confidence or min_face_px"
            )
    aligned = _aligned(picture, faces[:MAX_ALIGNED], limits) if config.include_aligned else []
    return Detection(
        width_px=picture.width_px,
        height_px=picture.height_px,
        faces=faces,
        aligned=aligned + [None] * (len(faces) - len(aligned)) if aligned else [],
        model_id=search.model_id(config.recall),
        notice=" ".join(filter(None, (search.notice, NOT_ALIGNED if len(aligned) < len(faces) and aligned else ""))),
    )


def check_alignable(faces: int) -> None:
    """Of so many faces.

    Raises:
        InvalidRequest: More than MAX_ALIGNED.
    """
    if faces > MAX_ALIGNED:
        raise InvalidRequest(f"faces: at most {MAX_ALIGNED} a call are aligned, these are {faces}")


def align_faces(content: bytes, faces: Sequence[Face], *, limits: PictureLimits) -> list[AlignedFace | None]:
    """The aligned crops of faces that are known already; None where landmarks allow none. Blocks; thread-safe.

    Raises:
        InvalidPicture: The content is no picture that can be treated (also TooLarge, UnsupportedFormat).
        InvalidRequest: More faces than MAX_ALIGNED.
    """
    check_alignable(len(faces))
    return _aligned(open_picture(content, limits), faces, limits)


def _aligned(picture: Picture, faces: Sequence[Face], limits: PictureLimits) -> list[AlignedFace | None]:
    """The aligned crops, from a decode that is large enough for the smallest face and no larger."""
    if not faces:
        return []
    smallest_px = min(max(face.box.width, face.box.height) for face in faces)
    needed_bytes = BYTES_A_PIXEL * picture.width_px * picture.height_px + _BYTES_A_CROP * len(faces)
    with limits.memory.hold(needed_bytes):
        pixels = picture.rgb(long_side_px=math.ceil(picture.long_side_px * min(1.0, 2 * ALIGNED_SIDE_PX / smallest_px)))
        scale_x, scale_y = pixels.shape[1] / picture.width_px, pixels.shape[0] / picture.height_px
        crops = []
        for face in faces:
            still_awaited()
            moved = face.moved(dx=0, dy=0, scale_x=scale_x, scale_y=scale_y)
            crops.append(align(pixels, moved.landmarks))
        return crops
