"""RetinaFace's raw outputs into boxes, scores and landmarks, and the removal of overlapping ones."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from services.detector.neighbours import Overlapping, alike_pairs, first_come
from services.detector.retinaface.priors import anchors

CENTER_VARIANCE = 0.1
SIZE_VARIANCE = 0.2
SCORE = 4
"""The column of the score."""

Findings = NDArray[np.float32]
"""N x 15, in descending score: x_min, y_min, x_max, y_max, score, then x and y of left eye, right eye, nose tip, left
and right mouth corner (the viewer's left), pixels."""


def decode(  # noqa: PLR0913  (the three outputs and what they refer to)
    boxes: NDArray[np.float32],
    logits: NDArray[np.float32],
    landmarks: NDArray[np.float32],
    *,
    height: int,
    width: int,
    min_score: float,
) -> Findings:
    """Decodes the anchors that score above `min_score`.

    Formulas and variances are those of biubug6/Pytorch_Retinaface (`utils/box_utils.py`).

    Args:
        boxes: A x 4 offsets.
        logits: A x 2, background and face.
        landmarks: A x 10 offsets.
        height: Of the network's input, pixels.
        width: Of the network's input, pixels.
        min_score: 0 to 1, exclusive.

    Returns:
        Findings in pixels of the network's input, overlapping ones included.
    """
    margin = logits[:, 1] - logits[:, 0]  # softmax of two classes is the logistic function of their difference
    chosen = np.flatnonzero(margin > math.log(min_score / (1 - min_score)))
    chosen = chosen[np.argsort(-margin[chosen], kind="stable")]
    anchor = anchors(height, width)[chosen]
    center, side = anchor[:, :2], anchor[:, 2:]
    found = np.empty((len(chosen), 15), np.float32)
    middle = center + boxes[chosen, :2] * (CENTER_VARIANCE * side)
    half = side * np.exp(boxes[chosen, 2:] * SIZE_VARIANCE) / 2
    found[:, 0:2] = middle - half
    found[:, 2:4] = middle + half
    found[:, SCORE] = 1 / (1 + np.exp(-margin[chosen]))
    found[:, 5:] = np.tile(center, 5) + landmarks[chosen] * (CENTER_VARIANCE * side)
    return found


def non_maximum_suppression(found: Findings, max_iou: float = 0.4) -> Findings:
    """Greedy non-maximum suppression, with areas counted as the reference implementation counts them (+1 pixel)."""
    pairs = alike_pairs(found, Overlapping(max_iou), least_iou=max_iou, pixel=1.0)
    owner = first_come(len(found), pairs)
    kept: Findings = found[owner == np.arange(len(found))]
    return kept
