"""One face out of the several findings that overlapping tiles and mirrored passes give of it."""

from __future__ import annotations

from collections.abc import Iterable

from services.chassis.geometry import Box
from services.detector.faces import Face

MAX_IOU = 0.3
MAX_SHARE_OF_SMALLER = 0.6
"""A tile's border cuts faces, so a small box inside a larger one is the same face cut off."""


def without_doubles(faces: Iterable[Face]) -> list[Face]:
    """Keeps the most confident finding of each face, in descending confidence (greedy non-maximum suppression)."""
    kept: list[Face] = []
    for face in sorted(faces, key=lambda face: -face.confidence):
        if not any(_same(face.box, other.box) for other in kept):
            kept.append(face)
    return kept


def _same(a: Box, b: Box) -> bool:
    width = min(a.x_max, b.x_max) - max(a.x_min, b.x_min)
    height = min(a.y_max, b.y_max) - max(a.y_min, b.y_min)
    if width <= 0 or height <= 0:
        return False
    shared, area_a, area_b = width * height, a.width * a.height, b.width * b.height
    return shared / (area_a + area_b - shared) > MAX_IOU or shared / min(area_a, area_b) > MAX_SHARE_OF_SMALLER
