"""The tiers' messages as the models of the API's JSON."""

from __future__ import annotations

from facet.v1 import detector_pb2, embedder_pb2, geometry_pb2
from facet_client.api import (
    BoxAnswer,
    ClearFaceAnswer,
    CompareAnswer,
    CurveAnswer,
    DetectAnswer,
    EmbedAnswer,
    EmbeddedFaceAnswer,
    FaceAnswer,
    ModelAnswer,
)
from gateway.tiers.pipeline import Comparison, EmbeddedFaces
from services.chassis.errors import NotReady

_LANDMARK_NAMES = {
    value: name.removeprefix("LANDMARK_TYPE_").lower() for name, value in geometry_pb2.LandmarkType.items()
}
_ALIGNMENT_NAMES = {value: name.removeprefix("ALIGNMENT_").lower() for name, value in geometry_pb2.Alignment.items()}


def detect_answer(message: detector_pb2.DetectFacesResponse) -> DetectAnswer:
    """From the detector's message."""
    return DetectAnswer(
        width=message.width_px,
        height=message.height_px,
        model=message.model_id,
        notice=message.notice,
        faces=tuple(_face(face) for face in message.faces),
    )


def embed_answer(result: EmbeddedFaces) -> EmbedAnswer:
    """From the pipeline's result."""
    return EmbedAnswer(
        width=result.detection.width_px,
        height=result.detection.height_px,
        model=result.detection.model_id,
        embedding_model=result.model_id,
        faces=tuple(
            EmbeddedFaceAnswer(
                box=_box(face.box),
                confidence=face.confidence,
                landmarks=_landmarks(face),
                embedding=list(embedding.values) if embedding else None,
                norm=embedding.norm if embedding else None,
                alignment=_ALIGNMENT_NAMES[face.aligned.alignment] if embedding else None,
            )
            for face, embedding in zip(result.detection.faces, result.embeddings, strict=True)
        ),
    )


def compare_answer(result: Comparison) -> CompareAnswer:
    """From the pipeline's result."""
    return CompareAnswer(
        similarity=result.similarity,
        threshold=result.threshold,
        threshold_calibration=result.threshold_calibration,
        same_person=result.same_person,
        model=result.model_id,
        faces=tuple(_face(face) for face in result.faces),
    )


def detector_model(status: detector_pb2.ModelStatus) -> ModelAnswer:
    """From the detector's message."""
    return ModelAnswer(
        name=status.name,
        tier="detector",
        model_id=status.model_id,
        license=status.license,
        sha256=status.sha256,
        serving=status.serving,
        is_default=status.is_default,
        detail=status.detail,
    )


def embedder_model(answer: embedder_pb2.GetModelResponse | NotReady) -> ModelAnswer:
    """From the embedder's message, or why there is none."""
    if isinstance(answer, NotReady):
        return ModelAnswer(
            name="",
            tier="embedder",
            model_id="",
            license="",
            sha256="",
            serving=False,
            is_default=False,
            detail=str(answer),
        )
    return ModelAnswer(
        name=answer.model_id.partition("@")[0],
        tier="embedder",
        model_id=answer.model_id,
        license=answer.license,
        sha256=answer.sha256,
        serving=True,
        is_default=True,
        detail="",
        threshold=answer.threshold if answer.HasField("threshold") else None,
        curve=_curve(answer.curve) if answer.HasField("curve") else None,
        clear=tuple(ClearFaceAnswer(side_px=each.side_px, norm=each.norm) for each in answer.clear),
    )


def _face(face: geometry_pb2.Face) -> FaceAnswer:
    return FaceAnswer(box=_box(face.box), confidence=face.confidence, landmarks=_landmarks(face))


def _box(box: geometry_pb2.BoundingBox) -> BoxAnswer:
    return BoxAnswer(x_min=box.x_min, y_min=box.y_min, x_max=box.x_max, y_max=box.y_max)


def _landmarks(face: geometry_pb2.Face) -> dict[str, tuple[float, float]]:
    return {_LANDMARK_NAMES[m.type]: (m.position.x, m.position.y) for m in face.landmarks}


def _curve(message: embedder_pb2.MatchCurve) -> CurveAnswer:
    return CurveAnswer(
        points=tuple((point.similarity, point.false_match_rate) for point in message.points),
        pairs=message.pairs,
        median_genuine=message.median_genuine,
        calibrated_on=message.calibrated_on,
    )
