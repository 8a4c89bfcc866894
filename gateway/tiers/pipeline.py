"""What the tiers do for a request: faces of pictures, their crops and embeddings, hidden regions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from facet.v1 import anonymizer_pb2, detector_pb2, embedder_pb2, geometry_pb2, image_pb2
from gateway.tiers.channels import Tiers
from gateway.tiers.deadline import Deadline
from services.chassis.errors import InvalidRequest, NotReady

FACES_A_CALL = 64
"""A picture of a crowd is embedded in several calls, so that none is larger than the embedder's queue."""
CROPS_A_CALL = 256
"""A crowd's crops are fetched in several calls, so that no answer is larger than a message may be."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EmbeddedFaces:
    """The faces of a picture and the embedding of each; None where a face's landmarks allowed no aligned crop."""

    detection: detector_pb2.DetectFacesResponse
    embeddings: list[embedder_pb2.Embedding | None]
    model_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class EmbeddedFace:
    """One face, its embedding, and the model that made it."""

    face: geometry_pb2.Face
    embedding: embedder_pb2.Embedding
    model_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """How alike the largest faces of two pictures are."""

    similarity: float
    """Cosine, -1 to 1."""
    threshold: float
    threshold_calibration: str
    """On which data and at which false accept rate the threshold was found, for people."""
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

    async def align(
        self, content: bytes, faces: Sequence[geometry_pb2.Face], deadline: Deadline
    ) -> list[geometry_pb2.AlignedFace | None]:
        """The aligned crops of known faces; None where a face's landmarks allow none.

        Raises:
            FacetError: As the detector answers.
        """
        crops: list[geometry_pb2.AlignedFace | None] = []
        for start in range(0, len(faces), CROPS_A_CALL):
            request = detector_pb2.AlignFacesRequest(
                image=image_pb2.Image(content=content), faces=faces[start : start + CROPS_A_CALL]
            )
            answer = await self._tiers.detector.call(self._tiers.detector_stub.AlignFaces, request, deadline)
            crops.extend(crop if crop.pixels else None for crop in answer.aligned)
        return crops

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
        embeddings, model_id = await self.embed_aligned(aligned, deadline)
        remaining = iter(embeddings)
        return EmbeddedFaces(
            detection=detection,
            embeddings=[next(remaining) if face.HasField("aligned") else None for face in detection.faces],
            model_id=model_id,
        )

    async def embed_largest(
        self, content: bytes, config: detector_pb2.DetectionConfig, deadline: Deadline
    ) -> EmbeddedFace | None:
        """The largest face of a picture and its embedding; None where no face is found.

        Raises:
            FacetError: As the detector or the embedder answers.
        """
        config.include_aligned = True
        detection = await self.detect(content, config, deadline)
        faces = [face for face in detection.faces if face.HasField("aligned")]
        if not faces:
            return None
        largest = max(faces, key=lambda f: (f.box.x_max - f.box.x_min) * (f.box.y_max - f.box.y_min))
        [embedding], model_id = await self.embed_aligned([largest.aligned], deadline)
        return EmbeddedFace(face=largest, embedding=embedding, model_id=model_id)

    async def compare(
        self, content_a: bytes, content_b: bytes, config: detector_pb2.DetectionConfig, deadline: Deadline
    ) -> Comparison:
        """Compares the largest face of each picture.

        Raises:
            InvalidRequest: A picture shows no face; the message names which.
            NotReady: The embedding model has no calibrated threshold, or is just being changed.
            FacetError: As the detector or the embedder answers.
        """
        a, b = [
            await self._largest_of(content, field, config, deadline)
            for content, field in ((content_a, "image_a"), (content_b, "image_b"))
        ]
        model = await self.deciding_model(deadline)
        if {a.model_id, b.model_id} != {model.model_id}:  # embeddings of different models are never compared
            raise NotReady("the embedder is changing its model; try again shortly")
        similarity = sum(x * y for x, y in zip(a.embedding.values, b.embedding.values, strict=True))
        return Comparison(
            similarity=similarity,
            threshold=model.threshold,
            threshold_calibration=model.threshold_calibration,
            same_person=similarity >= model.threshold,
            model_id=model.model_id,
            faces=(a.face, b.face),
        )

    async def _largest_of(
        self, content: bytes, field: str, config: detector_pb2.DetectionConfig, deadline: Deadline
    ) -> EmbeddedFace:
        try:
            face = await self.embed_largest(content, config, deadline)
        except InvalidRequest as error:  # the caller has sent two pictures: say which is meant
            raise type(error)(f"{field}: {error}") from error
        if face is None:
            raise InvalidRequest(f"{field}: no face was found; send a picture that shows the face larger or sharper")
        return face

    async def detection_models(self, deadline: Deadline) -> Sequence[detector_pb2.ModelStatus]:
        """The detection models and their states.

        Raises:
            FacetError: As the detector answers.
        """
        answer = await self._tiers.detector.call(
            self._tiers.detector_stub.ListModels, detector_pb2.ListModelsRequest(), deadline
        )
        return answer.models

    async def embedding_model(self, deadline: Deadline) -> embedder_pb2.GetModelResponse:
        """The model that embeds.

        Raises:
            FacetError: As the embedder answers.
        """
        request = embedder_pb2.GetModelRequest()
        return await self._tiers.embedder.call(self._tiers.embedder_stub.GetModel, request, deadline)

    async def deciding_model(self, deadline: Deadline) -> embedder_pb2.GetModelResponse:
        """The model that embeds, with the threshold that decides who is who.

        Raises:
            NotReady: It was never calibrated.
            FacetError: As the embedder answers.
        """
        model = await self.embedding_model(deadline)
        if not model.HasField("threshold"):
            raise NotReady(
                f"{model.model_id} has no decision threshold: `facet calibrate` computes one for the manifest"
            )
        return model

    async def embedder_serves(self) -> bool:
        """Whether the embedder answers that it is ready; says so within a second, also where it hangs."""
        return (await self._tiers.embedder.state()).ready

    async def embed_aligned(
        self, aligned: Sequence[geometry_pb2.AlignedFace], deadline: Deadline
    ) -> tuple[list[embedder_pb2.Embedding], str]:
        """The embeddings of aligned faces, however many, and the model that made them all.

        Raises:
            FacetError: As the embedder answers.
        """
        if not aligned:  # nothing to embed, but the answer still names the model
            return [], (await self.embedding_model(deadline)).model_id
        embeddings: list[embedder_pb2.Embedding] = []
        models: set[str] = set()
        for start in range(0, len(aligned), FACES_A_CALL):
            request = embedder_pb2.EmbedFacesRequest(faces=aligned[start : start + FACES_A_CALL])
            answer = await self._tiers.embedder.call(self._tiers.embedder_stub.EmbedFaces, request, deadline)
            embeddings.extend(answer.embeddings)
            models.add(answer.model_id)
        if len(models) > 1:
            raise NotReady("the embedder is changing its model; try again shortly")
        return embeddings, models.pop()
