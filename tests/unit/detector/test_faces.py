"""Boxes end at the picture's border, whichever detector found them."""

from __future__ import annotations

import io
import math
from typing import cast

import pytest
from PIL import Image

from services.chassis.pictures.geometry import Box, LandmarkType, Point
from services.chassis.pictures.picture import Picture
from services.chassis.process.settings import SharedSettings
from services.detector.detection import DetectionConfig, detect
from services.detector.faces import Face
from services.detector.models import DetectorModels
from services.detector.search import Recall

EYE = {LandmarkType.LEFT_EYE: Point(-3, 7), LandmarkType.RIGHT_EYE: Point(math.nan, 7)}


def face(x_min: float, y_min: float, x_max: float, y_max: float, confidence: float = 0.9) -> Face:
    return Face(box=Box(x_min=x_min, y_min=y_min, x_max=x_max, y_max=y_max), confidence=confidence, landmarks=EYE)


class Found:
    """A search that finds the same faces in every picture, and a set of models with no other."""

    notice = ""

    def __init__(self, *faces: Face) -> None:
        self._faces = list(faces)

    def model_id(self, recall: Recall) -> str:
        del recall
        return "found@0"

    def own_confidence(self, recall: Recall) -> float:
        del recall
        return 0.5

    def search(
        self, picture: Picture | str, *, recall: Recall | None = None, min_confidence: float | None = None
    ) -> object:
        del recall, min_confidence
        return self if isinstance(picture, str) else self._faces


def found_in_100_by_80(*faces: Face) -> list[Face]:
    file = io.BytesIO()
    Image.new("RGB", (100, 80)).save(file, "PNG")
    models = cast("DetectorModels", Found(*faces))
    limits = SharedSettings().picture_limits
    return detect(file.getvalue(), DetectionConfig(), models=models, limits=limits).faces


def test_boxes_never_leave_the_picture() -> None:
    faces = found_in_100_by_80(face(-20, -1, 30, 40), face(60, 50, 140, 300), face(10, 10, 20, 20))
    boxes = [(f.box.x_min, f.box.y_min, f.box.x_max, f.box.y_max) for f in faces]
    assert boxes == [(0, 0, 30, 40), (60, 50, 100, 80), (10, 10, 20, 20)]


def test_faces_beside_the_picture_are_left_out() -> None:
    assert found_in_100_by_80(face(-20, 5, -1, 30), face(100, 5, 120, 30), face(5, 81, 9, 90)) == []


def test_landmarks_stay_beyond_the_border_and_have_to_be_numbers() -> None:
    [cut] = found_in_100_by_80(face(-20, -1, 30, 40))
    assert cut.landmarks == {LandmarkType.LEFT_EYE: Point(-3, 7)}


@pytest.mark.parametrize("values", [(math.nan, 0, 5, 5), (0, 0, math.inf, 5), (0, 0, 5, 5, math.nan)])
def test_face_that_is_nowhere_is_a_fault_and_not_left_out(values: tuple[float, ...]) -> None:
    with pytest.raises(ValueError, match="without a position"):
        found_in_100_by_80(face(*values))
