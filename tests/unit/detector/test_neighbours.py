"""Crowds: what lies near is found as if all pairs had been looked at, in time and memory that do not grow with them."""

from __future__ import annotations

import time
import tracemalloc

import numpy as np
import pytest

from services.chassis.errors import DeadlinePassed
from services.chassis.process.patience import Patience, awaited_by
from services.detector.neighbours import Boxes, Overlapping, alike_pairs, first_come, inside_earlier
from services.detector.retinaface.decoding import SCORE, Findings, decode, non_maximum_suppression
from services.detector.retinaface.fusion import PART_SHARE, PassResult, fuse

CROWD = 20_000


def boxes_at_random(count: int, *, extent: float, smallest: float, largest: float) -> Boxes:
    chance = np.random.default_rng(count)
    boxes = np.empty((count, 4), np.float32)
    boxes[:, :2] = chance.uniform(0, extent, (count, 2))
    sides = np.exp(chance.uniform(np.log(smallest), np.log(largest), (count, 1)))
    boxes[:, 2:] = boxes[:, :2] + sides * chance.uniform(0.5, 2, (count, 2))
    return boxes


def areas_of(boxes: Boxes) -> tuple[np.ndarray, np.ndarray]:
    """What each two share, N x N, and what each has."""
    low = np.maximum(boxes[:, None, :2], boxes[None, :, :2])
    high = np.minimum(boxes[:, None, 2:4], boxes[None, :, 2:4])
    return (high - low).clip(0).prod(axis=2), (boxes[:, 2:4] - boxes[:, :2]).prod(axis=1)


def crowd(count: int) -> Findings:
    """Small faces side by side in rows, as a pass finds them."""
    a_row = int(count**0.5)
    found = np.zeros((count, 15), np.float32)
    found[:, 0], found[:, 1] = np.arange(count) % a_row * 20, np.arange(count) // a_row * 20
    found[:, 2:4] = found[:, :2] + 16
    found[:, SCORE] = np.linspace(0.9, 0.5, count)
    return found


@pytest.mark.parametrize(("extent", "smallest", "largest"), [(2000, 5, 60), (300, 0.2, 300), (20_000, 5, 9_000)])
@pytest.mark.parametrize("iou", [0.1, 0.4])
def test_alike_pairs_are_those_of_all_pairs(extent: float, smallest: float, largest: float, iou: float) -> None:
    boxes = boxes_at_random(1500, extent=extent, smallest=smallest, largest=largest)
    shared, areas = areas_of(boxes)
    alike = shared / (areas[:, None] + areas - shared) > iou
    expected = {(int(i), int(j)) for i, j in np.argwhere(np.triu(alike, 1))}
    first, second = alike_pairs(boxes, Overlapping(iou), least_iou=iou)
    assert len(first) == len(expected) > 0
    assert set(zip(first.tolist(), second.tolist(), strict=True)) == expected


@pytest.mark.parametrize(("extent", "smallest", "largest"), [(2000, 5, 60), (300, 0.2, 300), (20_000, 5, 9_000)])
def test_what_lies_inside_an_earlier_box_is_that_of_all_pairs(extent: float, smallest: float, largest: float) -> None:
    boxes = boxes_at_random(1500, extent=extent, smallest=smallest, largest=largest)
    shared, areas = areas_of(boxes)
    expected = np.tril(shared / areas[:, None] > PART_SHARE, -1).any(axis=1)
    assert expected.any()
    np.testing.assert_array_equal(inside_earlier(boxes, PART_SHARE), expected)


def test_a_box_that_goes_makes_room_for_the_next() -> None:
    chain = (np.array([0, 1, 2]), np.array([1, 2, 3]))
    assert first_come(4, chain).tolist() == [0, 0, 2, 2]


def test_a_crowd_is_merged_without_all_pairs_at_once() -> None:
    """All pairs of so many boxes are 400 million, and took gigabytes."""
    results = [PassResult(findings=crowd(CROWD), scale=scale, largest_clear_px=96) for scale in (1.0, 1.0)]
    tracemalloc.start()
    try:
        faces = fuse(results, min_confidence=0.2)
        _, peak_bytes = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert len(faces) == CROWD
    assert peak_bytes < 200 * 1024**2


def test_no_face_of_a_crowd_is_left_out_before_overlapping_ones_are() -> None:
    found = crowd(CROWD)
    assert len(non_maximum_suppression(found)) == CROWD


def test_every_anchor_that_scores_is_decoded() -> None:
    height = width = 640
    anchors = sum(2 * (height // stride) * (width // stride) for stride in (8, 16, 32))
    logits = np.tile(np.array((0, 1), np.float32), (anchors, 1))
    nothing = np.zeros((anchors, 10), np.float32)
    found = decode(nothing[:, :4], logits, nothing, height=height, width=width, min_score=0.5)
    assert len(found) == anchors > 5000


def test_merging_ends_when_nobody_waits_any_more() -> None:
    results = [PassResult(findings=crowd(CROWD), scale=1.0, largest_clear_px=96)]
    patience = Patience()
    patience.leave()
    started_s = time.thread_time()
    with awaited_by(patience), pytest.raises(DeadlinePassed):
        fuse(results, min_confidence=0.2)
    assert time.thread_time() - started_s < 0.5
