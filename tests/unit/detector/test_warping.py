"""Crops are those of OpenCV, bit by bit."""

from __future__ import annotations

import cv2
import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from services.detector.warping import warped

SIDE_PX = 40


@st.composite
def transforms(draw: st.DrawFn) -> NDArray[np.float64]:
    """Turned, scaled and moved, within the picture or far off it."""
    angle, scale = draw(st.floats(-4, 4)), draw(st.floats(0.02, 20))
    x, y = draw(st.floats(-200, 200)), draw(st.floats(-200, 200))
    cos, sin = scale * np.cos(angle), scale * np.sin(angle)
    return np.array([[cos, -sin, x], [sin, cos, y]])


@settings(max_examples=300, deadline=None)
@given(transform=transforms(), width=st.integers(1, 90), height=st.integers(1, 90), seed=st.integers(0, 2**16))
def test_every_pixel_is_opencvs(transform: NDArray[np.float64], width: int, height: int, seed: int) -> None:
    picture = np.random.default_rng(seed).integers(0, 256, (height, width, 3), np.uint8)
    expected = cv2.warpAffine(
        picture, transform, (SIDE_PX, SIDE_PX), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_CONSTANT
    )
    assert np.array_equal(warped(picture, transform, SIDE_PX), expected)


def test_part_of_a_picture_is_drawn_as_the_part() -> None:
    picture = np.random.default_rng(0).integers(0, 256, (60, 80, 3), np.uint8)
    part, transform = picture[10:50, 20:70], np.array([[0.9, 0.1, 0.0], [-0.1, 0.9, 3.0]])
    assert np.array_equal(warped(part, transform, SIDE_PX), warped(part.copy(), transform, SIDE_PX))
