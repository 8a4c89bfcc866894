"""Narrow pictures as the network gets them: on a canvas wide enough for what processors compute rightly."""

from __future__ import annotations

import numpy as np

from services.chassis.pictures.geometry import RgbImage
from services.detector.retinaface.decoding import Findings

LEAST_SIDE_PX = 64
"""Two values to a side of the network's coarsest maps. In bfloat16 on AMX, maps of pictures 1 to 3 pixels wide come out
of memory that nobody wrote; 8 pixels and more were not seen to fail."""
_BACKGROUND = (123, 117, 104)  # the training means: to the network it is what lies beyond any border


def padded(picture: RgbImage) -> RgbImage:
    """The picture in the upper left of a canvas that is wide and tall enough; itself where it is so already."""
    height, width = picture.shape[:2]
    if min(height, width) >= LEAST_SIDE_PX:
        return picture
    canvas = np.empty((max(height, LEAST_SIDE_PX), max(width, LEAST_SIDE_PX), 3), np.uint8)
    canvas[:] = _BACKGROUND
    canvas[:height, :width] = picture
    return canvas


def inside(found: Findings, *, height: int, width: int) -> Findings:
    """The findings that touch a picture of that size, which lies in the upper left."""
    touching = (found[:, 0] < width) & (found[:, 1] < height) & (found[:, 2:4] > 0).all(axis=1)
    kept: Findings = found[touching]
    return kept
