"""Faces as detectors find them, and the seam that every detector stands behind."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Protocol

from services.chassis.pictures.geometry import Box, LandmarkType, Point, RgbImage


@dataclass(frozen=True, slots=True, kw_only=True)
class Face:
    """One detected face, in pixels of the picture that was searched."""

    box: Box
    confidence: float
    """The detector's score, 0 to 1."""
    landmarks: Mapping[LandmarkType, Point]

    def moved(self, *, dx: float, dy: float, scale_x: float, scale_y: float) -> Face:
        """The same face in another picture's pixels: first moved by `dx`, `dy`, then scaled."""

        def move(x: float, y: float) -> tuple[float, float]:
            return (x + dx) * scale_x, (y + dy) * scale_y

        x_min, y_min = move(self.box.x_min, self.box.y_min)
        x_max, y_max = move(self.box.x_max, self.box.y_max)
        return Face(
            box=Box(x_min=x_min, y_min=y_min, x_max=x_max, y_max=y_max),
            confidence=self.confidence,
            landmarks={kind: Point(*move(point.x, point.y)) for kind, point in self.landmarks.items()},
        )

    def within(self, *, width_px: int, height_px: int) -> Face | None:
        """The face as far as it lies in a picture of that size; None where it lies beside it.

        Landmarks stay where they are, as faces are turned upright by them; without numbers they are left out.

        Raises:
            ValueError: The box or the confidence is no number.
        """
        box = self.box
        if not all(map(math.isfinite, (box.x_min, box.y_min, box.x_max, box.y_max, self.confidence))):
            raise ValueError("a detector returned a face without a position")
        cut = Box(
            x_min=min(max(box.x_min, 0.0), width_px),
            y_min=min(max(box.y_min, 0.0), height_px),
            x_max=min(max(box.x_max, 0.0), width_px),
            y_max=min(max(box.y_max, 0.0), height_px),
        )
        if cut.width <= 0 or cut.height <= 0:
            return None
        landmarks = {kind: p for kind, p in self.landmarks.items() if math.isfinite(p.x) and math.isfinite(p.y)}
        return replace(self, box=cut, landmarks=landmarks)


class FaceDetector(Protocol):
    """Finds faces in pictures of any size; safe to call from several threads."""

    name: str
    model_id: str
    """name@first 12 hex digits of the weights' sha256."""

    def detect(self, pictures: Sequence[RgbImage], *, min_confidence: float) -> list[list[Face]]:
        """The faces of each picture, scored at least `min_confidence`, in descending confidence."""
        ...

    def close(self) -> None:
        """Frees native memory; no call may follow."""
        ...
