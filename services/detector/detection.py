"""The detector's work on one picture: search it, choose among the faces, cut out the aligned crops."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from services.chassis.errors import InvalidRequest, TooLarge
from services.chassis.pictures.looks import Look, TurnedLook
from services.chassis.pictures.picture import Picture, open_picture
from services.chassis.process.patience import still_awaited
from services.chassis.process.settings import PictureLimits
from services.detector.alignment import ALIGNED_SIDE_PX, AlignedFace, align
from services.detector.faces import Face
from services.detector.models import DetectorModels
from services.detector.search import Recall
from services.detector.seen_faces import SURE, both, clearest, faces_lying_down, seen_faces

MIN_CONFIDENCE = 0.02
BYTES_A_PIXEL = 14
"""Most that a search holds for each pixel of the picture, as measured at peak for JPEG and PNG, every recall."""
TRANSPARENT_BYTES_A_PIXEL, DEEP_BYTES_A_PIXEL = 24, 28
"""The same where the decoded picture is kept for the next look, and of 16 bits a channel."""
MAX_ALIGNED = 1024
"""Faces cut out of a picture for one call, the surest ones, so that an answer stays within a message."""
MAX_FACES = 20_000
"""Faces of one picture. One with more is refused: to leave the others out would leave them visible."""
NOT_ALIGNED = f"Only the {MAX_ALIGNED} most confident faces were aligned: the others cannot be identified."
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

    def wants(self, face: Face) -> bool:
        """Whether a face is confident and large enough."""
        large_enough = max(face.box.width, face.box.height) >= self.min_face_px
        return large_enough and (self.min_confidence is None or face.confidence >= self.min_confidence)


@dataclass(frozen=True, slots=True, kw_only=True)
class Detection:
    """The faces of one picture, in pixels of the upright picture, in descending confidence."""

    width_px: int
    height_px: int
    faces: list[Face]
    left_out: list[Face]
    """What the search found at its own threshold, and the config left out."""
    aligned: list[AlignedFace | None]
    """One a face where crops were asked for, of the first MAX_ALIGNED alone; else empty."""
    model_id: str
    notice: str
    """What an owner should know of this answer; empty where there is nothing to say."""


def detect(content: bytes, config: DetectionConfig, *, models: DetectorModels, limits: PictureLimits) -> Detection:
    """Finds the faces of an encoded picture. Blocks, also while memory is taken; safe to call from several threads.

    Raises:
        InvalidPicture: The content is no picture that can be processed (also TooLarge, UnsupportedFormat).
        InvalidRequest: There is no model of that name.
        NotReady: The model's weights are absent.
    """
    picture = open_picture(content, limits)
    search = models.search(config.model)
    with limits.memory.hold(_needed_bytes(picture)):
        looks = picture.looks()
        own = search.own_confidence(config.recall)
        lowest = None if config.min_confidence is None else min(config.min_confidence, own)
        found = seen_faces(search, looks, recall=config.recall, min_confidence=lowest)
        if config.recall is not Recall.FAST and not any(face.confidence >= SURE for face in found):
            lying = faces_lying_down(search, looks[0], min_confidence=lowest)
            found = sorted(both(found, lying), key=lambda face: -face.confidence)
        found = _within(found, picture)
        faces = [face for face in found if config.wants(face)][: config.max_faces or None]
        asked_for = {id(face) for face in faces}
        left_out = [face for face in found if id(face) not in asked_for]
        if len(found) > MAX_FACES:
            raise TooLarge(
                f"the picture shows {len(found)} faces, and at most {MAX_FACES} are returned: send it in parts"
            )
    aligned = _aligned(picture, faces[:MAX_ALIGNED], limits) if config.include_aligned else []
    return Detection(
        width_px=picture.width_px,
        height_px=picture.height_px,
        faces=faces,
        left_out=left_out,
        aligned=aligned + [None] * (len(faces) - len(aligned)) if aligned else [],
        model_id=search.model_id(config.recall),
        notice=" ".join(filter(None, (search.notice, NOT_ALIGNED if len(aligned) < len(faces) and aligned else ""))),
    )


def _within(faces: Sequence[Face], picture: Picture) -> list[Face]:
    """What of them lies in the picture."""
    cut = (face.within(width_px=picture.width_px, height_px=picture.height_px) for face in faces)
    return [face for face in cut if face is not None]


def check_alignable(faces: int) -> None:
    """Of so many faces.

    Raises:
        InvalidRequest: More than MAX_ALIGNED.
    """
    if faces > MAX_ALIGNED:
        raise InvalidRequest(f"faces: at most {MAX_ALIGNED} per call are aligned, not {faces}")


def align_faces(content: bytes, faces: Sequence[Face], *, limits: PictureLimits) -> list[AlignedFace | None]:
    """The aligned crops of faces that are known already; None where landmarks allow none. Blocks; thread-safe.

    Raises:
        InvalidPicture: The content is no picture that can be processed (also TooLarge, UnsupportedFormat).
        InvalidRequest: More faces than MAX_ALIGNED.
    """
    check_alignable(len(faces))
    return _aligned(open_picture(content, limits), faces, limits)


def _needed_bytes(picture: Picture) -> int:
    a_pixel = BYTES_A_PIXEL
    if picture.transparent:
        a_pixel = TRANSPARENT_BYTES_A_PIXEL
    if picture.deep:
        a_pixel = DEEP_BYTES_A_PIXEL
    return a_pixel * picture.width_px * picture.height_px


def _aligned(picture: Picture, faces: Sequence[Face], limits: PictureLimits) -> list[AlignedFace | None]:
    """The aligned crops; of a picture that may be shown in several ways, each from the one that shows the face."""
    if not faces:
        return []
    with limits.memory.hold(_needed_bytes(picture) + _BYTES_A_CROP * len(faces)):
        shown = [_aligned_in(look, faces) for look in picture.looks() if not isinstance(look, TurnedLook)]
        return [clearest(crops) for crops in zip(*shown, strict=True)]


def _aligned_in(picture: Look, faces: Sequence[Face]) -> list[AlignedFace | None]:
    """The aligned crops, from a decode that is large enough for the smallest face and no larger."""
    smallest_px = min(max(face.box.width, face.box.height) for face in faces)
    pixels = picture.rgb(long_side_px=math.ceil(picture.long_side_px * min(1.0, 2 * ALIGNED_SIDE_PX / smallest_px)))
    scale_x, scale_y = pixels.shape[1] / picture.width_px, pixels.shape[0] / picture.height_px
    crops = []
    for face in faces:
        still_awaited()
        moved = face.moved(dx=0, dy=0, scale_x=scale_x, scale_y=scale_y)
        crops.append(align(pixels, moved.landmarks))
    return crops
