"""Geometry to and from its messages."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from facet.v1 import geometry_pb2 as pb
from services.chassis.errors import InvalidRequest
from services.chassis.pictures.geometry import Box, LandmarkType, Point
from services.chassis.rpc.wire import box_from_wire, box_to_wire, landmarks_from_wire, landmarks_to_wire

pixels = st.floats(-1e6, 1e6, width=32)


@given(x=pixels, y=pixels, width=st.floats(1, 1e6, width=32), height=st.floats(1, 1e6, width=32))
def test_box_survives_the_wire(x: float, y: float, width: float, height: float) -> None:
    message = pb.BoundingBox(x_min=x, y_min=y, x_max=x + width, y_max=y + height)
    assert box_to_wire(box_from_wire(message, field="box")) == message


@given(st.dictionaries(st.sampled_from(LandmarkType), st.builds(Point, pixels, pixels)))
def test_landmarks_survive_the_wire(landmarks: dict[LandmarkType, Point]) -> None:
    assert landmarks_from_wire(landmarks_to_wire(landmarks), field="landmarks") == landmarks


def test_every_landmark_type_of_the_contract_has_its_word_in_the_domain() -> None:
    named = {name.removeprefix("LANDMARK_TYPE_").lower() for name, number in pb.LandmarkType.items() if number}
    assert named == {kind.value for kind in LandmarkType}


@pytest.mark.parametrize("edge", ["x_min", "y_min", "x_max", "y_max"])
@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_box_with_a_number_that_is_not_finite_is_refused(edge: str, value: float) -> None:
    message = box_to_wire(Box(x_min=1, y_min=1, x_max=2, y_max=2))
    setattr(message, edge, value)
    with pytest.raises(InvalidRequest, match=r"regions\[3\].box: every number must be finite"):
        box_from_wire(message, field="regions[3].box")


@pytest.mark.parametrize("corners", [(0, 0, 0, 0), (5, 0, 5, 9), (0, 5, 9, 5), (9, 0, 5, 9), (0, 9, 9, 5)])
def test_empty_box_is_refused(corners: tuple[float, float, float, float]) -> None:
    x_min, y_min, x_max, y_max = corners
    with pytest.raises(InvalidRequest, match="box: x_min must be below x_max"):
        box_from_wire(pb.BoundingBox(x_min=x_min, y_min=y_min, x_max=x_max, y_max=y_max), field="box")


@pytest.mark.parametrize("kind", [pb.LANDMARK_TYPE_UNSPECIFIED, 99])
def test_landmark_of_no_known_type_is_refused(kind: int) -> None:
    message = pb.Landmark(position=pb.Point(x=1, y=1))
    message.type = kind  # type: ignore[assignment]
    with pytest.raises(InvalidRequest, match="known type"):
        landmarks_from_wire([message], field="landmarks")


def test_landmark_given_twice_is_refused() -> None:
    message = pb.Landmark(type=pb.LANDMARK_TYPE_NOSE_TIP, position=pb.Point(x=1, y=1))
    with pytest.raises(InvalidRequest, match="at most once"):
        landmarks_from_wire([message, message], field="landmarks")


@pytest.mark.parametrize("position", [pb.Point(x=math.nan, y=1), pb.Point(x=1, y=math.inf)])
def test_landmark_with_a_number_that_is_not_finite_is_refused(position: pb.Point) -> None:
    message = pb.Landmark(type=pb.LANDMARK_TYPE_NOSE_TIP, position=position)
    with pytest.raises(InvalidRequest, match="finite"):
        landmarks_from_wire([message], field="landmarks")
