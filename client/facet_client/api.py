"""What the REST calls answer, modelled once: the gateway writes this JSON by these models, and the client reads it."""

from __future__ import annotations

from dataclasses import dataclass, field

from pydantic import BaseModel, ConfigDict, Field

PROBLEM_TYPE = "urn:facet:error:"
"""What the `type` of a problem begins with; the error's reason follows."""
READY = "ready"
NOT_READY = "not ready"


class _FrozenModel(BaseModel):
    """Immutable; errors of validation quote no value, for it may be an embedding."""

    model_config = ConfigDict(frozen=True, hide_input_in_errors=True)


class Problem(_FrozenModel):
    """What went wrong (RFC 9457)."""

    type: str = Field(examples=["urn:facet:error:UNSUPPORTED_FORMAT"])
    title: str = Field(examples=["Not an accepted file format"])
    status: int = Field(examples=[415])
    detail: str = Field(examples=["the content is not a picture that is accepted; send one of JPEG, PNG, …"])
    request_id: str = Field(examples=["4f1c2e…"])


@dataclass(frozen=True, slots=True, kw_only=True)
class AnonymizeAnswer:
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
    receipt: str | None = field(default=None, repr=False)
    """What was hidden, as a JWS that the gateway signed; None = it was not asked for."""


class BoxAnswer(_FrozenModel):
    """Pixels of the upright picture, origin top left."""

    x_min: float
    y_min: float
    x_max: float
    y_max: float

    @property
    def width(self) -> float:
        """Pixels."""
        return self.x_max - self.x_min

    @property
    def height(self) -> float:
        """Pixels."""
        return self.y_max - self.y_min


class FaceAnswer(_FrozenModel):
    """One face."""

    box: BoxAnswer
    confidence: float = Field(description="The detector's score, 0 to 1.")
    landmarks: dict[str, tuple[float, float]] = Field(
        description="Pixels, by name; left and right are the viewer's.", examples=[{"left_eye": [203.1, 106.4]}]
    )


class DetectAnswer(_FrozenModel):
    """The faces of a picture, in descending confidence."""

    width: int = Field(description="Of the upright picture, pixels.")
    height: int = Field(description="Of the upright picture, pixels.")
    model: str = Field(description="name@first 12 hex digits of the weights' sha256.")
    notice: str = Field(description="What to know of this answer, for people; empty where there is nothing to say.")
    faces: tuple[FaceAnswer, ...]


class EmbeddedFaceAnswer(FaceAnswer):
    """One face and its embedding."""

    embedding: list[float] | None = Field(
        repr=False, description="L2-normalised; null where the face could not be aligned."
    )
    norm: float | None = Field(description="Of the raw network output.")
    alignment: str | None = Field(description="five_point or four_point: the template the face was aligned to.")


class EmbedAnswer(_FrozenModel):
    """The faces of a picture with their embeddings."""

    width: int
    height: int
    model: str = Field(description="The detection model.")
    embedding_model: str = Field(description="Embeddings of different models must never be compared.")
    faces: tuple[EmbeddedFaceAnswer, ...]


class CompareAnswer(_FrozenModel):
    """How alike the largest faces of two pictures are."""

    similarity: float = Field(description="Cosine similarity, -1 to 1.")
    threshold: float = Field(description="At or above it the model's calibration counts two faces as one person.")
    threshold_calibration: str = Field(description="On which data and at which false accept rate it was found.")
    same_person: bool
    model: str = Field(description="The embedding model.")
    faces: tuple[FaceAnswer, ...] = Field(description="The face compared in image_a, then in image_b.")


class TierAnswer(_FrozenModel):
    """Whether a tier serves."""

    status: str = Field(examples=[READY, NOT_READY])
    detail: str = Field(description="What to do; empty when ready.")

    @property
    def ready(self) -> bool:
        """Whether it does."""
        return self.status == READY


class ReadyAnswer(_FrozenModel):
    """Whether pictures can be anonymized, and the state of each tier."""

    status: str = Field(examples=[READY, NOT_READY])
    tiers: dict[str, TierAnswer]

    @property
    def ready(self) -> bool:
        """Whether they can."""
        return self.status == READY


class CurveAnswer(_FrozenModel):
    """How often two people's faces are as alike as that."""

    points: tuple[tuple[float, float], ...] = Field(
        description="Cosine similarity, and the share of pairs of two people at or above it; similarities rise."
    )
    pairs: int = Field(description="Pairs of two people behind it.")
    median_genuine: float = Field(description="Cosine similarity that half of the pairs of one person reach.")
    calibrated_on: str


class ClearFaceAnswer(_FrozenModel):
    """What a face must reach so that the curve holds for it."""

    side_px: int = Field(description="Longer side of its box.")
    norm: float = Field(description="Of its raw embedding.")


class ModelAnswer(_FrozenModel):
    """One model and whether requests that name it are served."""

    name: str
    tier: str
    model_id: str = Field(description="name@first 12 hex digits of the weights' sha256; empty while absent.")
    license: str
    sha256: str
    serving: bool
    is_default: bool
    detail: str = Field(description="Why it is not served and what to do; empty when served.")
    threshold: float | None = Field(
        None,
        description="Of an embedding model: the cosine similarity from which on two faces count as one person; null "
        "where it was never calibrated.",
    )
    curve: CurveAnswer | None = Field(None, description="Likewise: what thresholds for many comparisons follow from.")
    clear: tuple[ClearFaceAnswer, ...] = Field(
        (), description="Likewise: a face that reaches both values of one of these can be told from other people's."
    )


class ModelsAnswer(_FrozenModel):
    """The models that each tier knows."""

    models: tuple[ModelAnswer, ...]
