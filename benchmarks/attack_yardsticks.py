"""Styles that nobody should use, to compare with: a mosaic whose cells ignore the face's size, and none at all."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from services.anonymizer.regions import Mask
from services.anonymizer.styles import Scene
from services.chassis.pictures.pixels import Samples


@dataclass(frozen=True, slots=True, kw_only=True)
class FixedMosaic:
    """Averages over cells of so many pixels, whatever the size of the face."""

    cell_px: int
    weak = True

    def context_px(self, face_px: float) -> int:  # noqa: ARG002
        """None."""
        return 0

    def render(self, samples: Samples, visible: Mask, scene: Scene) -> Samples:  # noqa: ARG002
        """Area averages, drawn as flat cells."""
        height, width = samples.shape[:2]
        cells = (max(1, round(width / self.cell_px)), max(1, round(height / self.cell_px)))
        averages = cv2.resize(samples, cells, interpolation=cv2.INTER_AREA)
        drawn = cv2.resize(averages, (width, height), interpolation=cv2.INTER_NEAREST)
        return np.asarray(drawn, samples.dtype).reshape(samples.shape)


@dataclass(frozen=True, slots=True)
class Nothing:
    """The face as it is: only the picture is re-encoded."""

    weak = True

    def context_px(self, face_px: float) -> int:  # noqa: ARG002
        """None."""
        return 0

    def render(self, samples: Samples, visible: Mask, scene: Scene) -> Samples:  # noqa: ARG002
        """The samples themselves."""
        return samples
