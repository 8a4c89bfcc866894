"""Detection of one picture: configuration, selection, aligned crops, with the real BlazeFace weights."""

from __future__ import annotations

import io
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from services.chassis.errors import InvalidRequest, NotReady
from services.chassis.models.store import ModelStore
from services.chassis.pictures.geometry import Box
from services.chassis.process.settings import ModelSettings, SharedSettings
from services.detector.alignment import Template, align
from services.detector.detection import MAX_ALIGNED, Detection, DetectionConfig, align_faces, detect
from services.detector.faces import Face
from services.detector.models import DetectorModels, DetectorOptions
from services.detector.search import Recall


@pytest.fixture(scope="module")
def models() -> Iterator[DetectorModels]:
    loaded = DetectorModels(ModelStore(ModelSettings()), DetectorOptions(default="blazeface-full"))
    yield loaded
    loaded.close()


def _detect(content: bytes, models: DetectorModels, config: DetectionConfig) -> Detection:
    return detect(content, config, models=models, limits=SharedSettings().picture_limits)


def _jpeg(image: Image.Image) -> bytes:
    file = io.BytesIO()
    image.save(file, "JPEG", quality=95)
    return file.getvalue()


@pytest.fixture(scope="module")
def two_astronauts(astronaut: Image.Image) -> bytes:
    """A large and a small one side by side."""
    canvas = Image.new("RGB", (800, 512), "gray")
    canvas.paste(astronaut, (0, 0))
    canvas.paste(astronaut.resize((256, 256)), (530, 100))
    return _jpeg(canvas)


@pytest.mark.parametrize("value", [math.nan, math.inf, 0.0, 0.019, 1.01, -1.0])
def test_a_threshold_out_of_range_is_refused(value: float) -> None:
    with pytest.raises(InvalidRequest, match="min_confidence"):
        DetectionConfig(min_confidence=value)


@pytest.mark.parametrize("field", ["min_face_px", "max_faces"])
def test_a_negative_number_is_refused(field: str) -> None:
    with pytest.raises(InvalidRequest, match=field):
        DetectionConfig(**{field: -1})  # type: ignore[arg-type]


@pytest.mark.parametrize("recall", list(Recall))
def test_faces_are_found_surest_first(two_astronauts: bytes, models: DetectorModels, recall: Recall) -> None:
    found = _detect(two_astronauts, models, DetectionConfig(recall=recall))
    assert (found.width_px, found.height_px) == (800, 512)
    confidences = [face.confidence for face in found.faces]
    assert confidences == sorted(confidences, reverse=True)
    centers = [face.box.center for face in found.faces]
    for x, y in ((224, 120), (530 + 112, 100 + 60)):
        assert sum(abs(c.x - x) < 30 and abs(c.y - y) < 30 for c in centers) == 1


def test_max_faces_keeps_the_surest(two_astronauts: bytes, models: DetectorModels) -> None:
    everyone = _detect(two_astronauts, models, DetectionConfig())
    assert _detect(two_astronauts, models, DetectionConfig(max_faces=1)).faces == everyone.faces[:1]


@pytest.mark.parametrize("limit", [{"max_faces": 1}, {"min_confidence": 0.9}, {"min_face_px": 80}], ids=str)
def test_what_a_limit_leaves_out_is_told(two_astronauts: bytes, models: DetectorModels, limit: dict[str, Any]) -> None:
    everyone = _detect(two_astronauts, models, DetectionConfig())
    some = _detect(two_astronauts, models, DetectionConfig(**limit))
    assert everyone.left_out == []
    assert some.left_out
    assert {face.box for face in (*some.faces, *some.left_out)} == {face.box for face in everyone.faces}


def test_min_face_px_leaves_out_the_small(two_astronauts: bytes, models: DetectorModels) -> None:
    found = _detect(two_astronauts, models, DetectionConfig(min_face_px=80))
    assert len(found.faces) == 1
    assert found.faces[0].box.width >= 80


