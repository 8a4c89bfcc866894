"""The outline of what is hidden covers the face, whatever its size, turn and place."""

from __future__ import annotations

import math
import tracemalloc
from dataclasses import dataclass

import numpy as np
import pytest
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from services.anonymizer.regions import Cutout, Region, Shape, cut_out, grown
from services.chassis.errors import InvalidRequest
from services.chassis.pictures.geometry import Box, LandmarkType, Point

MARGINS = [0.0, 0.3, 2.0]


def region(x: float, y: float, width: float, height: float, *, turned_by: float | None = None) -> Region:
    """A region around a centre; with `turned_by` the eyes stand on a line of that angle, radians."""
    eyes = {}
    if turned_by is not None:
        dx, dy = 0.2 * width * math.cos(turned_by), 0.2 * width * math.sin(turned_by)
        eyes = {LandmarkType.LEFT_EYE: Point(x - dx, y - dy), LandmarkType.RIGHT_EYE: Point(x + dx, y + dy)}
    return Region(
        box=Box(x_min=x - width / 2, y_min=y - height / 2, x_max=x + width / 2, y_max=y + height / 2), landmarks=eyes
    )


def cut(found: Region, *, shape: Shape = Shape.ELLIPSE, margin: float = 0.3, size: tuple[int, int]) -> Cutout:
    cutout = cut_out(found, shape=shape, margin=margin, width_px=size[0], height_px=size[1])
    assert cutout is not None
    return cutout


def on_picture(cutout: Cutout, size: tuple[int, int]) -> NDArray[np.bool_]:
    """The mask of the whole picture."""
    whole = np.zeros(size[::-1], bool)
    whole[cutout.top : cutout.bottom, cutout.left : cutout.right] = cutout.mask
    return whole


@dataclass(frozen=True, slots=True, kw_only=True)
class Ellipse:
    """Half axes in pixels, turned by radians around its centre."""

    x: float
    y: float
    along: float
    across: float
    angle: float = 0.0

    def inside(self, size: tuple[int, int], *, grown_px: float = 0) -> NDArray[np.bool_]:
        """The pixels whose centre lies inside, straight from the equation of an ellipse."""
        rows, columns = np.mgrid[0 : size[1], 0 : size[0]].astype(np.float32)
        dx, dy = columns + 0.5 - self.x, rows + 0.5 - self.y
        along = (dx * math.cos(self.angle) + dy * math.sin(self.angle)) / (self.along + grown_px)
        across = (dy * math.cos(self.angle) - dx * math.sin(self.angle)) / (self.across + grown_px)
        inside: NDArray[np.bool_] = along**2 + across**2 <= 1
        return inside


@pytest.mark.parametrize("margin", MARGINS)
@pytest.mark.parametrize(
    ("width", "height"), [(1, 1), (2.5, 3.7), (20, 30), (150, 200), (700, 900), (1500, 1900)], ids=str
)
def test_every_pixel_of_the_documented_ellipse_is_hidden_and_next_to_none_beside_it(
    width: float, height: float, margin: float
) -> None:
    size = (1600, 2000)
    x, y = 803.3, 998.8
    hidden = on_picture(cut(region(x, y, width, height), margin=margin, size=size), size)
    ellipse = Ellipse(x=x, y=y, along=width * (0.5 + margin), across=height * (0.5 + margin))
    assert not (ellipse.inside(size) & ~hidden).any()
    assert not (hidden & ~ellipse.inside(size, grown_px=1.1)).any()


@pytest.mark.parametrize("degrees", [-170, -90, -45, -20, 10, 33.3, 90, 135, 180])
@pytest.mark.parametrize(("width", "height"), [(90, 120), (120, 90), (1000, 1300)])
def test_ellipse_turns_with_the_eyes(width: float, height: float, degrees: float) -> None:
    size, angle = (2600, 2600), math.radians(degrees)
    hidden = on_picture(cut(region(1300, 1300, width, height, turned_by=angle), size=size), size)
    along = math.hypot(0.8 * width * math.cos(angle), 0.8 * height * math.sin(angle))
    across = math.hypot(0.8 * width * math.sin(angle), 0.8 * height * math.cos(angle))
    ellipse = Ellipse(x=1300, y=1300, along=along, across=across, angle=angle)
    assert not (ellipse.inside(size) & ~hidden).any()
    assert not (hidden & ~ellipse.inside(size, grown_px=1.1)).any()


@pytest.mark.parametrize("eye", [LandmarkType.LEFT_EYE, LandmarkType.RIGHT_EYE])
def test_ellipse_stays_upright_where_an_eye_is_missing(eye: LandmarkType) -> None:
    both = region(100, 100, 60, 80, turned_by=0.5)
    one = Region(box=both.box, landmarks={eye: both.landmarks[eye]})
    none = Region(box=both.box, landmarks={})
    size = (200, 200)
    assert np.array_equal(on_picture(cut(one, size=size), size), on_picture(cut(none, size=size), size))
    assert not np.array_equal(on_picture(cut(both, size=size), size), on_picture(cut(none, size=size), size))


