"""Crops that show nothing but one colour: a detector may take such a patch for a face, but nobody is in it."""

from __future__ import annotations

import numpy as np

from facet.v1 import geometry_pb2

SIDE_PX = 112
PART = 0.9
TOLERANCE = 8
"""Levels of 256: what JPEG adds to one colour."""

_AXIS = (np.arange(SIDE_PX) + 0.5) / SIDE_PX * 2 - 1
_DISC = _AXIS[:, None] ** 2 + _AXIS**2 <= 1  # the corners of a crop lie outside of the face


def is_one_colour(crop: geometry_pb2.AlignedFace) -> bool:
    """Whether at least PART of the disc in a crop has the same colour; False for a crop without pixels."""
    if not crop.pixels:
        return False
    pixels = np.frombuffer(crop.pixels, np.uint8).reshape(SIDE_PX, SIDE_PX, 3)[_DISC].astype(np.int16)
    same = (np.abs(pixels - np.median(pixels, axis=0)) <= TOLERANCE).all(axis=1)
    return bool(same.mean() >= PART)
