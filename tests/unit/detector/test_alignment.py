"""Alignment: landmarks land on the template."""

from __future__ import annotations

import math

import numpy as np
import pytest

from services.chassis.pictures.geometry import LandmarkType, Point
from services.detector.alignment import ALIGNED_SIDE_PX, Template, align, similarity


def _moved(template: Template, *, scale: float, angle: float, dx: float, dy: float) -> dict[LandmarkType, Point]:
    cos, sin = scale * math.cos(angle), scale * math.sin(angle)
    return {k: Point(cos * p.x - sin * p.y + dx, sin * p.x + cos * p.y + dy) for k, p in template.value.items()}


@pytest.mark.parametrize("template", list(Template))
@pytest.mark.parametrize("angle", [0.0, 0.4, math.pi / 2, math.pi, -2.5])
def test_similarity_undoes_any_turn_scale_and_shift(template: Template, angle: float) -> None:
    landmarks = _moved(template, scale=3.7, angle=angle, dx=210, dy=-40)
    source = np.array([(p.x, p.y) for p in landmarks.values()])
    target = np.array([(p.x, p.y) for p in template.value.values()])
    transform = similarity(source, target)
    assert transform is not None
    assert source @ transform[:, :2].T + transform[:, 2] == pytest.approx(target, abs=1e-9)


def test_similarity_never_mirrors() -> None:
    target = np.array([(p.x, p.y) for p in Template.FIVE_POINT.value.values()])
    transform = similarity(target * (-1, 1), target)
    assert transform is not None
    assert np.linalg.det(transform[:, :2]) > 0


def test_coinciding_landmarks_give_no_crop() -> None:
    picture = np.zeros((50, 50, 3), np.uint8)
    assert align(picture, dict.fromkeys(Template.FIVE_POINT.value, Point(10, 10))) is None


def test_missing_landmarks_give_no_crop() -> None:
    picture = np.zeros((50, 50, 3), np.uint8)
    assert align(picture, {LandmarkType.LEFT_EYE: Point(10, 10), LandmarkType.RIGHT_EYE: Point(20, 10)}) is None


@pytest.mark.parametrize("template", list(Template))
def test_marked_landmarks_land_on_the_template(template: Template) -> None:
    landmarks = _moved(template, scale=2.5, angle=0.3, dx=90, dy=60)
    picture = np.zeros((500, 500, 3), np.uint8)
    rows, columns = np.mgrid[:500, :500]
    for channel, point in zip((0, 1, 2), list(landmarks.values())[:3], strict=True):
        picture[..., channel] = 255 * np.exp(-((columns - point.x) ** 2 + (rows - point.y) ** 2) / 50)
    aligned = align(picture, landmarks)
    assert aligned is not None
    assert aligned.template is template
    assert aligned.pixels.shape == (ALIGNED_SIDE_PX, ALIGNED_SIDE_PX, 3)
    ys, xs = np.mgrid[:ALIGNED_SIDE_PX, :ALIGNED_SIDE_PX]
    for channel, point in zip((0, 1, 2), list(template.value.values())[:3], strict=True):
        weight = aligned.pixels[..., channel].astype(float)
        assert (xs * weight).sum() / weight.sum() == pytest.approx(point.x, abs=0.5)
        assert (ys * weight).sum() / weight.sum() == pytest.approx(point.y, abs=0.5)


def test_five_points_are_preferred_where_both_templates_fit() -> None:
    both = {**Template.FOUR_POINT.value, **Template.FIVE_POINT.value}
    aligned = align(np.zeros((112, 112, 3), np.uint8), both)
    assert aligned is not None
    assert aligned.template is Template.FIVE_POINT
