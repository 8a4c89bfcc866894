"""By whom they show, which faces stay visible: those of people to keep, or all but those of people to hide.

A face whose identity is in doubt is hidden either way.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

Vector = NDArray[np.float64]  # D, L2-normalised

DOUBT = 0.1
"""So far below the threshold for one person, cosine, a face is taken to be someone else's."""


class Selection(Protocol):
    """Tells which faces stay visible."""

    def shows(self, face: Vector | None) -> bool:
        """Whether a face stays visible; None = it could not be embedded."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Keep:
    """Everyone is hidden but these people."""

    people: Sequence[Vector]
    threshold: float
    """Cosine similarity from which on two faces count as one person."""

    def shows(self, face: Vector | None) -> bool:
        """Whether it is the face of one of them."""
        return face is not None and any(float(face @ person) >= self.threshold for person in self.people)


@dataclass(frozen=True, slots=True, kw_only=True)
class Only:
    """These people are hidden and nobody else."""

    people: Sequence[Vector]
    threshold: float
    """Cosine similarity from which on two faces count as one person."""

    def shows(self, face: Vector | None) -> bool:
        """Whether it is surely the face of someone else."""
        return face is not None and all(float(face @ person) < self.threshold - DOUBT for person in self.people)
