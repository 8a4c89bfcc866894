"""The people that a caller names: each by a picture of them or by an embedding. Nothing of them is kept."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from typing import TypeVar

import numpy as np
from pydantic import BaseModel, ConfigDict

from facet.v1 import detector_pb2, embedder_pb2, geometry_pb2
from gateway.anonymize.clarity import Clarity, side_px
from gateway.anonymize.documents import is_document, read_document
from gateway.anonymize.given_faces import GivenBox
from gateway.anonymize.selection import Reference
from gateway.tiers.deadline import Deadline
from gateway.tiers.off_loop import off_loop
from gateway.tiers.pipeline import Pipeline
from services.chassis.errors import InvalidRequest, NotReady

BYSTANDER = 0.5
"""Faces below so much of the side of the largest face count as background, not as another person."""
NOT_CLEAR = (
    "the face is too small or too blurred to recognise; send a picture that shows it larger and sharper, from the front"
)
DETECTED_AT_ONCE = 4
"""Pictures of one request's references that are searched at a time."""
T = TypeVar("T")


class _EmbeddedFace(BaseModel):
    """As `/v1/embed` answers a face; without box or norm, nobody knows how clear it was."""

    model_config = ConfigDict(allow_inf_nan=False)

    embedding: list[float] | None = None
    norm: float | None = None
    box: GivenBox | None = None

    @property
    def side_px(self) -> float | None:
        """The longer side of its box; None = not known."""
        return None if self.box is None else max(self.box.x_max - self.box.x_min, self.box.y_max - self.box.y_min)


class EmbeddingDocument(_EmbeddedFace):
    """An embedding and its model, or what `/v1/embed` answers for a picture of one face."""

    embedding_model: str
    faces: list[_EmbeddedFace] | None = None


async def embed_references(
    references: Mapping[str, bytes],
    *,
    detection_model: str,
    embedding_model: embedder_pb2.GetModelResponse,
    pipeline: Pipeline,
    deadline: Deadline,
) -> list[Reference]:
    """One embedding a reference, in their order.

    Args:
        references: By a name for messages, such as keep[1]: each a picture or an EmbeddingDocument.
        detection_model: Empty = the default.
        embedding_model: The one that will embed the photograph.
        pipeline: The tiers.
        deadline: Of the request.

    Raises:
        InvalidRequest: A reference shows no face, several, or one that is not clear, or its embedding is another
            model's.
        FacetError: As the detector or the embedder answers.
    """
    clarity = Clarity.of(embedding_model)
    documents = {name: content for name, content in references.items() if is_document(content)}
    found = await off_loop(
        lambda: {name: _from_document(content, name, embedding_model, clarity) for name, content in documents.items()},
        deadline,
    )
    pictures = {name: content for name, content in references.items() if name not in documents}
    config = detector_pb2.DetectionConfig(model=detection_model, include_aligned=True)
    faces = await _the_faces(pictures, config, pipeline, deadline)
    embeddings, model_id = await pipeline.embed_aligned([face.aligned for face in faces], deadline)
    if model_id != embedding_model.model_id:
        raise NotReady("the embedder is changing its model; try again shortly")
    for name, face, embedding in zip(pictures, faces, embeddings, strict=True):
        if not clarity.has(side_px(face), embedding.norm):
            raise InvalidRequest(f"{name}: {NOT_CLEAR}")
        found[name] = Reference(name=name, vector=np.array(embedding.values, np.float64))
    return [found[name] for name in references]


async def _the_faces(
    pictures: Mapping[str, bytes], config: detector_pb2.DetectionConfig, pipeline: Pipeline, deadline: Deadline
) -> list[geometry_pb2.Face]:
    """The face of each picture, in their order; a few are searched at a time."""
    free = asyncio.Semaphore(DETECTED_AT_ONCE)

    async def search(name: str, content: bytes) -> geometry_pb2.Face:
        async with free:
            try:
                detection = await pipeline.detect(content, config, deadline)
            except InvalidRequest as error:  # the caller has sent several pictures: say which is meant
                raise type(error)(f"{name}: {error}") from error
            return the_one_face(detection.faces, name)

    try:
        async with asyncio.TaskGroup() as group:
            searches = [group.create_task(search(name, content)) for name, content in pictures.items()]
    except ExceptionGroup as failed:
        raise failed.exceptions[0] from None
    return [done.result() for done in searches]


def main_face(
    faces: Sequence[T], *, side_px: Callable[[T], float], recognisable: Callable[[T], bool], where: str = ""
) -> T:
    """The face of the person that a reference picture is of: at least twice as large as any other.

    Args:
        faces: All of the picture.
        side_px: The longer side of a face's box.
        recognisable: Whether a face could be aligned.
        where: Begins the messages.

    Raises:
        InvalidRequest: There is none, or another is large as well, or it cannot be aligned.
    """
    by_size = sorted(faces, key=side_px, reverse=True)
    if not by_size:
        raise InvalidRequest(f"{where}no face was found; send a picture that shows the face larger or sharper")
    largest, *others = by_size
    if others and side_px(others[0]) > BYSTANDER * side_px(largest):
        raise InvalidRequest(f"{where}several faces were found; send a picture of one person")
    if not recognisable(largest):
        raise InvalidRequest(
            f"{where}the face is not clear enough to recognise; send a picture that shows it from the front"
        )
    return largest


def the_one_face(faces: Sequence[geometry_pb2.Face], name: str) -> geometry_pb2.Face:
    """The `main_face` of a picture that the detector searched; `name` says where in messages."""
    return main_face(faces, side_px=side_px, recognisable=lambda face: bool(face.aligned.pixels), where=f"{name}: ")


def _from_document(content: bytes, name: str, model: embedder_pb2.GetModelResponse, clarity: Clarity) -> Reference:
    document = read_document(EmbeddingDocument, content, field=name)
    if document.embedding_model != model.model_id:
        raise InvalidRequest(
            f"{name}.embedding_model: embeddings of different models cannot be compared, and {model.model_id} "
            "is used here; embed the reference again"
        )
    face = _face(document, name)
    values = face.embedding or []
    vector = np.array(values, np.float64)
    norm = float(np.linalg.norm(vector))
    if len(values) != model.dimension or not 0 < norm < np.inf:
        raise InvalidRequest(f"{name}: the embedding needs {model.dimension} numbers, not all 0")
    return Reference(name=name, vector=vector / norm, clear=clarity.may_have(face.side_px, face.norm))


def _face(document: EmbeddingDocument, name: str) -> _EmbeddedFace:
    if document.embedding is not None and document.faces is None:
        return document
    if document.embedding is not None or document.faces is None:
        raise InvalidRequest(f"{name}: needs either `embedding` or the `faces` that /v1/embed returns")
    if len(document.faces) != 1:
        raise InvalidRequest(f"{name}.faces: needs exactly one face, not {len(document.faces)}")
    if document.faces[0].embedding is None:
        raise InvalidRequest(f"{name}.faces[0].embedding: the face could not be aligned; send another picture of it")
    return document.faces[0]
