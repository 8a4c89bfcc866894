"""One face out of the several findings that overlapping tiles and mirrored passes give of it."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from services.detector.faces import Face
from services.detector.neighbours import Areas, Overlapping, alike_pairs, first_come

MAX_IOU = 0.3
MAX_SHARE_OF_SMALLER = 0.6
"""A tile's border cuts faces, so a small box inside a larger one is the same face cut off."""
_OVERLAPPING = Overlapping(MAX_IOU)


def suppress(faces: Iterable[Face]) -> list[Face]:
    """Greedy non-maximum suppression: the most confident finding of each face, in descending confidence."""
    found = sorted(faces, key=lambda face: -face.confidence)
    corners = [(face.box.x_min, face.box.y_min, face.box.x_max, face.box.y_max) for face in found]
    boxes = np.array(corners, np.float32).reshape(-1, 4)
    owner = first_come(len(found), alike_pairs(boxes, _same))
    return [face for index, face in enumerate(found) if owner[index] == index]


def _same(shared: Areas, first: Areas, second: Areas) -> NDArray[np.bool_]:
    cut = shared / np.minimum(first, second) > MAX_SHARE_OF_SMALLER
    return np.asarray(_OVERLAPPING(shared, first, second) | cut)