def test_eyes_on_one_spot_turn_nothing() -> None:
    eyes = {LandmarkType.LEFT_EYE: Point(100, 100), LandmarkType.RIGHT_EYE: Point(100, 100)}
    upright = region(100, 100, 60, 80)
    size = (200, 200)
    same = cut(Region(box=upright.box, landmarks=eyes), size=size)
    assert np.array_equal(on_picture(same, size), on_picture(cut(upright, size=size), size))


@pytest.mark.parametrize("margin", MARGINS)
def test_box_is_the_box_and_its_margin_whatever_the_eyes_say(margin: float) -> None:
    size = (400, 400)
    hidden = on_picture(cut(region(200, 200, 40, 60, turned_by=0.7), shape=Shape.BOX, margin=margin, size=size), size)
    expected = np.zeros_like(hidden)
    half_width, half_height = round(40 * (0.5 + margin)), round(60 * (0.5 + margin))
    expected[200 - half_height : 200 + half_height, 200 - half_width : 200 + half_width] = True
    assert np.array_equal(hidden, expected)


@pytest.mark.parametrize("shape", Shape)
@pytest.mark.parametrize(("x", "y"), [(0, 0), (199.5, 50), (-20, 120), (100, 225)])
def test_region_beyond_the_border_is_hidden_as_far_as_the_picture_goes(shape: Shape, x: float, y: float) -> None:
    size, padding = (200, 200), 200
    cutout = cut(region(x, y, 60, 80), shape=shape, size=size)
    assert 0 <= cutout.left < cutout.right <= 200
    assert 0 <= cutout.top < cutout.bottom <= 200
    larger = (600, 600)
    whole = on_picture(cut(region(x + padding, y + padding, 60, 80), shape=shape, size=larger), larger)
    assert np.array_equal(on_picture(cutout, size), whole[padding:-padding, padding:-padding])


@pytest.mark.parametrize("shape", Shape)
@pytest.mark.parametrize(("x", "y"), [(-100, 50), (400, 50), (50, -100), (50, 400)])
def test_region_outside_the_picture_hides_nothing(shape: Shape, x: float, y: float) -> None:
    assert cut_out(region(x, y, 60, 80), shape=shape, margin=0.3, width_px=200, height_px=200) is None


@pytest.mark.parametrize("shape", Shape)
@pytest.mark.parametrize(("x", "y"), [(-1e6, 50), (1e6, 50), (50, -3e38), (50, 3e38)])
def test_region_absurdly_far_outside_is_refused(shape: Shape, x: float, y: float) -> None:
    with pytest.raises(InvalidRequest, match="too far beyond the 200 x 100 pixels"):
        cut_out(region(x, y, 60, 80), shape=shape, margin=0.3, width_px=200, height_px=100)


@pytest.mark.parametrize("size", [(1, 1), (20_000, 1), (1, 20_000), (3, 10_000_000)], ids=str)
def test_region_larger_than_the_picture_hides_all_of_it(size: tuple[int, int]) -> None:
    width, height = size
    cutout = cut(region(width / 2, height / 2, 8 * width, 8 * height), margin=2, size=size)
    assert (cutout.left, cutout.top, cutout.right, cutout.bottom) == (0, 0, width, height)
    assert (cutout.first == 0).all()
    assert (cutout.end == width).all()


def test_cutout_of_a_large_picture_takes_little_memory() -> None:
    tracemalloc.start()
    try:
        cutouts = [cut(region(5000, 5000, 9000, 9000), size=(10_000, 10_000)) for _ in range(100)]
        assert len(cutouts) == 100
        assert tracemalloc.get_traced_memory()[1] < 20_000_000
    finally:
        tracemalloc.stop()


def test_face_size_is_that_of_the_box_and_not_of_the_margin() -> None:
    assert cut(region(100, 100, 30, 50), margin=2, size=(200, 200)).face_px == 50


@pytest.mark.parametrize("by_px", [1, 4, 17])
@pytest.mark.parametrize(("x", "y"), [(30, 25), (-8, -4), (55, 60)])
def test_grown_cutout_has_every_pixel_near_one_of_its_own(x: float, y: float, by_px: int) -> None:
    cutout = cut_out(region(x, y, 20, 26), shape=Shape.ELLIPSE, margin=0.3, width_px=64, height_px=70)
    assert cutout is not None
    near = sliding_window_view(np.pad(whole_mask(cutout), by_px), (2 * by_px + 1, 2 * by_px + 1))
    expected = near.any(axis=(2, 3))
    assert np.array_equal(whole_mask(grown(cutout, by_px, width_px=64, height_px=70)), expected)


def whole_mask(cutout: Cutout) -> NDArray[np.bool_]:
    hidden = np.zeros((70, 64), np.bool_)
    hidden[cutout.top : cutout.bottom, cutout.left : cutout.right] = cutout.mask
    return hidden
