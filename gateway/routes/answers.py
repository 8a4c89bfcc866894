"""The JSON answers of the REST calls, as typed models made from the tiers' messages."""

from __future__ import annotations

from typing import Self

from pydantic import BaseModel, ConfigDict, Field

from facet.v1 import detector_pb2, embedder_pb2, geometry_pb2
from gateway.tiers.pipeline import Comparison, EmbeddedFaces
from services.chassis.errors import NotReady

_LANDMARK_NAMES = {
    value: name.removeprefix("LANDMARK_TYPE_").lower() for name, value in geometry_pb2.LandmarkType.items()
}
_ALIGNMENT_NAMES = {value: name.removeprefix("ALIGNMENT_").lower() for name, value in geometry_pb2.Alignment.items()}


class BoxAnswer(BaseModel):
    """Pixels of the upright picture, origin top left."""

    x_min: float
    y_min: float
    x_max: float
    y_max: float


class FaceAnswer(BaseModel):
    """One face."""

    box: BoxAnswer
    confidence: float = Field(description="The detector's score, 0 to 1.")
    landmarks: dict[str, tuple[float, float]] = Field(
        description="Pixels, by name; left and right are the viewer's.", examples=[{"left_eye": [203.1, 106.4]}]
    )

    @classmethod
    def of(cls, face: geometry_pb2.Face) -> Self:
        """From the detector's message."""
        box = face.box
        return cls(
            box=BoxAnswer(x_min=box.x_min, y_min=box.y_min, x_max=box.x_max, y_max=box.y_max),
            confidence=face.confidence,
            landmarks={_LANDMARK_NAMES[m.type]: (m.position.x, m.position.y) for m in face.landmarks},
        )


class DetectAnswer(BaseModel):
    """The faces of a picture, in descending confidence."""

    width: int = Field(description="Of the upright picture, pixels.")
    height: int = Field(description="Of the upright picture, pixels.")
    model: str = Field(description="name@first 12 hex digits of the weights' sha256.")
    notice: str = Field(description="What to know of this answer, for people; empty where there is nothing to say.")
    faces: list[FaceAnswer]

    @classmethod
    def of(cls, message: detector_pb2.DetectFacesResponse) -> Self:
        """From the detector's message."""
        return cls(
            width=message.width_px,
            height=message.height_px,
            model=message.model_id,
            notice=message.notice,
            faces=[FaceAnswer.of(face) for face in message.faces],
        )


class EmbeddedFaceAnswer(FaceAnswer):
    """One face and its embedding."""

    embedding: list[float] | None = Field(description="L2-normalised; null where the face could not be aligned.")
    norm: float | None = Field(description="Of the raw network output.")
    alignment: str | None = Field(description="five_point or four_point: the template the face was aligned to.")


class EmbedAnswer(BaseModel):
    """The faces of a picture with their embeddings."""

    width: int
    height: int
    model: str = Field(description="The detection model.")
    embedding_model: str = Field(description="Embeddings of different models must never be compared.")
    faces: list[EmbeddedFaceAnswer]

    @classmethod
    def of(cls, result: EmbeddedFaces) -> Self:
        """From the pipeline's result."""
        return cls(
            width=result.detection.width_px,
            height=result.detection.height_px,
            model=result.detection.model_id,
            embedding_model=result.model_id,
            faces=[
                EmbeddedFaceAnswer(
                    **FaceAnswer.of(face).model_dump(),
                    embedding=list(embedding.values) if embedding else None,
                    norm=embedding.norm if embedding else None,
                    alignment=_ALIGNMENT_NAMES[face.aligned.alignment] if embedding else None,
                )
                for face, embedding in zip(result.detection.faces, result.embeddings, strict=True)
            ],
        )


class CompareAnswer(BaseModel):
    """How alike the largest faces of two pictures are."""

    similarity: float = Field(description="Cosine similarity, -1 to 1.")
    threshold: float = Field(description="At or above it the model's calibration counts two faces as one person.")
    threshold_calibration: str = Field(description="On which data and at which false accept rate it was found.")
    same_person: bool
    model: str = Field(description="The embedding model.")
    faces: list[FaceAnswer] = Field(description="The face compared in image_a, then in image_b.")

    @classmethod
    def of(cls, result: Comparison) -> Self:
        """From the pipeline's result."""
        return cls(
            similarity=result.similarity,
            threshold=result.threshold,
            threshold_calibration=result.threshold_calibration,
            same_person=result.same_person,
            model=result.model_id,
            faces=[FaceAnswer.of(face) for face in result.faces],
        )


class TierAnswer(BaseModel):
    """Whether a tier serves."""

    status: str = Field(examples=["ready", "not ready"])
    detail: str = Field(description="What to do; empty when ready.")


class ReadyAnswer(BaseModel):
    """Whether pictures can be anonymized, and the state of each tier."""

    status: str = Field(examples=["ready", "not ready"])
    tiers: dict[str, TierAnswer]


class CurveAnswer(BaseModel):
    """How often two people's faces are as alike as that."""

    points: list[tuple[float, float]] = Field(
        description="Cosine similarity, and the share of pairs of two people at or above it; similarities rise."
    )
    pairs: int = Field(description="Pairs of two people behind it.")
    median_genuine: float = Field(description="Cosine similarity that half of the pairs of one person reach.")
    calibrated_on: str

    @classmethod
    def of(cls, message: embedder_pb2.MatchCurve) -> Self:
        """From the embedder's message."""
        return cls(
            points=[(point.similarity, point.false_match_rate) for point in message.points],
            pairs=message.pairs,
            median_genuine=message.median_genuine,
            calibrated_on=message.calibrated_on,
        )


class ClearFaceAnswer(BaseModel):
    """What a face must reach so that the curve holds for it."""

    side_px: int = Field(description="Longer side of its box.")
    norm: float = Field(description="Of its raw embedding.")


class ModelAnswer(BaseModel):
    """One model and whether requests that name it are served."""

    model_config = ConfigDict(protected_namespaces=())

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
    clear: list[ClearFaceAnswer] = Field(
        [], description="Likewise: a face that reaches both values of one of these can be told from other people's."
    )

    @classmethod
    def of_detector(cls, status: detector_pb2.ModelStatus) -> Self:
        """From the detector's message."""
        return cls(
            name=status.name,
            tier="detector",
            model_id=status.model_id,
            license=status.license,
            sha256=status.sha256,
            serving=status.serving,
            is_default=status.is_default,
            detail=status.detail,
        )

    @classmethod
    def of_embedder(cls, answer: embedder_pb2.GetModelResponse | NotReady) -> Self:
        """From the embedder's message, or why there is none."""
        if isinstance(answer, NotReady):
            return cls(
                name="",
                tier="embedder",
                model_id="",
                license="",
                sha256="",
                serving=False,
                is_default=False,
                detail=str(answer),
            )
        return cls(
            name=answer.model_id.partition("@")[0],
            tier="embedder",
            model_id=answer.model_id,
            license=answer.license,
            sha256=answer.sha256,
            serving=True,
            is_default=True,
            detail="",
            threshold=answer.threshold if answer.HasField("threshold") else None,
            curve=CurveAnswer.of(answer.curve) if answer.HasField("curve") else None,
            clear=[ClearFaceAnswer(side_px=each.side_px, norm=each.norm) for each in answer.clear],
        )


class ModelsAnswer(BaseModel):
    """The models that each tier knows."""

    models: list[ModelAnswer]
