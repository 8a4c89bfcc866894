"""Whether a face recogniser still takes a hidden face for what it was before."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Self

import numpy as np

from facet.v1 import embedder_pb2, geometry_pb2
from gateway.anonymize.patches import is_one_colour
from gateway.anonymize.selection import Vector
from gateway.tiers.deadline import Deadline
from gateway.tiers.off_loop import off_loop
from gateway.tiers.pipeline import Pipeline
from services.chassis.errors import NotReady

MAX_COMPARED = 1024
"""Faces whose crops and embeddings are held at once; `summary` tells that the others were not compared."""


class Recognition:
    """The faces that are hidden in a picture, as the embedder knew them before; knows none where no embedder serves."""

    def __init__(self, pipeline: Pipeline, faces: int) -> None:
        self._pipeline = pipeline
        self._faces = faces
        self._known: list[tuple[geometry_pb2.Face, Vector]] = []
        self._threshold = 0.0
        self.model_id = ""
        """Empty = nothing could be compared."""

    @classmethod
    async def of(
        cls, pipeline: Pipeline, original: bytes, faces: Sequence[geometry_pb2.Face], deadline: Deadline
    ) -> Self:
        """Embeds the faces of the original.

        Raises:
            FacetError: As the detector answers; that an embedder is absent or has no threshold is no error.
        """
        recognition = cls(pipeline, len(faces))
        if not await pipeline.embedder_serves():
            return recognition
        compared = faces[:MAX_COMPARED]
        crops = await pipeline.align(original, compared, deadline)
        alignable = [(face, crop) for face, crop in zip(compared, crops, strict=True) if crop is not None]
        try:
            model = await pipeline.deciding_model(deadline)
            embeddings, model_id = await pipeline.embed_aligned([crop for _, crop in alignable], deadline)
        except NotReady:
            return recognition
        if model_id != model.model_id:  # it is just being changed
            return recognition
        recognition._known = [
            (face, np.array(embedding.values, np.float64))
            for (face, _), embedding in zip(alignable, embeddings, strict=True)
        ]
        recognition._threshold = model.threshold
        recognition.model_id = model_id
        return recognition

    async def still_known(self, result: bytes, deadline: Deadline) -> list[geometry_pb2.Face]:
        """The faces that look to the embedder, at their place in the result, as they looked in the original.

        Where nothing but one colour is left, nobody is recognised, whatever the embedder makes of it.

        Raises:
            FacetError: As the detector answers.
        """
        if not self._known:
            return []
        faces = [face for face, _ in self._known]
        crops = [crop for crop in await self._pipeline.align(result, faces, deadline) if crop is not None]
        try:
            embeddings, model_id = await self._pipeline.embed_aligned(crops, deadline)
        except NotReady:
            model_id = ""
        if model_id != self.model_id:  # it left or changed meanwhile
            self._known, self.model_id = [], ""
            return []
        return await off_loop(partial(self._recognised, crops, embeddings), deadline)

    def _recognised(
        self, crops: Sequence[geometry_pb2.AlignedFace], embeddings: Sequence[embedder_pb2.Embedding]
    ) -> list[geometry_pb2.Face]:
        return [
            face
            for (face, before), crop, after in zip(self._known, crops, embeddings, strict=True)
            if float(before @ np.array(after.values, np.float64)) >= self._threshold and not is_one_colour(crop)
        ]

    @property
    def summary(self) -> str:
        """What was compared, for the answer: "compared", "compared 3 of 4" or "not compared"."""
        if not self.model_id:
            return "not compared"
        return "compared" if len(self._known) == self._faces else f"compared {len(self._known)} of {self._faces}"
