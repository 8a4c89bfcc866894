"""How the tiers are composed: picture -> faces -> hidden picture, or picture -> faces -> embeddings."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from facet.v1 import anonymizer_pb2, detector_pb2, embedder_pb2, geometry_pb2, image_pb2
from gateway.deadline import Deadline
from gateway.tiers import Tiers
from services.chassis.errors import InvalidRequest, NotReady


@dataclass(frozen=True, slots=True, kw_only=True)
class AnonymizedPicture:
    """A picture with its faces hidden."""

    content: bytes
    media_type: str
    hidden_faces: int
    model_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class EmbeddedFaces:
    """The faces of a picture and the embedding of each; None where a face's landmarks allowed no aligned crop."""

    detection: detector_pb2.DetectFacesResponse
    embeddings: list[embedder_pb2.Embedding | None]
    model_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """How alike the largest faces of two pictures are."""

    similarity: float
    """Cosine, -1 to 1."""
    threshold: float
    same_person: bool
    model_id: str
    faces: tuple[geometry_pb2.Face, geometry_pb2.Face]


class Pipeline:
    """Runs one request through the tiers it needs; every method keeps to the deadline it is given."""

    def __init__(self, tiers: Tiers) -> None:
        self._tiers = tiers

    async def detect(
        self, content: bytes, config: detector_pb2.DetectionConfig, deadline: Deadline
    ) -> detector_pb2.DetectFacesResponse:
        """The faces of a picture.

        Raises:
            FacetError: As the detector answers.
        """
        request = detector_pb2.DetectFacesRequest(image=image_pb2.Image(content=content), config=config)
        return await self._tiers.detector.call(self._tiers.detector_stub.DetectFaces, request, deadline)

    async def anonymize(
        self,
        content: bytes,
        config: detector_pb2.DetectionConfig,
        redaction: anonymizer_pb2.Redaction,
        deadline: Deadline,
    ) -> AnonymizedPicture:
        """The picture with every face hidden that the detector finds.

        Raises:
            FacetError: As the detector or the anonymizer answers; the original is never passed off as done.
        """
        detection = await self.detect(content, config, deadline)
        request = anonymizer_pb2.AnonymizeImageRequest(
            image=image_pb2.Image(content=content),
            regions=[anonymizer_pb2.Region(box=face.box, landmarks=face.landmarks) for face in detection.faces],
            redaction=redaction,
        )
        done = await self.hide(request, deadline)
        return AnonymizedPicture(
            content=done.image.content,
            media_type=done.media_type,
            hidden_faces=done.hidden_regions,
            model_id=detection.model_id,
        )

    async def hide(
        self, request: anonymizer_pb2.AnonymizeImageRequest, deadline: Deadline
    ) -> anonymizer_pb2.AnonymizeImageResponse:
        """A picture with the given regions hidden.

        Raises:
            FacetError: As the anonymizer answers.
        """
        return await self._tiers.anonymizer.call(self._tiers.anonymizer_stub.AnonymizeImage, request, deadline)

    async def embed(self, content: bytes, config: detector_pb2.DetectionConfig, deadline: Deadline) -> EmbeddedFaces:
        """The faces of a picture with their embeddings.

        Raises:
            FacetError: As the detector or the embedder answers.
        """
        config.include_aligned = True
        detection = await self.detect(content, config, deadline)
        aligned = [face.aligned for face in detection.faces if face.HasField("aligned")]
        answer = await self._embed(aligned, deadline)
        remaining = iter(answer.embeddings)
        return EmbeddedFaces(
            detection=detection,
            embeddings=[next(remaining) if face.HasField("aligned") else None for face in detection.faces],
            model_id=answer.model_id,
        )

    async def compare(
        self, content_a: bytes, content_b: bytes, config: detector_pb2.DetectionConfig, deadline: Deadline
    ) -> Comparison:
        """Compares the largest face of each picture.

        Raises:
            InvalidRequest: A picture shows no face.
            NotReady: The embedding model has no calibrated threshold.
            FacetError: As the detector or the embedder answers.
        """
        config.include_aligned = True
        face_a = _largest_face(await self.detect(content_a, config, deadline), "image_a")
        face_b = _largest_face(await self.detect(content_b, config, deadline), "image_b")
        model = await self._tiers.embedder.call(
            self._tiers.embedder_stub.GetModel, embedder_pb2.GetModelRequest(), deadline
        )
        if not model.HasField("threshold"):
            raise NotReady(f"{model.model_id} has no decision threshold: calibrate it and enter it in the manifest")
        answer = await self._embed([face_a.aligned, face_b.aligned], deadline)
        if answer.model_id != model.model_id:
            raise NotReady("the embedder is changing its model; try again shortly")
        a, b = answer.embeddings
        similarity = sum(x * y for x, y in zip(a.values, b.values, strict=True))
        return Comparison(
            similarity=similarity,
            threshold=model.threshold,
            same_person=similarity >= model.threshold,
            model_id=answer.model_id,
            faces=(face_a, face_b),
        )

    async def models(self, deadline: Deadline) -> Sequence[detector_pb2.ModelStatus]:
        """The detection models and their states.

        Raises:
            FacetError: As the detector answers.
        """
        answer = await self._tiers.detector.call(
            self._tiers.detector_stub.ListModels, detector_pb2.ListModelsRequest(), deadline
        )
        return answer.models

    async def _embed(
        self, aligned: list[geometry_pb2.AlignedFace], deadline: Deadline
    ) -> embedder_pb2.EmbedFacesResponse:
        if not aligned:  # nothing to embed, but the answer still names the model
            model = await self._tiers.embedder.call(
                self._tiers.embedder_stub.GetModel, embedder_pb2.GetModelRequest(), deadline
            )
            return embedder_pb2.EmbedFacesResponse(model_id=model.model_id)
        request = embedder_pb2.EmbedFacesRequest(faces=aligned)
        return await self._tiers.embedder.call(self._tiers.embedder_stub.EmbedFaces, request, deadline)


def _largest_face(detection: detector_pb2.DetectFacesResponse, field: str) -> geometry_pb2.Face:
    faces = [face for face in detection.faces if face.HasField("aligned")]
    if not faces:
        raise InvalidRequest(f"no face was found in {field}; send a picture that shows the face larger or sharper")
    return max(faces, key=lambda f: (f.box.x_max - f.box.x_min) * (f.box.y_max - f.box.y_min))
