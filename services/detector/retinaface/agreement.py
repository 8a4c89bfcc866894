"""One face out of what several passes say of it: boxes averaged by score, scores by how well a pass could see it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from services.detector.retinaface.decoding import SCORE, Findings, overlap

SAME_FACE_IOU = 0.4
SMALLEST_CLEAR_PX = 16
"""Side of the network's smallest anchors. A pass that shows a face smaller than this, or larger than it reliably finds,
counts less, by the fourth power of the ratio: no pass need find what it cannot."""
LEAST_WEIGHT = 0.01
PART_SHARE = 0.8
"""Share of a box that lies in another's."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Opinion:
    """What one pass found."""

    findings: Findings
    """In pixels of the picture."""
    scale: float
    """Network pixels a picture pixel."""
    largest_clear_px: float
    """Up to this size, as the network sees it, the pass reliably finds a face."""


def agreed(opinions: Sequence[Opinion], *, min_confidence: float) -> Findings:
    """Merges what several passes found in one picture.

    The confidence of a face is the weighted mean of the scores it got in all passes, 0 where a pass did not find it.
    So a false alarm of one scale loses to a face that most scales show. The box and the landmarks are averaged by
    score (Solovyev et al., "Weighted boxes fusion", Image and Vision Computing 2021).

    Args:
        opinions: One a pass.
        min_confidence: Faces below are left out.

    Returns:
        One row a face, in descending confidence.
    """
    scale = np.array([opinion.scale for opinion in opinions])
    largest_px = np.array([opinion.largest_clear_px for opinion in opinions])
    author = np.repeat(np.arange(len(opinions)), [len(opinion.findings) for opinion in opinions])
    rest = np.concatenate([opinion.findings for opinion in opinions])
    order = np.argsort(-rest[:, SCORE], kind="stable")
    rest, author = rest[order], author[order]
    faces = []
    while len(rest) and rest[0, SCORE] >= min_confidence:  # a mean is never above the highest score
        same = overlap(rest[0], rest) >= SAME_FACE_IOU
        same[0] = True
        authors, best = np.unique(author[same], return_index=True)  # of each pass its highest score
        found = rest[same][best]
        scores = found[:, SCORE]
        face = scores @ found / scores.sum()
        seen_px = scale * np.sqrt(max(1.0, (face[2] - face[0]) * (face[3] - face[1])))
        weights = np.minimum(np.minimum(seen_px / SMALLEST_CLEAR_PX, largest_px / seen_px), 1) ** 4 + LEAST_WEIGHT
        face[SCORE] = weights[authors] @ scores / weights.sum()
        faces.append(face)
        rest, author = rest[~same], author[~same]
    merged = np.stack(faces) if faces else rest[:0]
    merged = merged[merged[:, SCORE] >= min_confidence]
    return _without_parts(merged[np.argsort(-merged[:, SCORE], kind="stable")])


def _without_parts(faces: Findings) -> Findings:
    """Leaves out what lies inside a surer face: a tile's border can make a face of an eye and a cheek."""
    low = np.maximum(faces[:, None, :2], faces[None, :, :2])
    high = np.minimum(faces[:, None, 2:4], faces[None, :, 2:4])
    shared = (high - low).clip(0).prod(axis=2)
    inside = shared / (faces[:, 2:4] - faces[:, :2]).prod(axis=1)[:, None] > PART_SHARE
    whole: Findings = faces[~np.tril(inside, -1).any(axis=1)]
    return whole
