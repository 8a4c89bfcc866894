"""Anchors, decoding and non-maximum suppression against their plain definitions."""

from __future__ import annotations

import math

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from services.chassis.pictures.geometry import intersection_over_union
from services.detector.retinaface.decoding import Findings, decode, non_maximum_suppression
from services.detector.retinaface.priors import anchors


def test_a_picture_of_512_pixels_has_10752_anchors() -> None:
    assert anchors(512, 512).shape == (10_752, 3)


def test_anchors_run_by_level_row_column_and_side() -> None:
    table = anchors(20, 30)
    expected = [
        ((column + 0.5) * stride, (row + 0.5) * stride, side)
        for stride, sides in ((8, (16, 32)), (16, (64, 128)), (32, (256, 512)))
        for row in range(math.ceil(20 / stride))
        for column in range(math.ceil(30 / stride))
        for side in sides
    ]
    np.testing.assert_array_equal(table, np.array(expected, np.float32))


def test_anchors_of_one_size_are_made_once() -> None:
    assert anchors(64, 96) is anchors(64, 96)


def test_decoding_is_the_reference_formula() -> None:
    rng = np.random.default_rng(0)
    table = anchors(40, 56)
    boxes = rng.normal(size=(len(table), 4)).astype(np.float32)
    logits = rng.normal(size=(len(table), 2)).astype(np.float32)
    landmarks = rng.normal(size=(len(table), 10)).astype(np.float32)
    found = decode(boxes, logits, landmarks, height=40, width=56, min_score=0.4)
    rows = []
    for (x, y, side), box, (background, face), points in zip(table, boxes, logits, landmarks, strict=True):
        score = math.exp(face) / (math.exp(background) + math.exp(face))
        middle_x, middle_y = x + box[0] * 0.1 * side, y + box[1] * 0.1 * side
        width, height = side * math.exp(0.2 * box[2]), side * math.exp(0.2 * box[3])
        row = [middle_x - width / 2, middle_y - height / 2, middle_x + width / 2, middle_y + height / 2, score]
        row += [(x, y)[i % 2] + point * 0.1 * side for i, point in enumerate(points)]
        if score > 0.4:
            rows.append(row)
    expected = np.array(sorted(rows, key=lambda row: -row[4]))
    assert 0 < len(expected) < len(table)
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-3)


def naive_suppression(found: Findings, max_iou: float) -> list[int]:
    """The definition: in descending score, keep what overlaps nothing that was kept."""
    kept: list[int] = []
    for i, a in enumerate(found):
        for j in kept:
            b = found[j]
            width = max(0.0, min(a[2], b[2]) - max(a[0], b[0]) + 1)
            height = max(0.0, min(a[3], b[3]) - max(a[1], b[1]) + 1)
            areas = [(c[2] - c[0] + 1) * (c[3] - c[1] + 1) for c in (a, b)]
            if width * height / (sum(areas) - width * height) > max_iou:
                break
        else:
            kept.append(i)
    return kept


@given(
    corners=arrays.arrays(np.int64, st.tuples(st.integers(0, 40), st.just(4)), elements=st.integers(0, 50)),
    max_iou=st.sampled_from([0.1, 0.4, 0.7]),
)
def test_suppression_keeps_what_the_definition_keeps(corners: np.ndarray, max_iou: float) -> None:
    found = np.zeros((len(corners), 15), np.float32)
    found[:, :2] = corners[:, :2]
    found[:, 2:4] = corners[:, :2] + corners[:, 2:] + 1
    found[:, 4] = np.linspace(1, 0.1, len(corners))
    np.testing.assert_array_equal(non_maximum_suppression(found, max_iou), found[naive_suppression(found, max_iou)])


def test_overlap_of_equal_boxes_is_one_and_of_distant_ones_zero() -> None:
    box = np.array((10, 10, 20, 30), np.float32)
    others = np.array(((10, 10, 20, 30), (10, 10, 20, 20), (21, 31, 40, 40)), np.float32)
    np.testing.assert_allclose(intersection_over_union(box, others), (1, 0.5, 0))
