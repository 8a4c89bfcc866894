"""Pictures made smaller, larger and softer: what OpenCV's `resize` and `GaussianBlur` do, to the rounding.

Columns and rows are treated apart, each as a product with a matrix of weights. OpenCV itself is as large as all
the rest of a tier's image.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from functools import lru_cache
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from services.chassis.pictures.pixels import Samples

Levels = NDArray[np.float32]  # H x W x C
Weights = NDArray[np.float32]  # to x from: how much of each old row, or column, enters a new one
Sample = TypeVar("Sample", bound=np.uint8 | np.uint16)
Value = TypeVar("Value", bound=np.float32 | np.uint8 | np.uint16)
Interpolation = Callable[[int, int], Weights]
"""The weights that bring so many rows, or columns, to so many more."""

_CUBIC_SHARPNESS = -0.75
_SIGMAS_A_SIDE = 4
_CACHED_VALUES = 1 << 17  # half a megabyte: what a processor's own cache holds
_HELD_VALUES = 1 << 22  # what is in work of a large picture
_COLUMNS_AT_ONCE = 32
_HALF = np.float32(0.5)  # added before what cuts off, it rounds
_KEPT_WEIGHTS = 128


def resize_area(levels: Levels | Samples, size: tuple[int, int]) -> Levels:
    """Averages of the areas that the new pixels cover (INTER_AREA).

    Args:
        levels: H x W x C.
        size: Width and height, neither larger than before.
    """
    height, width, channels = levels.shape
    down, across = _areas(height, size[1]), _areas(width, size[0])
    answer = np.empty((size[1], size[0], channels), np.float32)
    for new, old in _parts(down, _at_once(levels, _HELD_VALUES)):
        rows = np.zeros((len(answer[new]), width * channels), np.float32)
        for band, part in _parts(down[new, old].T, _at_once(levels, _CACHED_VALUES)):
            rows[part] += down[new, old][part, band] @ _flat(levels[old][band].astype(np.float32, copy=False))
        answer[new] = _across(across, rows.reshape(-1, width, channels))
    return answer


def enlarged(levels: Levels, size: tuple[int, int], interpolation: Interpolation) -> Levels:
    """As large as that.

    Args:
        levels: H x W x C.
        size: Width and height.
        interpolation: `linear` or `cubic`.
    """
    width, height = size
    rows = _across(interpolation(levels.shape[1], width), levels)
    return _down(interpolation(levels.shape[0], height), rows)


def resize_like(levels: Levels, like: Samples, interpolation: Interpolation) -> Samples:
    """The same in place of `like` and in its type, rounded; takes little more memory than the answer."""
    height, width = like.shape[:2]
    rows = _flat(_across(interpolation(levels.shape[1], width), levels)) + _HALF
    down = interpolation(levels.shape[0], height)
    samples = np.empty(like.shape, like.dtype)
    lines = np.empty((_at_once(like, 2 * _CACHED_VALUES), rows.shape[1]), np.float32)
    for new, old in _parts(down, len(lines)):
        part = _flat(samples[new])
        _clip_to(np.matmul(down[new, old], rows[old], out=lines[: len(part)]), part)
    return samples


def resize_nearest(levels: Levels, like: Samples) -> Samples:
    """Each value as a rectangle of one colour (INTER_NEAREST)."""
    height, width = like.shape[:2]
    lines = rounded(levels, like.dtype)[:, _nearest(levels.shape[1], width)]
    return lines.take(_nearest(len(levels), height), axis=0)


def blurred(levels: Levels, *, across_px: float, down_px: float) -> Levels:
    """A Gaussian blur of those standard deviations; beyond the border its pixels go on (BORDER_REPLICATE)."""
    return _down(_gaussian(levels.shape[0], down_px), _across(_gaussian(levels.shape[1], across_px), levels))


def rounded(levels: Levels, dtype: np.dtype[Sample]) -> NDArray[Sample]:
    """To the nearest of the values that the type has."""
    samples = np.empty(levels.shape, dtype)
    _clip_to(levels + _HALF, samples)
    return samples


@lru_cache(_KEPT_WEIGHTS)
def linear(of: int, to: int) -> Weights:
    """Between the two nearest (INTER_LINEAR)."""
    at, part = _places(of, to)
    return _weights(of, at, np.stack([1 - part, part], axis=1))


@lru_cache(_KEPT_WEIGHTS)
def cubic(of: int, to: int) -> Weights:
    """Between the four nearest (INTER_CUBIC).

    Source: Keys, "Cubic convolution interpolation for digital image processing", 1981; OpenCV takes another constant.
    """
    at, part = _places(of, to)
    taps = [_keys(1 + part), _keys(part), _keys(1 - part), _keys(2 - part)]
    return _weights(of, at - 1, np.stack(taps, axis=1))


def _keys(distance: NDArray[np.float64]) -> NDArray[np.float64]:
    a = _CUBIC_SHARPNESS
    near = (a + 2) * distance**3 - (a + 3) * distance**2 + 1
    far = a * (distance**3 - 5 * distance**2 + 8 * distance - 4)
    return np.where(distance <= 1, near, far)


@lru_cache(_KEPT_WEIGHTS)
def _areas(of: int, to: int) -> Weights:
    """Counted in whole numbers, so that what does not overlap weighs nothing at all."""
    new, old = np.arange(to)[:, None] * of, np.arange(of) * to
    overlaps = np.minimum(new + of, old + to) - np.maximum(new, old)
    return _frozen(np.maximum(overlaps, 0) / of)


@lru_cache(_KEPT_WEIGHTS)
def _gaussian(of: int, sigma_px: float) -> Weights:
    reach = round(_SIGMAS_A_SIDE * sigma_px)
    taps = np.exp(-0.5 * (np.arange(-reach, reach + 1) / sigma_px) ** 2)
    return _weights(of, np.arange(of) - reach, np.broadcast_to(taps / taps.sum(), (of, taps.size)))


def _places(of: int, to: int) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Where the middle of each new pixel lies: after the middle of which old one, and how far."""
    middles = (np.arange(to) + 0.5) * of / to - 0.5
    at = np.floor(middles)
    return at.astype(np.int64), middles - at


