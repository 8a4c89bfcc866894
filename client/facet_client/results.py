"""What the gateway answers, as frozen values. Nothing of a picture or an embedding shows in their `repr`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated, Any

import numpy as np
from numpy.typing import NDArray
from pydantic import BeforeValidator, PlainSerializer, PlainValidator, TypeAdapter

from services.chassis.pictures.geometry import Box, LandmarkType, Point


def _vector(values: list[float] | None) -> NDArray[np.float32] | None:
    return None if values is None else np.array(values, np.float32)


def _numbers(vector: NDArray[np.float32] | None) -> list[float] | None:
    return None if vector is None else vector.tolist()


_Embedding = Annotated[NDArray[np.float32] | None, PlainValidator(_vector), PlainSerializer(_numbers)]
_Landmark = Annotated[
    Point, BeforeValidator(lambda position: Point(*position)), PlainSerializer(lambda point: (point.x, point.y))
]
_Notice = Annotated[str | None, BeforeValidator(lambda text: text or None)]


@dataclass(frozen=True, slots=True, kw_only=True)
class Anonymized:
    """A picture with its faces hidden."""

    content: bytes = field(repr=False)
    """The encoded file: upright, without metadata."""
    media_type: str
    """Such as image/jpeg."""
    faces: int
    """How many faces were hidden, with those that only the check found."""
    model: str | None
    """The detection model, name@first 12 hex digits of the weights' sha256."""
    notice: str | None
    """What to know of this answer, for people."""
    check: str | None
    """The outcome of the check, such as `passed; escalated=0; identity=compared`; None = it was not checked."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Face:
    """A face that was found; pixels of the upright picture."""

    box: Box
    confidence: float
    """The detector's score, 0 to 1."""
    landmarks: Mapping[LandmarkType, _Landmark]


@dataclass(frozen=True, slots=True, kw_only=True)
class Detection:
    """The faces of a picture, in descending confidence."""

    width: int
    """Of the upright picture, pixels."""
    height: int
    """Of the upright picture, pixels."""
    model: str
    """The detection model, name@first 12 hex digits of the weights' sha256."""
    notice: _Notice = None
    """What to know of this answer, for people."""
    faces: tuple[Face, ...]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)  # arrays have no one truth of being equal
class EmbeddedFace(Face):
    """A face and its embedding."""

    embedding: _Embedding = field(repr=False)
    """D values, float32, L2-normalised; None where the face could not be aligned."""
    norm: float | None
    """Of the raw network output."""
    alignment: str | None
    """five_point or four_point: the template that the face was aligned to."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Embedded:
    """The faces of a picture with their embeddings, in descending confidence."""

    width: int
    """Of the upright picture, pixels."""
    height: int
    """Of the upright picture, pixels."""
    model: str
    """The detection model, name@first 12 hex digits of the weights' sha256."""
    embedding_model: str
    """Embeddings of different models must never be compared."""
    faces: tuple[EmbeddedFace, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """How alike the largest faces of two pictures are."""

    similarity: float
    """Cosine, -1 to 1."""
    threshold: float
    """At or above it the model's calibration counts two faces as one person."""
    threshold_calibration: str
    """On which data and at which false accept rate the threshold was found, for people."""
    same_person: bool
    model: str
    """The embedding model."""
    faces: tuple[Face, Face]
    """The face compared in each picture."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Curve:
    """How often two people's faces are as alike as that, of an embedding model."""

    points: tuple[tuple[float, float], ...]
    """Cosine similarity, and the share of pairs of two people at or above it; similarities rise."""
    pairs: int
    """Pairs of two people behind it."""
    median_genuine: float
    """Cosine similarity that half of the pairs of one person reach."""
    calibrated_on: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ClearFace:
    """What a face must reach so that the curve holds for it."""

    side_px: float
    """Longer side of its box."""
    norm: float
    """Of its raw embedding."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Model:
    """A model that a tier knows."""

    name: str
    """Empty for an embedder that does not answer."""
    tier: str
    model_id: str
    """name@first 12 hex digits of the weights' sha256; empty while absent."""
    license: str
    sha256: str
    serving: bool
    """Whether requests that name it are served."""
    is_default: bool
    detail: str
    """Why it is not served and what to do; empty when served."""
    threshold: float | None
    """Cosine similarity from which on two faces count as one person; None where nothing was calibrated."""
    curve: Curve | None = None
    """What thresholds for many comparisons follow from; None where it was never measured."""
    clear: tuple[ClearFace, ...] = ()
    """A face that reaches both values of one of these can be told from other people's; empty where never measured."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Models:
    """The models that the tiers know."""

    models: tuple[Model, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class TierReadiness:
    """Whether a tier serves."""

    ready: bool
    detail: str
    """What to do where it does not; empty when ready."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Readiness:
    """Whether pictures can be anonymized, and the state of each tier by its name."""

    ready: bool
    tiers: Mapping[str, TierReadiness]


def to_json(result: Face | Detection | Embedded | Comparison) -> dict[str, Any]:
    """The same as JSON's types, as the gateway answers it."""
    json: dict[str, Any] = TypeAdapter(type(result)).dump_python(result, mode="json")
    return json
