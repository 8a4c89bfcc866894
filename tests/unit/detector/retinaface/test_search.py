"""Searching whole pictures with the published weights."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import cv2
import numpy as np
import pytest
from skimage import data

from services.chassis.inference.openvino import Processors
from services.chassis.inference.precision import Precision
from services.chassis.pictures.geometry import LandmarkType, RgbImage, intersection_over_union
from services.chassis.pictures.picture import open_picture
from services.chassis.process.settings import MIB, PictureLimits
from services.detector.faces import Face
from services.detector.retinaface.detector import RetinaFace
from services.detector.retinaface.plan import LARGE_MAX_SCALE, Effort
from services.detector.retinaface.search import MIN_CONFIDENCE, RetinaFaceSearch, search_pixels
from services.detector.search import Recall
from tests.support.usage import count_peak_from_here, memory_mib

LIMITS = PictureLimits(max_bytes=64_000_000, max_pixels=100_000_000)
BALANCED = Effort(max_scale=LARGE_MAX_SCALE, max_pixels=80_000_000)
FACE_IN_ASTRONAUT = (177.5, 56.4, 270.1, 176.4)
PATCH = (64, 0, 384, 320)
"""What is cut out of the astronaut around that face."""
HIDDEN_SEMI_AXIS = 0.8
"""Of the box's sides: the ellipse that is hidden around a face by default."""

PRECISIONS = list(dict.fromkeys([Precision.FP32, Processors().resolved(Precision.AUTO)]))


@pytest.fixture(scope="module", params=PRECISIONS, ids=lambda precision: precision.name)
def model(request: pytest.FixtureRequest, shared_dir: Path) -> Iterator[RetinaFace]:
    weights = shared_dir / "weights" / "mobilenet0.25_Final.pth"
    model = RetinaFace("retinaface-mobilenet025", "retinaface-mobilenet025@2979b33ffafd", weights, request.param)
    yield model
    model.close()


def corners(faces: list[Face]) -> np.ndarray:
    boxes = [(face.box.x_min, face.box.y_min, face.box.x_max, face.box.y_max) for face in faces]
    return np.array(boxes, np.float32).reshape(-1, 4)


def paste(canvas: RgbImage, left: int, top: int, face_px: int) -> np.ndarray:
    """Puts the astronaut there, the face `face_px` tall; returns the face's box."""
    scale = face_px / (FACE_IN_ASTRONAUT[3] - FACE_IN_ASTRONAUT[1])
    patch = data.astronaut()[PATCH[1] : PATCH[3], PATCH[0] : PATCH[2]]
    way = cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
    patch = cv2.resize(patch, None, fx=scale, fy=scale, interpolation=way)
    canvas[top : top + len(patch), left : left + len(patch)] = patch
    offset = np.array((left, top) * 2) - np.array(PATCH[:2] * 2) * scale
    return np.array(FACE_IN_ASTRONAUT) * scale + offset


def grey(width: int, height: int) -> RgbImage:
    return np.full((height, width, 3), (118, 124, 112), np.uint8)


def assert_each_found_once(expected: list[np.ndarray], faces: list[Face]) -> None:
    found = corners(faces)
    for box in expected:
        hits = intersection_over_union(box.astype(np.float32), found) > 0.3
        assert hits.sum() == 1, f"face of {box[3] - box[1]:.0f} px"


def test_one_pass_finds_what_the_reference_finds(shared_dir: Path) -> None:
    weights = shared_dir / "weights" / "mobilenet0.25_Final.pth"
    model = RetinaFace("r", "r@0", weights, Precision.FP32)
    golden = np.load(shared_dir / "golden" / "retinaface_mnet025_published_detections.npz")
    for name in golden:
        picture = open_picture((shared_dir / "images" / "group" / name).read_bytes(), LIMITS).rgb()
        [faces] = model.detect([picture], min_confidence=0.02)
        sure = [face for face in faces if face.confidence > 0.5]
        assert len(sure) == len(golden[name])
        for face, row in zip(sure, sorted(golden[name], key=lambda row: -row[4]), strict=True):
            assert corners([face])[0] == pytest.approx(row[:4], abs=0.5)
            assert face.confidence == pytest.approx(row[4], abs=1e-3)
            points = [(point.x, point.y) for point in face.landmarks.values()]
            assert np.ravel(points) == pytest.approx(row[5:], abs=0.5)
    model.close()


@pytest.mark.parametrize("model", PRECISIONS[:1], indirect=True)  # the other: integration/test_group_photographs.py
def test_every_labelled_nose_is_hidden_and_no_face_is_found_where_none_is(model: RetinaFace, shared_dir: Path) -> None:
    folder = shared_dir / "images" / "group"
    noses = json.loads((folder / "labels.json").read_text())["nose_points_px"]
    search = RetinaFaceSearch(model)
    for path in sorted(folder.glob("*.jpg")):
        picture = open_picture(path.read_bytes(), LIMITS)
        boxes = corners(search.search(picture, recall=Recall.BALANCED, min_confidence=None))
        middle, size = (boxes[:, :2] + boxes[:, 2:]) / 2, boxes[:, 2:] - boxes[:, :2]
        for nose in noses.get(path.name, []):
            inside = (((np.array(nose) - middle) / (HIDDEN_SEMI_AXIS * size)) ** 2).sum(axis=1) <= 1
            assert inside.any(), f"nose at {nose} of {path.name}"
        if path.name == "017_0.jpg":
            assert len(boxes) == 0