def _weights(of: int, first: NDArray[np.int64], taps: NDArray[np.float64]) -> Weights:
    """Of each new pixel the taps, from the first on; those beyond the border count for the last pixel before it."""
    weights = np.zeros((first.size, of))
    columns = np.clip(first[:, None] + np.arange(taps.shape[1]), 0, of - 1)
    np.add.at(weights, (np.arange(first.size)[:, None], columns), taps)
    return _frozen(weights)


def _frozen(weights: NDArray[np.float64]) -> Weights:
    """As it may be shared."""
    kept = weights.astype(np.float32)
    kept.flags.writeable = False
    return kept


def _nearest(of: int, to: int) -> NDArray[np.int64]:
    return np.arange(to) * of // to


def _clip_to(levels: Levels, into: Samples) -> None:
    """To the value below of those that the type has; overwrites the levels."""
    np.clip(levels, 0, np.iinfo(into.dtype).max + _HALF, out=levels)
    np.copyto(into, levels, casting="unsafe")


def _at_once(levels: Levels | Samples, values: int) -> int:
    """How many rows of that width hold no more than so many values."""
    return min(len(levels), max(1, values // math.prod(levels.shape[1:])))


def _parts(weights: Weights, count: int) -> Iterator[tuple[slice, slice]]:
    """Rows, so many at a time, and the columns in which these have weights."""
    for start in range(0, len(weights), count):
        part = slice(start, start + count)
        weighted = np.flatnonzero(weights[part].any(axis=0))
        yield part, slice(weighted[0], weighted[-1] + 1)


def _down(weights: Weights, levels: Levels) -> Levels:
    """The product with the rows of each column and channel."""
    return np.asarray(weights @ _flat(levels)).reshape(-1, *levels.shape[1:])


def _across(weights: Weights, levels: Levels) -> Levels:
    """The product with the columns of each row and channel."""
    height, width, channels = levels.shape
    lines = np.ascontiguousarray(levels.swapaxes(1, 2)).reshape(height * channels, width)
    product = np.empty((len(lines), len(weights)), np.float32)
    for new, old in _parts(weights, _COLUMNS_AT_ONCE * max(1, len(weights) // width)):
        product[:, new] = lines[:, old] @ weights[new, old].T
    return np.ascontiguousarray(product.reshape(height, channels, -1).swapaxes(1, 2))


def _flat(levels: NDArray[Value]) -> NDArray[Value]:
    """A line a row, without a copy."""
    return levels.reshape(len(levels), -1)
