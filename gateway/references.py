"""The people that a caller names: each by a picture of them or by an embedding. Nothing of them is kept."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial

import numpy as np
from pydantic import BaseModel, ConfigDict

from facet.v1 import detector_pb2, embedder_pb2, geometry_pb2
from gateway.deadline import Deadline
from gateway.documents import is_document, read_document
from gateway.off_loop import off_loop
from gateway.pipeline import Pipeline
from gateway.selection import Vector
from services.chassis.errors import InvalidRequest, NotReady

BYSTANDER = 0.5
"""Faces below so much of the side of the largest face count as background, not as another person."""


class _EmbeddedFace(BaseModel):
    embedding: list[float] | None


class EmbeddingDocument(BaseModel):
    """An embedding and its model, or what `/v1/embed` answers for a picture of one face."""

    model_config = ConfigDict(allow_inf_nan=False)

    embedding_model: str
    embedding: list[float] | None = None
    faces: list[_EmbeddedFace] | None = None


async def embed_references(
    references: Mapping[str, bytes],
    *,
    detection_model: str,
    embedding_model: embedder_pb2.GetModelResponse,
    pipeline: Pipeline,
    deadline: Deadline,
) -> list[Vector]:
    """One embedding a reference, in no order.

    Args:
        references: By a name for messages, such as keep[1]: each a picture or an EmbeddingDocument.
        detection_model: Empty = the default.
        embedding_model: The one that will embed the photograph.
        pipeline: The tiers.
        deadline: Of the request.

    Raises:
        InvalidRequest: A reference shows no face or several, or its embedding is another model's.
        FacetError: As the detector or the embedder answers.
    """
    documents = {name: content for name, content in references.items() if is_document(content)}
    vectors = [
        await off_loop(partial(_from_document, content, name, embedding_model), deadline)
        for name, content in documents.items()
    ]
    config = detector_pb2.DetectionConfig(model=detection_model, include_aligned=True)
    crops = []
    for name, content in references.items():
        if name in documents:
            continue
        try:
            detection = await pipeline.detect(content, config, deadline)
        except InvalidRequest as error:  # the caller has sent several pictures: say which is meant
            raise type(error)(f"{name}: {error}") from error
        crops.append(the_one_face(detection.faces, name).aligned)
    embeddings, model_id = await pipeline.embed_aligned(crops, deadline)
    if model_id != embedding_model.model_id:
        raise NotReady("the embedder is changing its model; try again shortly")
    return vectors + [np.array(embedding.values, np.float64) for embedding in embeddings]


def the_one_face(faces: Sequence[geometry_pb2.Face], name: str) -> geometry_pb2.Face:
    """The face of the person that a reference picture is of: at least twice as large as any other.

    Raises:
        InvalidRequest: There is none, or another is large as well, or it cannot be aligned; `name` says where.
    """
    by_size = sorted(faces, key=_side_px, reverse=True)
    if not by_size:
        raise InvalidRequest(f"{name}: no face was found; send a picture that shows the face larger or sharper")
    largest, *others = by_size
    if others and _side_px(others[0]) > BYSTANDER * _side_px(largest):
        raise InvalidRequest(f"{name}: several faces were found; send a picture of one person")
    if not largest.aligned.pixels:
        raise InvalidRequest(
            f"{name}: the face cannot be told well enough; send a picture that shows it from the front"
        )
    return largest


def _side_px(face: geometry_pb2.Face) -> float:
    return max(face.box.x_max - face.box.x_min, face.box.y_max - face.box.y_min)


def _from_document(content: bytes, name: str, model: embedder_pb2.GetModelResponse) -> Vector:
    document = read_document(EmbeddingDocument, content, field=name)
    if document.embedding_model != model.model_id:
        raise InvalidRequest(
            f"{name}.embedding_model: embeddings of different models cannot be compared, and {model.model_id} embeds "
            "here; embed the reference again"
        )
    values = _values(document, name)
    vector = np.array(values, np.float64)
    norm = float(np.linalg.norm(vector))
    if len(values) != model.dimension or not 0 < norm < np.inf:
        raise InvalidRequest(f"{name}: the embedding needs {model.dimension} numbers, not all of them 0")
    return vector / norm


def _values(document: EmbeddingDocument, name: str) -> list[float]:
    if document.embedding is not None and document.faces is None:
        return document.embedding
    if document.embedding is not None or document.faces is None:
        raise InvalidRequest(f"{name}: needs either `embedding` or the `faces` that /v1/embed answers")
    if len(document.faces) != 1:
        raise InvalidRequest(f"{name}.faces: needs exactly one face, these are {len(document.faces)}")
    values = document.faces[0].embedding
    if values is None:
        raise InvalidRequest(f"{name}.faces[0].embedding: the face could not be aligned; send another picture of it")
    return values
