"""What is measured: average precision, recall by size, coverage of labelled faces by what was hidden, false alarms."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from cli.evaluate.labels import Boxes, LabelledPicture
from services.chassis.pictures.geometry import intersection_over_union

FOUND_IOU = 0.5
"""From here on a detection has found a labelled face (WIDER FACE's and Pascal VOC's measure)."""
FALSE_ALARM_IOU = 0.3
"""A detection that overlaps no labelled face this much, counted or not, is a false alarm."""
COVERED_SHARE = 0.9
"""A face counts as hidden where so much of the ellipse inscribed in its labelled box is."""
SIZE_EDGES_PX = (0, 16, 32, 64, 128, 100_000)
"""Classes of face height, pixels."""

Mask = NDArray[np.bool_]  # H x W, True = hidden


@dataclass(frozen=True, slots=True, kw_only=True)
class Detections:
    """What was found in one picture, in descending confidence."""

    boxes: Boxes
    confidences: NDArray[np.float64]

    def above(self, threshold: float) -> Detections:
        """Those at least as confident."""
        kept = self.confidences >= threshold
        return Detections(boxes=self.boxes[kept], confidences=self.confidences[kept])


@dataclass(frozen=True, slots=True, kw_only=True)
class PrecisionRecall:
    """Precision over recall as the threshold falls, and the area under it."""

    recall: NDArray[np.float64]
    precision: NDArray[np.float64]
    average_precision: float


def precision_recall(pictures: Sequence[LabelledPicture], found: Sequence[Detections]) -> PrecisionRecall:
    """Precision and recall over all thresholds.

    Each detection is matched with the labelled face it overlaps most, as WIDER FACE does: a second match of one face
    is a false one, a match of a face that is not counted is neither. The area is that under the precision envelope
    (Everingham et al., "The Pascal Visual Object Classes Challenge: a retrospective", IJCV 2015, section 2.2).
    """
    confidences: list[float] = []
    hits: list[bool] = []
    for picture, detections in zip(pictures, found, strict=True):
        taken: set[int] = set()
        overlaps = iou(detections.boxes, picture.boxes)
        for row, confidence in zip(overlaps, detections.confidences, strict=True):
            best = int(row.argmax()) if row.size else -1
            matches = best >= 0 and row[best] >= FOUND_IOU
            if matches and not picture.counted[best]:
                continue
            confidences.append(float(confidence))
            hits.append(matches and best not in taken)
            taken.add(best)
    order = np.argsort(-np.array(confidences), kind="stable")
    hit = np.array(hits, np.float64)[order]
    faces = sum(int(picture.counted.sum()) for picture in pictures)
    recall = hit.cumsum() / max(1, faces)
    precision = hit.cumsum() / np.arange(1, len(hit) + 1)
    envelope = np.maximum.accumulate(precision[::-1])[::-1]
    area = float((np.diff(recall, prepend=0.0) * envelope).sum())
    return PrecisionRecall(recall=recall, precision=precision, average_precision=area)


def found_by_size(pictures: Sequence[LabelledPicture], found: Sequence[Detections]) -> list[tuple[int, int]]:
    """For each class of SIZE_EDGES_PX, how many counted faces were found and how many there are."""
    classes = [(0, 0)] * (len(SIZE_EDGES_PX) - 1)
    for picture, detections in zip(pictures, found, strict=True):
        overlaps = iou(picture.boxes, detections.boxes)
        hit = (overlaps >= FOUND_IOU).any(axis=1)
        sizes = np.digitize(picture.boxes[:, 3] - picture.boxes[:, 1], SIZE_EDGES_PX) - 1
        for index, (hits, faces) in enumerate(classes):
            here = picture.counted & (sizes == index)
            classes[index] = (hits + int((hit & here).sum()), faces + int(here.sum()))
    return classes


def false_alarms(picture: LabelledPicture, detections: Detections) -> int:
    """How many detections overlap no labelled face."""
    return int((iou(detections.boxes, picture.boxes) < FALSE_ALARM_IOU).all(axis=1).sum())


def covered(picture: LabelledPicture, hidden: Mask) -> int:
    """How many counted faces are hidden."""
    return sum(_share_hidden(box, hidden) >= COVERED_SHARE for box in picture.boxes[picture.counted])


def iou(a: Boxes, b: Boxes) -> NDArray[np.float64]:
    """Intersection over union of each box of `a` with each of `b`, len(a) x len(b)."""
    return intersection_over_union(a[:, None], b[None])


def _share_hidden(box: NDArray[np.float64], hidden: Mask) -> float:
    """The share of the box's inscribed ellipse, within the picture, that is hidden."""
    height, width = hidden.shape
    x_min, y_min, x_max, y_max = box
    left, right = max(0, int(x_min)), min(width, int(np.ceil(x_max)))
    top, bottom = max(0, int(y_min)), min(height, int(np.ceil(y_max)))
    if left >= right or top >= bottom:
        return 1.0
    across = (np.arange(left, right) + 0.5 - (x_min + x_max) / 2) / ((x_max - x_min) / 2)
    down = (np.arange(top, bottom) + 0.5 - (y_min + y_max) / 2) / ((y_max - y_min) / 2)
    inside = across[None] ** 2 + down[:, None] ** 2 <= 1
    return float((hidden[top:bottom, left:right] & inside).sum() / max(1, inside.sum()))