def test_faces_of_16_to_600_px_on_36_megapixels_are_each_found_once(model: RetinaFace) -> None:
    canvas = grey(7344, 4896)
    sizes = (600, 400, 256, 160, 128, 96, 64, 48, 32, 24, 20, 16, 16)
    expected = []
    left, top = 40, 60
    for size in sizes:
        side = round(size * 320 / 120) + 40
        if left + side > 7300:
            left, top = 40, top + 1700
        expected.append(paste(canvas, left, top, size))
        left += side + 330
    faces = search_pixels(model, canvas, BALANCED, min_confidence=MIN_CONFIDENCE[Recall.BALANCED])
    assert_each_found_once(expected, faces)
    assert len(faces) == len(sizes)


@pytest.mark.parametrize("offset", range(-80, 81, 16))
def test_a_face_on_a_tile_border_is_found_once(model: RetinaFace, offset: int) -> None:
    canvas = grey(1700, 700)
    expected = [paste(canvas, 790 + offset, 100, 36)]
    faces = search_pixels(model, canvas, BALANCED, min_confidence=MIN_CONFIDENCE[Recall.BALANCED])
    assert_each_found_once(expected, faces)
    assert len(faces) == 1


def test_a_face_that_fills_the_picture_and_one_of_12_px_are_both_found(model: RetinaFace) -> None:
    canvas = grey(1200, 900)
    large = paste(canvas, 280, -0, 330)
    small = paste(canvas, 60, 400, 12)
    faces = search_pixels(model, canvas, BALANCED, min_confidence=MIN_CONFIDENCE[Recall.BALANCED])
    assert_each_found_once([large, small], faces)
    filling = cv2.resize(data.astronaut()[50:185, 172:276], (1600, 2000), interpolation=cv2.INTER_CUBIC)
    [face] = search_pixels(model, filling, BALANCED, min_confidence=0.5)
    assert face.box.height > 0.7 * 2000


def test_a_mirrored_pass_names_the_landmarks_by_the_picture_it_was_given(model: RetinaFace) -> None:
    effort = Effort(max_scale=1.0, max_pixels=80_000_000, mirrored=True)
    [face] = search_pixels(model, data.astronaut(), effort, min_confidence=0.5)
    points = face.landmarks
    assert points[LandmarkType.LEFT_EYE].x < points[LandmarkType.NOSE_TIP].x < points[LandmarkType.RIGHT_EYE].x
    assert points[LandmarkType.MOUTH_LEFT].x < points[LandmarkType.MOUTH_RIGHT].x
    [plain] = search_pixels(model, data.astronaut(), Effort(max_scale=1.0, max_pixels=80_000_000), min_confidence=0.5)
    for kind, point in points.items():
        assert (point.x, point.y) == pytest.approx((plain.landmarks[kind].x, plain.landmarks[kind].y), abs=4)


def test_faces_come_in_descending_confidence(model: RetinaFace, shared_dir: Path) -> None:
    picture = open_picture((shared_dir / "images" / "group" / "016_8.jpg").read_bytes(), LIMITS)
    faces = RetinaFaceSearch(model).search(picture, recall=Recall.MAX, min_confidence=0.02)
    confidences = [face.confidence for face in faces]
    assert confidences == sorted(confidences, reverse=True)
    assert all(0.02 <= confidence <= 1 for confidence in confidences)


def test_concurrent_searches_answer_what_single_ones_answer(model: RetinaFace, shared_dir: Path) -> None:
    names = ("000_5.jpg", "016_8.jpg", "017_0.jpg", "013_4.jpg") * 2
    folder = shared_dir / "images" / "group"
    pictures = [open_picture((folder / name).read_bytes(), LIMITS).rgb() for name in names]

    def search(picture: RgbImage) -> list[Face]:
        return search_pixels(model, picture, BALANCED, min_confidence=0.2)

    alone = [search(picture) for picture in pictures]
    with ThreadPoolExecutor(4) as callers:
        together = list(callers.map(search, pictures))
    assert together == alone


@pytest.mark.parametrize(("width", "height"), [(1, 1), (1, 700), (3000, 2), (7, 9)])
def test_a_picture_of_any_shape_can_be_searched(model: RetinaFace, width: int, height: int) -> None:
    for effort in (BALANCED, Effort(max_scale=2.0, max_pixels=80_000_000, mirrored=True)):
        assert search_pixels(model, grey(width, height), effort, min_confidence=0.3) == []


def test_memory_does_not_grow_with_the_picture(model: RetinaFace) -> None:
    search_pixels(model, grey(3000, 2000), BALANCED, min_confidence=0.3)
    picture = grey(9000, 6000)
    before_mib = memory_mib(os.getpid())
    count_peak_from_here(os.getpid())
    search_pixels(model, picture, BALANCED, min_confidence=0.3)
    assert memory_mib(os.getpid(), "VmHWM") - before_mib < 2 * picture.nbytes / MIB  # its halved copies, and some tiles
