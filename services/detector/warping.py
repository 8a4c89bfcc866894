"""A picture seen through an affine transform, bit by bit as OpenCV's `warpAffine` draws it.

Embeddings were trained and calibrated on crops of OpenCV's, which counts places in steps of 1/32 of a pixel.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from services.chassis.pictures.geometry import RgbImage

Affine = NDArray[np.float64]  # 2 x 3, maps picture pixels to drawn pixels

_STEPS = 32  # to a pixel
_FINER = 32  # to a step, while places are added up


def warped(picture: RgbImage, transform: Affine, side_px: int) -> RgbImage:
    """Bilinear, with black outside the picture.

    Args:
        picture: H x W x 3, smaller than 32768 pixels on each side.
        transform: Must have an inverse.
        side_px: Width and height of what is drawn.
    """
    height, width = picture.shape[:2]
    (xx, xy, x0), (yx, yy, y0) = _inverse(transform)
    drawn = np.arange(side_px)
    x = _steps(xx * drawn, xy * drawn[:, None] + x0)
    y = _steps(yx * drawn, yy * drawn[:, None] + y0)
    pixels = picture.reshape(-1, 3)
    total = np.full((side_px, side_px, 3), _STEPS * _STEPS // 2, np.int32)
    for row, down in _neighbours(y, height):
        for column, across in _neighbours(x, width):
            total += pixels.take(row * width + column, axis=0) * (down * across)[..., None]
    return (total // (_STEPS * _STEPS)).astype(np.uint8)


def _inverse(transform: Affine) -> Affine:
    """In the order of OpenCV's own operations, which decides the last bit."""
    (a, b, x), (c, d, y) = transform
    factor = 1 / (a * d - b * c)
    a, b, c, d = d * factor, -b * factor, -c * factor, a * factor
    return np.array([[a, b, -a * x - b * y], [c, d, -c * x - d * y]])


def _steps(across: NDArray[np.float64], down: NDArray[np.float64]) -> NDArray[np.int64]:
    """The sum of the two, each rounded on its own, in steps."""
    fine = np.rint(across * _STEPS * _FINER) + np.rint(down * _STEPS * _FINER)
    return (fine.astype(np.int64) + _FINER // 2) // _FINER


def _neighbours(steps: NDArray[np.int64], length: int) -> list[tuple[NDArray[np.int64], NDArray[np.int32]]]:
    """The pixels before and after each place, and their weights in steps: none outside the picture."""
    before, part = np.divmod(steps, _STEPS)
    return [
        (index.clip(0, length - 1), np.where((index >= 0) & (index < length), weight, 0).astype(np.int32))
        for index, weight in ((before, _STEPS - part), (before + 1, part))
    ]
