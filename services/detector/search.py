"""How hard to look for faces, and the seam that every way of looking stands behind."""

from __future__ import annotations

from enum import Enum, auto
from typing import Protocol

from services.chassis.pictures.looks import Look
from services.detector.faces import Face


class Recall(Enum):
    """How hard to look."""

    FAST = auto()
    BALANCED = auto()
    MAX = auto()


class FaceSearch(Protocol):
    """Finds the faces of a picture with one or more models."""

    notice: str
    """What an owner should know of every answer; empty where there is nothing to say."""

    def model_id(self, recall: Recall) -> str:
        """The model that answers, or several joined by "+"."""
        ...

    def own_confidence(self, recall: Recall) -> float:
        """The lowest score of a face that it answers where no `min_confidence` is given."""
        ...

    def search(self, picture: Look, *, recall: Recall, min_confidence: float | None) -> list[Face]:
        """The faces in pixels of what is searched, in descending confidence.

        Args:
            picture: What to search; it is decoded as small as the search allows.
            recall: How hard to look.
            min_confidence: 0.02 to 1; None = what suits the model and the recall.

        Raises:
            InvalidPicture: The content is damaged.
        """
        ...
