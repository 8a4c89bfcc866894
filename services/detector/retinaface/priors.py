"""The anchors RetinaFace's outputs refer to, cached per picture size."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

STRIDES_PX = (8, 16, 32)
ANCHOR_SIDES_PX = ((16, 32), (64, 128), (256, 512))


@lru_cache(maxsize=32)
def anchors(height: int, width: int) -> NDArray[np.float32]:
    """Return the anchors of a picture in the order of the network's outputs: level, row, column, side.

    Args:
        height: Of the network's input, pixels.
        width: Of the network's input, pixels.

    Returns:
        A x 3, read-only: centre x, centre y, side, in pixels. All anchors are squares; they may reach over the border.
    """
    levels = []
    for stride, sides in zip(STRIDES_PX, ANCHOR_SIDES_PX, strict=True):
        rows, columns = -(-height // stride), -(-width // stride)
        level = np.empty((rows, columns, len(sides), 3), np.float32)
        level[..., 0] = ((np.arange(columns) + 0.5) * stride)[None, :, None]
        level[..., 1] = ((np.arange(rows) + 0.5) * stride)[:, None, None]
        level[..., 2] = sides
        levels.append(level.reshape(-1, 3))
    table = np.concatenate(levels)
    table.flags.writeable = False
    return table
