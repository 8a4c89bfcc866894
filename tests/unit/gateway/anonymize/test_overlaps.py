"""When a found face counts as one that is known already."""

from __future__ import annotations

import random

import pytest

from gateway.anonymize.overlaps import BoxIndex, lie_in_any, lies_in_any, touch_any, touches_any
from services.chassis.pictures.geometry import Box, intersection_over_union

FACE = Box(x_min=100, y_min=100, x_max=200, y_max=220)


def moved(dx: float, dy: float = 0.0, *, by: float = 1.0) -> Box:
    """FACE moved, and then resized about its middle."""
    center, half_width, half_height = FACE.center, FACE.width / 2 * by, FACE.height / 2 * by
    return Box(
        x_min=center.x + dx - half_width,
        y_min=center.y + dy - half_height,
        x_max=center.x + dx + half_width,
        y_max=center.y + dy + half_height,
    )


@pytest.mark.parametrize(("dx", "share"), [(0, 1.0), (50, 1 / 3), (100, 0.0), (300, 0.0)])
def test_shared_area_is_a_part_of_both(dx: float, share: float) -> None:
    assert intersection_over_union(BoxIndex([FACE]).corners, BoxIndex([moved(dx)]).corners) == pytest.approx(share)


def test_a_face_beside_one_that_is_shown_is_not_that_one() -> None:
    assert lies_in_any(moved(40), [FACE])
    assert not lies_in_any(moved(60), [FACE])
    assert not lies_in_any(FACE, [])


def test_a_face_around_a_box_that_is_too_small_belongs_to_it() -> None:
    within = moved(20, 20, by=0.2)
    assert touches_any(FACE, [within])
    assert touches_any(within, [FACE])
    assert not touches_any(moved(90), [FACE])


def test_many_faces_are_compared_as_each_would_be_alone() -> None:
    chance = random.Random(1)  # noqa: S311  (the same boxes every time)
    boxes = [moved(chance.uniform(-400, 400), chance.uniform(-400, 400), by=chance.uniform(0.1, 2)) for _ in range(300)]
    for one, many in ((touches_any, touch_any), (lies_in_any, lie_in_any)):
        expected = [one(box, boxes[:20]) for box in boxes]
        assert many(boxes, boxes[:20]).tolist() == expected
        assert any(expected)
        assert not all(expected)
    assert touch_any(boxes, []).tolist() == [False] * 300
    assert touch_any([], boxes).tolist() == []
