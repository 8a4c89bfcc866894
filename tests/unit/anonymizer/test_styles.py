"""What stands in a region's place: nothing of the face, or with the weak styles less of it the stronger they are."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from numpy.typing import NDArray

from services.anonymizer.styles import (
    AveragingMosaic,
    Blur,
    GaussianBlur,
    Mosaic,
    Scene,
    Solid,
    Style,
    cells_a_face,
)
from services.chassis.pictures.pixels import Samples

STRENGTHS = (0.0, 0.25, 0.5, 0.75, 1.0)
SHAPES = [(1, 1, 3), (1, 50, 3), (50, 1, 3), (7, 3, 3), (60, 80, 1), (60, 80, 2), (60, 80, 3), (60, 80, 4)]
SAFE: list[Style] = [style(strength=strength) for style in (Mosaic, Blur) for strength in STRENGTHS]
WEAK: list[Style] = [style(strength=strength) for style in (AveragingMosaic, GaussianBlur) for strength in STRENGTHS]
ALL_STYLES = [*SAFE, *WEAK, Solid()]


def noise(*shape: int, dtype: type[np.uint8 | np.uint16] = np.uint8, seed: int = 0) -> Samples:
    return np.random.default_rng(seed).integers(0, np.iinfo(dtype).max, shape, dtype, endpoint=True)


def scene(samples: Samples, face_px: float, *, noise: float = 0, seed: int = 0) -> Scene:
    channels = samples.shape[2]
    return Scene(face_px=(face_px, face_px), opaque_black=(0,) * channels, noise=(noise,) * channels, seed=seed)


def ring(height: int, width: int, thickness: int) -> NDArray[np.bool_]:
    """Visible is only a frame."""
    visible = np.ones((height, width), np.bool_)
    visible[thickness:-thickness, thickness:-thickness] = False
    return visible


def nothing_visible(samples: Samples) -> NDArray[np.bool_]:
    return np.zeros(samples.shape[:2], np.bool_)


def detail(samples: Samples) -> float:
    """How much neighbours differ."""
    return float(np.abs(np.diff(samples.astype(float), axis=1)).mean())


def spread(samples: Samples) -> float:
    """Standard deviation over the picture."""
    return float(samples.astype(float).std())


@pytest.mark.parametrize("style", ALL_STYLES, ids=repr)
@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_shape_and_depth_stay(style: Style, shape: tuple[int, ...], dtype: type[np.uint8 | np.uint16]) -> None:
    samples = noise(*shape, dtype=dtype)
    before = samples.copy()
    rendered = style.render(samples, nothing_visible(samples), scene(samples, 40, noise=0.05))
    assert rendered.shape == shape
    assert rendered.dtype == dtype
    assert np.array_equal(samples, before)


@pytest.mark.parametrize("style", ALL_STYLES, ids=repr)
@pytest.mark.parametrize("face_px", [0.5, 3, 40, 5000])
def test_faces_of_every_size_are_rendered(style: Style, face_px: float) -> None:
    samples = noise(90, 70, 3)
    assert style.context_px(face_px) >= 0
    assert style.render(samples, ring(90, 70, 5), scene(samples, face_px)).shape == samples.shape


# Styles drawn from the surroundings


@pytest.mark.parametrize("style", [*SAFE, Solid()], ids=repr)
def test_nothing_of_what_is_hidden_enters(style: Style) -> None:
    visible = ring(90, 70, 8)
    one, other = noise(90, 70, 3), noise(90, 70, 3, seed=1)
    other[visible] = one[visible]
    rendered = [style.render(samples, visible, scene(samples, 50, noise=0.05)) for samples in (one, other)]
    assert not style.weak
    assert np.array_equal(rendered[0], rendered[1])


@pytest.mark.parametrize("style", SAFE, ids=repr)
def test_tones_are_those_of_the_surroundings(style: Style) -> None:
    samples = noise(90, 70, 3)
    visible = ring(90, 70, 8)
    samples[visible] = (10, 200, 30)
    rendered = style.render(samples, visible, scene(samples, 50))
    assert np.abs(rendered.astype(int) - (10, 200, 30)).max() <= 1


@pytest.mark.parametrize("style", SAFE, ids=repr)
def test_tones_run_on_from_one_side_to_the_other(style: Style) -> None:
    samples = np.repeat(np.linspace(0, 255, 80).astype(np.uint8)[None, :, None], 80, axis=0)
    rendered = style.render(samples, ring(80, 80, 8), scene(samples, 60)).astype(float)[40, :, 0]
    assert rendered[10] < 90
    assert rendered[70] > 165
    assert 60 < rendered[40] < 195


@pytest.mark.parametrize("style", SAFE, ids=repr)
def test_where_nothing_is_visible_the_middle_of_all_tones_stands_in(style: Style) -> None:
    samples = noise(60, 60, 3)
    rendered = style.render(samples, nothing_visible(samples), scene(samples, 60))
    assert np.abs(rendered.astype(int) - 127).max() <= 1


@pytest.mark.parametrize("style", SAFE, ids=repr)
def test_texture_changes_brightness_alone_and_repeats(style: Style) -> None:
    samples = np.full((80, 80, 3), 128, np.uint8)
    visible = ring(80, 80, 8)
    rendered = [style.render(samples, visible, scene(samples, 60, noise=0.05, seed=seed)) for seed in (1, 1, 2)]
    assert np.array_equal(rendered[0], rendered[1])
    assert not np.array_equal(rendered[0], rendered[2])
    assert np.ptp(rendered[0], axis=2).max() == 0
    assert 1 < spread(rendered[0]) < 20


@pytest.mark.parametrize("strength", STRENGTHS)
def test_cells_are_as_many_however_many_pixels_the_face_has(strength: float) -> None:
    for face_px in (30, 90, 360):
        samples = np.full((face_px, face_px, 1), 128, np.uint8)
        style = Mosaic(strength=strength)
        row = style.render(samples, nothing_visible(samples), scene(samples, face_px, noise=0.05))[0, :, 0]
        assert np.count_nonzero(np.diff(row.astype(int))) < round(cells_a_face(strength))
        assert len(np.unique(row)) > 1


@pytest.mark.parametrize("style", [*SAFE, *WEAK], ids=repr)
def test_subsampled_channels_are_drawn_like_full_ones(style: Style) -> None:
    full = np.repeat(np.linspace(0, 255, 160).astype(np.uint8)[None, :, None], 80, axis=0)
    halved = np.ascontiguousarray(full[:, ::2])
    visible = ring(80, 160, 16)
    drawn = style.render(full, visible, scene(full, 60))[:, ::2].astype(int)
    narrow = Scene(face_px=(30, 60), opaque_black=(0,), noise=(0,), seed=0)
    assert np.abs(drawn - style.render(halved, visible[:, ::2], narrow)).mean() < 3


# Averages


@pytest.mark.parametrize(("strength", "cell_px"), [(0.0, 10), (0.5, 15), (1.0, 30)])
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_averaging_mosaic_has_flat_cells_the_average_of_what_they_cover(
    strength: float, cell_px: int, dtype: type[np.uint8 | np.uint16]
) -> None:
    samples = noise(90, 120, 3, dtype=dtype)
    style = AveragingMosaic(strength=strength)
    rendered = style.render(samples, nothing_visible(samples), scene(samples, 90))
    assert style.weak
    for top in range(0, 90, cell_px):
        for left in range(0, 120, cell_px):
            cell = np.s_[top : top + cell_px, left : left + cell_px]
            average = samples[cell].reshape(-1, 3).astype(float).mean(axis=0)
            assert np.ptp(rendered[cell].reshape(-1, 3), axis=0).max() == 0
            assert np.abs(rendered[cell][0, 0] - average).max() <= 1


def test_cell_is_never_as_small_as_a_pixel() -> None:
    samples = noise(4, 4, 3)
    rendered = AveragingMosaic(strength=0).render(samples, nothing_visible(samples), scene(samples, 4))
    assert np.array_equal(rendered[0::2, 0::2], rendered[1::2, 1::2])


def test_stronger_averaging_mosaic_has_larger_cells() -> None:
    samples = noise(180, 180, 3)
    spreads = [
        spread(AveragingMosaic(strength=strength).render(samples, nothing_visible(samples), scene(samples, 180)))
        for strength in STRENGTHS
    ]
    assert spreads == sorted(spreads, reverse=True)
    assert spreads[0] > spreads[-1]


def test_stronger_gaussian_blur_leaves_less() -> None:
    stripes: Samples = np.tile(np.repeat(np.array([0, 255], np.uint8), 40), (200, 4))[..., None]
    spreads = [
        spread(GaussianBlur(strength=strength).render(stripes, nothing_visible(stripes), scene(stripes, 100)))
        for strength in STRENGTHS
    ]
    assert all(stronger < weaker for weaker, stronger in itertools.pairwise(spreads))


@pytest.mark.parametrize("strength", STRENGTHS)
def test_gaussian_blur_is_as_strong_however_many_pixels_the_face_has(strength: float) -> None:
    left = []
    for face_px in (64, 256, 1024):
        edge = np.zeros((face_px, face_px, 1), np.uint8)
        edge[:, face_px // 2 :] = 255
        blurred = GaussianBlur(strength=strength).render(edge, nothing_visible(edge), scene(edge, face_px))
        left.append(float(blurred[face_px // 2, : face_px // 2].mean()))
    assert max(left) - min(left) < 6


def test_gaussian_blur_leaves_no_detail_of_the_face() -> None:
    samples = noise(200, 200, 3)
    for strength in STRENGTHS:
        rendered = GaussianBlur(strength=strength).render(samples, nothing_visible(samples), scene(samples, 200))
        assert detail(rendered) < 0.02 * detail(samples)


# Solid


def test_solid_is_one_colour() -> None:
    samples = noise(30, 20, 4)
    colour = (1, 2, 3, 255)
    rendered = Solid().render(
        samples, nothing_visible(samples), Scene(face_px=(9, 9), opaque_black=colour, noise=(0.1,) * 4, seed=0)
    )
    assert (rendered == colour).all()
