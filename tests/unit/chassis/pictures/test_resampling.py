"""Resampling is OpenCV's, to the rounding; what does not enter an average weighs nothing in it."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from services.chassis.pictures.pixels import Samples
from services.chassis.pictures.resampling import (
    Interpolation,
    Levels,
    blurred,
    cubic,
    enlarged,
    linear,
    resize_area,
    resize_like,
    resize_nearest,
    rounded,
)

DTYPES = st.sampled_from([np.uint8, np.uint16])
CHANNELS = st.integers(1, 4)
SMALL, LARGE, SHARES = st.integers(1, 30), st.integers(1, 150), st.floats(0, 1)
INTERPOLATIONS: dict[Interpolation, int] = {linear: cv2.INTER_LINEAR, cubic: cv2.INTER_CUBIC}


def noise(shape: tuple[int, ...], dtype: type[np.uint8 | np.uint16], seed: int) -> Samples:
    return np.random.default_rng(seed).integers(0, np.iinfo(dtype).max, shape, dtype, endpoint=True)


def levels_off(ours: NDArray[np.generic], opencvs: object, dtype: type[np.uint8 | np.uint16]) -> float:
    """The largest difference, in levels of 255."""
    difference = np.abs(ours.astype(float) - np.asarray(opencvs, float).reshape(ours.shape))
    return float(difference.max()) * 255 / np.iinfo(dtype).max


@settings(max_examples=80, deadline=None)
@given(of=st.tuples(LARGE, LARGE, CHANNELS), share=st.tuples(SHARES, SHARES), dtype=DTYPES, seed=st.integers(0, 99))
def test_averages_of_areas_are_opencvs(
    of: tuple[int, int, int], share: tuple[float, float], dtype: type[np.uint8 | np.uint16], seed: int
) -> None:
    samples, size = noise(of, dtype, seed), (max(1, round(of[1] * share[0])), max(1, round(of[0] * share[1])))
    expected = cv2.resize(samples, size, interpolation=cv2.INTER_AREA)
    assert levels_off(rounded(resize_area(samples, size), samples.dtype), expected, dtype) <= 1
    levels = samples.astype(np.float32)
    assert levels_off(resize_area(levels, size), cv2.resize(levels, size, interpolation=cv2.INTER_AREA), dtype) < 0.02


@settings(max_examples=80, deadline=None)
@given(
    of=st.tuples(SMALL, SMALL, CHANNELS),
    to=st.tuples(LARGE, LARGE),
    dtype=DTYPES,
    interpolation=st.sampled_from(list(INTERPOLATIONS)),
    seed=st.integers(0, 99),
)
def test_what_is_enlarged_is_opencvs(
    of: tuple[int, int, int],
    to: tuple[int, int],
    dtype: type[np.uint8 | np.uint16],
    interpolation: Interpolation,
    seed: int,
) -> None:
    height, width = max(of[0], to[0]), max(of[1], to[1])
    samples, like = noise(of, dtype, seed), np.zeros((height, width, of[2]), dtype)
    levels, way = samples.astype(np.float32), INTERPOLATIONS[interpolation]
    expected = cv2.resize(samples, (width, height), interpolation=way)
    assert levels_off(resize_like(levels, like, interpolation), expected, dtype) <= 1
    expected = cv2.resize(levels, (width, height), interpolation=way)
    assert levels_off(enlarged(levels, (width, height), interpolation), expected, dtype) < 0.02


@settings(max_examples=60, deadline=None)
@given(of=st.tuples(SMALL, SMALL, CHANNELS), to=st.tuples(LARGE, LARGE), dtype=DTYPES, seed=st.integers(0, 99))
def test_cells_are_flat_and_of_opencvs_size(
    of: tuple[int, int, int], to: tuple[int, int], dtype: type[np.uint8 | np.uint16], seed: int
) -> None:
    height, width = max(of[0], to[0]), max(of[1], to[1])
    samples, like = noise(of, dtype, seed), np.zeros((height, width, of[2]), dtype)
    expected = cv2.resize(samples, (width, height), interpolation=cv2.INTER_NEAREST)
    ours = resize_nearest(samples.astype(np.float32), like)
    # Where a cell ends exactly between two pixels, OpenCV's floating point may put one on the other side.
    rows, columns = (np.arange(n) * o % n != 0 for n, o in zip(like.shape[:2], of[:2], strict=True))
    assert np.array_equal(ours[rows][:, columns], expected.reshape(like.shape)[rows][:, columns])


@settings(max_examples=60, deadline=None)
@given(
    shape=st.tuples(SMALL, SMALL, CHANNELS),
    across_px=st.floats(0.5, 12),
    down_px=st.floats(0.5, 12),
    seed=st.integers(0, 99),
)
def test_blur_is_opencvs(shape: tuple[int, int, int], across_px: float, down_px: float, seed: int) -> None:
    levels = noise(shape, np.uint8, seed).astype(np.float32)
    expected = cv2.GaussianBlur(levels, (0, 0), across_px, sigmaY=down_px, borderType=cv2.BORDER_REPLICATE)
    assert levels_off(blurred(levels, across_px=across_px, down_px=down_px), expected, np.uint8) < 0.02


@given(of=st.integers(1, 3000), to=st.integers(1, 60), at=st.integers(0, 2999))
def test_value_enters_only_the_averages_of_areas_that_touch_it(of: int, to: int, at: int) -> None:
    of, to, at = max(of, to), min(of, to), at % max(of, to)
    column: Levels = np.zeros((of, 1, 1), np.float32)
    column[at] = 1
    touched = [new for new in range(to) if new * of < (at + 1) * to and (new + 1) * of > at * to]
    assert np.flatnonzero(resize_area(column, (1, to))).tolist() == touched


@pytest.mark.parametrize("shape", [(3000, 40, 3), (40, 3000, 3), (1100, 1200, 3)], ids=str)
def test_large_pictures_are_treated_in_parts_without_a_seam(shape: tuple[int, int, int]) -> None:
    samples = noise(shape, np.uint8, 0)
    size = shape[1] * 2 // 3, shape[0] * 2 // 3
    reduced = rounded(resize_area(samples, size), samples.dtype)
    assert levels_off(reduced, cv2.resize(samples, size, interpolation=cv2.INTER_AREA), np.uint8) <= 1
    small = reduced[:20, :20]
    expected = cv2.resize(small, (shape[1], shape[0]), interpolation=cv2.INTER_CUBIC)
    assert levels_off(resize_like(small.astype(np.float32), samples, cubic), expected, np.uint8) <= 1
