"""Points, boxes and landmarks in pixels of the upright picture: origin top left, x right, y down."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

RgbImage = NDArray[np.uint8]  # H x W x 3, contiguous
F = TypeVar("F", bound=np.floating[Any])


class LandmarkType(StrEnum):
    """A part of a face. Left and right are the viewer's."""

    LEFT_EYE = "left_eye"
    RIGHT_EYE = "right_eye"
    NOSE_TIP = "nose_tip"
    MOUTH_LEFT = "mouth_left"
    MOUTH_RIGHT = "mouth_right"
    MOUTH_CENTER = "mouth_center"
    LEFT_EAR = "left_ear"
    RIGHT_EAR = "right_ear"


@dataclass(frozen=True, slots=True)
class Point:
    """A position, pixels."""

    x: float
    y: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Box:
    """An upright rectangle, pixels; `x_max` and `y_max` are exclusive. It may reach beyond the picture."""

    x_min: float
    y_min: float
    x_max: float
    y_max: float

    @property
    def width(self) -> float:
        """Pixels."""
        return self.x_max - self.x_min

    @property
    def height(self) -> float:
        """Pixels."""
        return self.y_max - self.y_min

    @property
    def center(self) -> Point:
        """The middle."""
        return Point((self.x_min + self.x_max) / 2, (self.y_min + self.y_max) / 2)


def intersection_over_union(a: NDArray[F], b: NDArray[F]) -> NDArray[F]:
    """The area that boxes share as a part of the area of both, 0 to 1.

    Args:
        a: ... x 4 or more: x_min, y_min, x_max, y_max and anything behind them.
        b: Likewise; the two are broadcast, all axes but the last.
    """
    sides = np.minimum(a[..., 2:4], b[..., 2:4]) - np.maximum(a[..., :2], b[..., :2])
    shared = sides.clip(0).prod(axis=-1)
    areas = (a[..., 2:4] - a[..., :2]).prod(axis=-1) + (b[..., 2:4] - b[..., :2]).prod(axis=-1)
    ratio: NDArray[F] = shared / (areas - shared)
    return ratio
