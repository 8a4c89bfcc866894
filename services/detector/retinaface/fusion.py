"""One face out of the results of several passes: boxes averaged by score, scores by how well a pass could see it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from services.chassis.process.patience import still_awaited
from services.detector.neighbours import Areas, Indices, alike_pairs, first_come, inside_earlier
from services.detector.retinaface.decoding import SCORE, Findings

SAME_FACE_IOU = 0.4
SMALLEST_CLEAR_PX = 16
"""Side of the network's smallest anchors. A pass that shows a face smaller than this, or larger than it reliably finds,
counts less, by the fourth power of the ratio: no pass need find what it cannot."""
LEAST_WEIGHT = 0.01
PART_SHARE = 0.8
"""Share of a box that lies in another's."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PassResult:
    """What one pass found."""

    findings: Findings
    """In pixels of the picture."""
    scale: float
    """Network pixels a picture pixel."""
    largest_clear_px: float
    """Up to this size, as the network sees it, the pass reliably finds a face."""


def fuse(results: Sequence[PassResult], *, min_confidence: float) -> Findings:
    """Merges what several passes found in one picture.

    The confidence of a face is the weighted mean of the scores it got in all passes, 0 where a pass did not find it.
    So a false alarm of one scale loses to a face that most scales show. The box and the landmarks are averaged by
    score (Solovyev et al., "Weighted boxes fusion", Image and Vision Computing 2021).

    Args:
        results: One a pass.
        min_confidence: Faces below are left out.

    Returns:
        One row a face, in descending confidence.
    """
    scale = np.array([result.scale for result in results])
    largest_px = np.array([result.largest_clear_px for result in results])
    author = np.repeat(np.arange(len(results)), [len(result.findings) for result in results])
    rest = np.concatenate([result.findings for result in results])
    order = np.argsort(-rest[:, SCORE], kind="stable")
    rest, author = rest[order], author[order]
    first, second = alike_pairs(rest, _same_face, least_iou=SAME_FACE_IOU)
    sure = rest[first, SCORE] >= min_confidence  # a mean is never above the highest score
    owner = first_come(len(rest), (first[sure], second[sure]))
    owner[rest[owner, SCORE] < min_confidence] = -1
    faces = []
    for members in _by_owner(owner):
        authors, best = np.unique(author[members], return_index=True)  # of each pass its highest score
        found = rest[members[best]]
        scores = found[:, SCORE]
        face = scores @ found / scores.sum()
        seen_px = scale * np.sqrt(max(1.0, (face[2] - face[0]) * (face[3] - face[1])))
        weights = np.minimum(np.minimum(seen_px / SMALLEST_CLEAR_PX, largest_px / seen_px), 1) ** 4 + LEAST_WEIGHT
        face[SCORE] = weights[authors] @ scores / weights.sum()
        faces.append(face)
    merged = np.stack(faces) if faces else rest[:0]
    merged = merged[merged[:, SCORE] >= min_confidence]
    merged = merged[np.argsort(-merged[:, SCORE], kind="stable")]
    # A tile's border can make a face of an eye and a cheek.
    whole: Findings = merged[~inside_earlier(merged, PART_SHARE)]
    return whole


def _same_face(shared: Areas, first: Areas, second: Areas) -> NDArray[np.bool_]:
    return np.asarray(shared / (first + second - shared) >= SAME_FACE_IOU)


def _by_owner(owner: Indices) -> Iterator[Indices]:
    """The indices of each owner but -1, ascending, owners ascending too."""
    order = np.argsort(owner, kind="stable")
    order = order[np.searchsorted(owner[order], 0) :]
    starts = np.flatnonzero(np.diff(owner[order])) + 1
    for members in np.split(order, starts) if len(order) else ():
        still_awaited()
        yield members
