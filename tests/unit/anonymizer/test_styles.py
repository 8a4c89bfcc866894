"""What stands in a region's place, and that it says less of the face the stronger it is."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from numpy.typing import NDArray

from services.anonymizer.styles import Blur, Mosaic, Pixels, Solid, Style

STRENGTHS = (0.0, 0.25, 0.5, 0.75, 1.0)
SHAPES = [(1, 1, 3), (1, 50, 3), (50, 1, 3), (7, 3, 3), (60, 80), (60, 80, 2), (60, 80, 3), (60, 80, 4)]
ALL_STYLES: list[Style] = [
    *(Mosaic(strength=strength) for strength in STRENGTHS),
    *(Blur(strength=strength) for strength in STRENGTHS),
    Solid(),
]


def noise(*shape: int, dtype: type[np.uint8 | np.uint16] = np.uint8) -> Pixels:
    return np.random.default_rng(0).integers(0, np.iinfo(dtype).max, shape, dtype, endpoint=True)


def black(pixels: Pixels) -> Pixels:
    return np.zeros(pixels.shape[2:], pixels.dtype)


def detail(pixels: Pixels) -> float:
    """How much neighbours differ."""
    return float(np.abs(np.diff(pixels.astype(float), axis=1)).mean())


def spread(pixels: Pixels) -> float:
    """Standard deviation over the picture."""
    return float(pixels.astype(float).std())


@pytest.mark.parametrize("style", ALL_STYLES, ids=repr)
@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_shape_and_depth_stay(style: Style, shape: tuple[int, ...], dtype: type[np.uint8 | np.uint16]) -> None:
    pixels = noise(*shape, dtype=dtype)
    before = pixels.copy()
    rendered = style.render(pixels, face_px=40, opaque_black=black(pixels))
    assert rendered.shape == shape
    assert rendered.dtype == dtype
    assert np.array_equal(pixels, before)


@pytest.mark.parametrize("style", ALL_STYLES, ids=repr)
@pytest.mark.parametrize("face_px", [0.5, 3, 40, 5000])
def test_faces_of_every_size_are_rendered(style: Style, face_px: float) -> None:
    pixels = noise(90, 70, 3)
    assert style.context_px(face_px) >= 0
    assert style.render(pixels, face_px=face_px, opaque_black=black(pixels)).shape == pixels.shape


# Mosaic


@pytest.mark.parametrize(("strength", "cell_px"), [(0.0, 10), (0.5, 15), (1.0, 30)])
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_mosaic_cells_are_flat_and_the_average_of_what_they_cover(
    strength: float, cell_px: int, dtype: type[np.uint8 | np.uint16]
) -> None:
    pixels = noise(90, 120, 3, dtype=dtype)
    rendered = Mosaic(strength=strength).render(pixels, face_px=90, opaque_black=black(pixels))
    for top in range(0, 90, cell_px):
        for left in range(0, 120, cell_px):
            cell = np.s_[top : top + cell_px, left : left + cell_px]
            average = pixels[cell].reshape(-1, 3).astype(float).mean(axis=0)
            assert np.ptp(rendered[cell].reshape(-1, 3), axis=0).max() == 0
            assert np.abs(rendered[cell][0, 0] - average).max() <= 1


@pytest.mark.parametrize("strength", STRENGTHS)
def test_mosaic_of_a_face_has_as_many_cells_however_many_pixels_the_face_has(strength: float) -> None:
    style = Mosaic(strength=strength)
    for face_px in (30, 90, 360, 1800):
        pixels = np.broadcast_to(np.linspace(0, 255, face_px).astype(np.uint8), (face_px, face_px))
        row = style.render(np.ascontiguousarray(pixels), face_px=face_px, opaque_black=black(pixels))[0]
        assert len(np.unique(row)) == round(style.cells_a_face)


def test_mosaic_cell_is_never_as_small_as_a_pixel() -> None:
    pixels = noise(4, 4, 3)
    rendered = Mosaic(strength=0).render(pixels, face_px=4, opaque_black=black(pixels))
    assert np.array_equal(rendered[0::2, 0::2], rendered[1::2, 1::2])


def test_stronger_mosaic_has_larger_cells() -> None:
    pixels = noise(180, 180, 3)
    spreads = [
        spread(Mosaic(strength=strength).render(pixels, face_px=180, opaque_black=black(pixels)))
        for strength in STRENGTHS
    ]
    assert spreads == sorted(spreads, reverse=True)
    assert spreads[0] > spreads[-1]


# Blur


def test_stronger_blur_leaves_less() -> None:
    stripes: NDArray[np.uint8] = np.tile(np.repeat(np.array([0, 255], np.uint8), 40), (200, 4))
    spreads = [
        spread(Blur(strength=strength).render(stripes, face_px=100, opaque_black=black(stripes)))
        for strength in STRENGTHS
    ]
    assert all(stronger < weaker for weaker, stronger in itertools.pairwise(spreads))


@pytest.mark.parametrize("strength", STRENGTHS)
def test_blur_is_as_strong_however_many_pixels_the_face_has(strength: float) -> None:
    left = []
    for face_px in (64, 256, 1024):
        edge = np.zeros((face_px, face_px), np.uint8)
        edge[:, face_px // 2 :] = 255
        blurred = Blur(strength=strength).render(edge, face_px=face_px, opaque_black=black(edge))
        left.append(float(blurred[face_px // 2, : face_px // 2].mean()))
    assert max(left) - min(left) < 6


def test_blur_leaves_no_detail_of_the_face() -> None:
    pixels = noise(200, 200, 3)
    for strength in STRENGTHS:
        rendered = Blur(strength=strength).render(pixels, face_px=200, opaque_black=black(pixels))
        assert detail(rendered) < 0.02 * detail(pixels)


def test_blur_of_one_colour_is_that_colour() -> None:
    pixels = np.full((50, 50, 4), (10, 200, 30, 128), np.uint8)
    rendered = Blur(strength=0.5).render(pixels, face_px=40, opaque_black=black(pixels))
    assert np.abs(rendered.astype(int) - pixels).max() <= 1


# Solid


def test_solid_takes_nothing_from_the_picture() -> None:
    colour = np.array([1, 2, 3, 255], np.uint8)
    rendered = [
        Solid().render(pixels, face_px=40, opaque_black=colour) for pixels in (noise(30, 20, 4), 255 - noise(30, 20, 4))
    ]
    assert np.array_equal(rendered[0], rendered[1])
    assert (rendered[0] == colour).all()
