"""How the passes' findings become one face each."""

from __future__ import annotations

import numpy as np
import pytest

from services.detector.retinaface.decoding import SCORE, Findings
from services.detector.retinaface.fusion import PassResult, fuse


def finding(x: float, y: float, side: float, score: float) -> Findings:
    row = np.zeros((1, 15), np.float32)
    row[0, :5] = (x, y, x + side, y + side, score)
    row[0, 5:] = x
    return row


def result(*rows: Findings, scale: float = 1.0) -> PassResult:
    return PassResult(
        findings=np.concatenate([np.empty((0, 15), np.float32), *rows]), scale=scale, largest_clear_px=256
    )


def test_a_face_that_all_passes_see_keeps_its_score_and_is_one() -> None:
    passes = [result(finding(100, 100, 40, 0.9)), result(finding(102, 100, 40, 0.9))]
    [face] = fuse(passes, min_confidence=0.2)
    assert face[SCORE] == pytest.approx(0.9)
    assert face[0] == pytest.approx(101)


def test_a_face_that_one_of_two_passes_sees_gets_half_its_score() -> None:
    [face] = fuse([result(finding(100, 100, 40, 0.9)), result()], min_confidence=0.2)
    assert face[SCORE] == pytest.approx(0.45)


def test_a_pass_that_could_not_see_a_small_face_hardly_counts() -> None:
    passes = [result(finding(100, 100, 10, 0.9), scale=2.0), result(scale=0.25)]
    [face] = fuse(passes, min_confidence=0.2)
    assert face[SCORE] > 0.85


def test_a_pass_that_could_only_see_a_part_of_a_large_face_hardly_counts() -> None:
    passes = [result(scale=2.0), result(finding(100, 100, 1000, 0.9), scale=0.125)]
    [face] = fuse(passes, min_confidence=0.2)
    assert face[SCORE] > 0.85


def test_boxes_and_landmarks_are_averaged_by_score() -> None:
    passes = [result(finding(100, 100, 40, 0.9)), result(finding(104, 100, 40, 0.3))]
    [face] = fuse(passes, min_confidence=0.2)
    assert face[0] == pytest.approx((100 * 0.9 + 104 * 0.3) / 1.2)
    assert face[5] == pytest.approx((100 * 0.9 + 104 * 0.3) / 1.2)


def test_two_tiles_of_one_pass_do_not_count_twice() -> None:
    passes = [result(finding(100, 100, 40, 0.8), finding(101, 100, 40, 0.7)), result()]
    [face] = fuse(passes, min_confidence=0.2)
    assert face[SCORE] == pytest.approx(0.4)


def test_neighbours_stay_apart_and_come_in_descending_confidence() -> None:
    passes = [result(finding(0, 0, 40, 0.5), finding(30, 0, 40, 0.9)), result(finding(0, 0, 40, 0.5))]
    faces = fuse(passes, min_confidence=0.2)
    assert faces[:, SCORE] == pytest.approx([0.5, 0.45])


def test_a_part_of_a_surer_face_is_left_out_and_a_surer_part_is_not() -> None:
    part, whole = finding(110, 110, 30, 0.5), finding(100, 100, 100, 0.9)
    [face] = fuse([result(part, whole)], min_confidence=0.2)
    assert face[SCORE] == pytest.approx(0.9)
    part[0, SCORE], whole[0, SCORE] = 0.9, 0.5
    assert len(fuse([result(part, whole)], min_confidence=0.2)) == 2


def test_faces_below_the_threshold_are_left_out() -> None:
    assert len(fuse([result(finding(0, 0, 40, 0.5)), result()], min_confidence=0.26)) == 0


def test_nothing_found_is_no_face() -> None:
    assert fuse([result(), result()], min_confidence=0.2).shape == (0, 15)