def test_every_answer_names_its_model(astronaut_jpeg: bytes, models: DetectorModels) -> None:
    assert _detect(astronaut_jpeg, models, DetectionConfig()).model_id == "blazeface-full@2c3728e6da56"
    short = _detect(astronaut_jpeg, models, DetectionConfig(model="blazeface-short"))
    assert short.model_id == "blazeface-short@bbff11cebd1e"


def test_an_unknown_model_is_the_callers_mistake(astronaut_jpeg: bytes, models: DetectorModels) -> None:
    with pytest.raises(InvalidRequest, match=r"yolo.*blazeface-full"):
        _detect(astronaut_jpeg, models, DetectionConfig(model="yolo"))


def test_an_absent_model_names_the_command_that_installs_it(astronaut_jpeg: bytes, tmp_path: Path) -> None:
    empty = DetectorModels(ModelStore(ModelSettings(dir=tmp_path)), DetectorOptions())
    with pytest.raises(NotReady, match="facet models pull blazeface-full"):
        _detect(astronaut_jpeg, empty, DetectionConfig())


def test_crops_are_answered_only_where_asked_for(astronaut_jpeg: bytes, models: DetectorModels) -> None:
    assert _detect(astronaut_jpeg, models, DetectionConfig()).aligned == []
    [crop] = _detect(astronaut_jpeg, models, DetectionConfig(include_aligned=True)).aligned
    assert crop is not None
    assert crop.template is Template.FOUR_POINT
    assert crop.pixels.shape == (112, 112, 3)


def test_a_crop_from_a_reduced_decode_shows_the_same_face(astronaut: Image.Image, models: DetectorModels) -> None:
    large = astronaut.resize((4096, 4096), Image.Resampling.BICUBIC)
    found = _detect(_jpeg(large), models, DetectionConfig(include_aligned=True))
    [crop] = found.aligned
    assert crop is not None
    [face] = found.faces
    shrunk = {kind: type(p)(p.x / 8, p.y / 8) for kind, p in face.landmarks.items()}
    original = align(np.asarray(astronaut), shrunk)
    assert original is not None
    difference = np.abs(crop.pixels.astype(int) - original.pixels.astype(int)).mean()
    assert difference < 6


def test_known_faces_are_cut_out_as_detection_cuts_them_out(two_astronauts: bytes, models: DetectorModels) -> None:
    found = _detect(two_astronauts, models, DetectionConfig(include_aligned=True))
    again = align_faces(two_astronauts, found.faces, limits=SharedSettings().picture_limits)
    assert len(again) == 2
    for crop, known in zip(found.aligned, again, strict=True):
        assert crop is not None
        assert known is not None
        assert (crop.pixels == known.pixels).all()


def test_a_known_face_without_landmarks_has_no_crop(astronaut_jpeg: bytes) -> None:
    face = Face(box=Box(x_min=170, y_min=60, x_max=275, y_max=180), confidence=0, landmarks={})
    assert align_faces(astronaut_jpeg, [face], limits=SharedSettings().picture_limits) == [None]
    assert align_faces(astronaut_jpeg, [], limits=SharedSettings().picture_limits) == []


def test_more_faces_than_an_answer_holds_are_refused(astronaut_jpeg: bytes) -> None:
    face = Face(box=Box(x_min=0, y_min=0, x_max=1, y_max=1), confidence=0, landmarks={})
    with pytest.raises(InvalidRequest, match="at most 1024"):
        align_faces(astronaut_jpeg, [face] * (MAX_ALIGNED + 1), limits=SharedSettings().picture_limits)


def test_a_picture_without_faces_has_none(models: DetectorModels) -> None:
    found = _detect(_jpeg(Image.new("RGB", (640, 480), "gray")), models, DetectionConfig(include_aligned=True))
    assert found.faces == []
    assert found.aligned == []
