"""What a model can decide: the rules by which people are kept or hidden, with the values it was calibrated to."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from facet.v1 import embedder_pb2
from gateway.anonymize.clarity import Clarity, side_px
from gateway.anonymize.selection import Decision, Faces, Keep, Only, Reference, Selection
from gateway.anonymize.thresholds import MatchCurve
from gateway.tiers.pipeline import EmbeddedFaces
from services.chassis.errors import InvalidRequest, NotReady


def keep(model: embedder_pb2.GetModelResponse, references: Sequence[Reference]) -> Keep:
    """Everyone is hidden but these people.

    Raises:
        NotReady: How many comparisons the model can carry was never measured.
    """
    if not (model.HasField("curve") and model.clear):
        raise NotReady(
            f"{model.model_id} has no false-match curve, so nobody can be kept safely: `facet calibrate` "
            "computes one for the manifest"
        )
    return Keep(references=references, pair_threshold=model.threshold, curve=MatchCurve.from_wire(model.curve))


def only(model: embedder_pb2.GetModelResponse, references: Sequence[Reference]) -> Only:
    """These people are hidden and nobody else.

    Raises:
        InvalidRequest: A reference is too unclear to know its person by.
    """
    for reference in references:
        if not reference.clear:
            raise InvalidRequest(
                f"{reference.name}: the face is too small or too blurred to recognise, so this person could be "
                "missed; send a clearer reference"
            )
    return Only(references=references, pair_threshold=model.threshold)


def decide(selection: Selection, embedded: EmbeddedFaces, model: embedder_pb2.GetModelResponse) -> Decision:
    """Which faces of a picture stay visible. Blocks: for a crowd, some milliseconds."""
    clarity = Clarity.of(model)
    faces = embedded.detection.faces
    vectors = np.full((len(faces), model.dimension), np.nan)
    clear = np.zeros(len(faces), np.bool_)
    for index, (face, embedding) in enumerate(zip(faces, embedded.embeddings, strict=True)):
        if embedding is not None:
            vectors[index] = embedding.values
            clear[index] = clarity.has(side_px(face), embedding.norm)
    return selection.decide(Faces(vectors=vectors, clear=clear))
