"""Whether a face is large and sharp enough to be told from other people's."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

from facet.v1 import embedder_pb2, geometry_pb2

UNMEASURED_SIDE_PX = 64
"""Longer side of a clear face, where a model's manifest entry says nothing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ClearFrom:
    """A face is clear that reaches both."""

    side_px: float
    """Longer side of its box."""
    norm: float
    """Of its raw embedding: soft faces have a small one, and soft faces of two people look alike to an embedder."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Clarity:
    """What a model needs to tell a face from other people's."""

    steps: Sequence[ClearFrom]
    """One of them suffices: the smaller a face, the sharper it must be."""

    @classmethod
    def of(cls, model: embedder_pb2.GetModelResponse) -> Self:
        """As it was measured for the model; by size alone where it was not."""
        measured = [ClearFrom(side_px=each.side_px, norm=each.norm) for each in model.clear]
        return cls(steps=measured or [ClearFrom(side_px=UNMEASURED_SIDE_PX, norm=0)])

    def has(self, side_px: float, norm: float) -> bool:
        """Whether a face of this size and norm is clear."""
        return any(side_px >= step.side_px and norm >= step.norm for step in self.steps)

    def may_have(self, side_px: float | None, norm: float | None) -> bool:
        """The same, where one or both are not known: whether it may be clear."""
        return any(
            (side_px is None or side_px >= step.side_px) and (norm is None or norm >= step.norm) for step in self.steps
        )


def side_px(face: geometry_pb2.Face) -> float:
    """The longer side of a face's box, pixels."""
    return max(face.box.x_max - face.box.x_min, face.box.y_max - face.box.y_min)
