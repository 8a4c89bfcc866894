"""Faces that a caller gives: the JSON that `/v1/detect` answered, as a person has edited it."""

from __future__ import annotations

from dataclasses import dataclass

from pydantic import BaseModel, ConfigDict, Field, PositiveInt

from facet.v1 import geometry_pb2
from gateway.anonymize.documents import read_document
from gateway.anonymize.overlaps import holds
from services.chassis.pictures.geometry import LandmarkType, Point
from services.chassis.rpc.wire import box_from_wire, landmarks_from_wire, landmarks_to_wire

MAX_FACES = 10_000


class _Strict(BaseModel):
    """A misspelt field is refused, not ignored."""

    model_config = ConfigDict(extra="forbid", allow_inf_nan=False)


class GivenBox(_Strict):
    """Pixels of the upright picture, origin top left."""

    x_min: float
    y_min: float
    x_max: float
    y_max: float


class GivenFace(_Strict):
    """One face to hide; everything but the box may be left out."""

    box: GivenBox
    confidence: float | None = None
    landmarks: dict[LandmarkType, tuple[float, float]] = Field(default_factory=dict)


class FacesDocument(_Strict):
    """What `/v1/detect` answers; of it the size and the boxes are needed."""

    width: PositiveInt
    height: PositiveInt
    model: str = ""
    notice: str = ""
    faces: list[GivenFace] = Field(max_length=MAX_FACES)


@dataclass(frozen=True, slots=True, kw_only=True)
class GivenFaces:
    """The faces, and the size of the picture that they are for."""

    width_px: int
    height_px: int
    faces: list[geometry_pb2.Face]


def read_given_faces(content: bytes) -> GivenFaces:
    """The faces of the multipart field `faces`.

    Raises:
        InvalidRequest: It is not as `/v1/detect` answers it; the message names the place, such as
            `faces.faces[3].box`.
    """
    document = read_document(FacesDocument, content, field="faces")
    return GivenFaces(
        width_px=document.width,
        height_px=document.height,
        faces=[_face(face, field=f"faces.faces[{index}]") for index, face in enumerate(document.faces)],
    )


def _face(given: GivenFace, *, field: str) -> geometry_pb2.Face:
    message = geometry_pb2.Face(box=geometry_pb2.BoundingBox(**given.box.model_dump()))
    box = box_from_wire(message.box, field=f"{field}.box")  # as the tiers see it, in 32 bits
    landmarks = {kind: Point(*position) for kind, position in given.landmarks.items()}
    if landmarks and holds(box, _middle(landmarks)):  # else the box was moved, and they were left behind
        message.landmarks.extend(landmarks_to_wire(landmarks))
        landmarks_from_wire(message.landmarks, field=f"{field}.landmarks")
    return message


def _middle(landmarks: dict[LandmarkType, Point]) -> Point:
    return Point(
        sum(point.x for point in landmarks.values()) / len(landmarks),
        sum(point.y for point in landmarks.values()) / len(landmarks),
    )
