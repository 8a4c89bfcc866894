"""What a hidden region looks like. Every style is relative to the face's size, so none weakens on a large picture."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import cv2
import numpy as np
from numpy.typing import NDArray

Pixels = NDArray[np.uint8 | np.uint16]  # H x W or H x W x C, C = 2 to 4

MIN_CELL_PX = 2.0
_REDUCED_SIGMA_PX = 4.0


class Style(Protocol):
    """Renders what stands in a region's place."""

    def context_px(self, face_px: float) -> int:
        """How many pixels around the region it also needs."""
        ...

    def render(self, pixels: Pixels, *, face_px: float, opaque_black: Pixels) -> Pixels:
        """New pixels, shape and type of `pixels`.

        Args:
            pixels: The region's bounding box and its context.
            face_px: Longer side of the face's box, pixels.
            opaque_black: One pixel of opaque black in the picture's mode, shape (C,).
        """
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Mosaic:
    """Square cells, each the average of what it covers."""

    strength: float

    @property
    def cells_a_face(self) -> float:
        """9 at strength 0, 6 at 0.5, 3 at 1."""
        return 9 - 6 * self.strength

    def context_px(self, face_px: float) -> int:  # noqa: ARG002
        """None: cells end at the region's bounding box."""
        return 0

    def render(self, pixels: Pixels, *, face_px: float, opaque_black: Pixels) -> Pixels:  # noqa: ARG002
        """Area averages (not samples), drawn as flat cells."""
        height, width = pixels.shape[:2]
        cell_px = max(MIN_CELL_PX, face_px / self.cells_a_face)
        cells = (max(1, round(width / cell_px)), max(1, round(height / cell_px)))
        averages = cv2.resize(pixels, cells, interpolation=cv2.INTER_AREA)
        return _same_type(cv2.resize(averages, (width, height), interpolation=cv2.INTER_NEAREST), pixels)


@dataclass(frozen=True, slots=True, kw_only=True)
class Blur:
    """A Gaussian blur."""

    strength: float

    @property
    def sigma_a_face(self) -> float:
        """Standard deviation as a share of the face: 0.1 at strength 0, 0.25 at 0.5, 0.4 at 1."""
        return 0.1 + 0.3 * self.strength

    def context_px(self, face_px: float) -> int:
        """Two standard deviations, so that the blur runs into its surroundings."""
        return int(2 * self.sigma_a_face * face_px)

    def render(self, pixels: Pixels, *, face_px: float, opaque_black: Pixels) -> Pixels:  # noqa: ARG002
        """Blurs a reduced copy, which costs the same for a face of any size, and enlarges it again."""
        height, width = pixels.shape[:2]
        sigma_px = self.sigma_a_face * face_px
        reduction = max(1.0, sigma_px / _REDUCED_SIGMA_PX)
        size = (max(1, round(width / reduction)), max(1, round(height / reduction)))
        reduced = cv2.resize(pixels, size, interpolation=cv2.INTER_AREA)
        blurred = cv2.GaussianBlur(reduced, (0, 0), max(1.0, sigma_px / reduction), borderType=cv2.BORDER_REPLICATE)
        return _same_type(cv2.resize(blurred, (width, height), interpolation=cv2.INTER_LINEAR), pixels)


@dataclass(frozen=True, slots=True)
class Solid:
    """Opaque black."""

    def context_px(self, face_px: float) -> int:  # noqa: ARG002
        """None."""
        return 0

    def render(self, pixels: Pixels, *, face_px: float, opaque_black: Pixels) -> Pixels:  # noqa: ARG002
        """Nothing of the original enters."""
        rendered = np.empty_like(pixels)
        rendered[:] = opaque_black
        return rendered


def _same_type(rendered: object, pixels: Pixels) -> Pixels:
    return np.asarray(rendered, pixels.dtype).reshape(pixels.shape)
