"""Which pixels of a stored picture are covered, and with them which samples and blocks of its components."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from services.anonymizer.jpeg.blocks import Grid, Positions
from services.anonymizer.jpeg.placement import PlacedCutout, Rectangle
from services.anonymizer.jpeg.turbojpeg import BLOCK_PX
from services.anonymizer.regions import Mask
from services.chassis.process.patience import still_awaited


@dataclass(frozen=True, slots=True, kw_only=True)
class Sampling:
    """How a component's samples lie in the picture."""

    across_px: int
    """Pixels that a sample covers, across."""
    down_px: int
    rows: int
    """Blocks of the component, down."""
    columns: int

    def blocks(self, box: Rectangle) -> Rectangle:
        """The blocks that touch a part of the picture."""
        across, down = self.across_px * BLOCK_PX, self.down_px * BLOCK_PX
        return Rectangle(
            left=max(0, box.left) // across,
            top=max(0, box.top) // down,
            right=min(self.columns, math.ceil(box.right / across)),
            bottom=min(self.rows, math.ceil(box.bottom / down)),
        )


class Coverage:
    """Covered pixels; beyond the picture's right and bottom edges, what lies at the edge goes on."""

    def __init__(self, placed: Sequence[PlacedCutout], *, size: tuple[int, int], unit_px: tuple[int, int]) -> None:
        """Covers what the cutouts cover.

        Args:
            placed: In the stored picture.
            size: Its width and height.
            unit_px: Width and height of what holds whole blocks of each component.
        """
        (self._width, self._height), self._unit_px = size, unit_px
        self._placed = placed
        self._blocks: dict[Sampling, tuple[Grid, Grid]] = {}

    @cached_property
    def _pixels(self) -> Mask:
        """Drawn when samples are first asked for: blocks need none of it."""
        across, down = self._unit_px
        pixels = np.zeros((_multiple(self._height, down), _multiple(self._width, across)), np.bool_)
        for cutout in self._placed:
            still_awaited()
            runs = zip(cutout.first.tolist(), cutout.end.tolist(), strict=True)
            for row, (first, end) in enumerate(runs, cutout.box.top):
                pixels[row, first:end] = True
        pixels[self._height :] = pixels[self._height - 1]
        pixels[:, self._width :] = pixels[:, self._width - 1 : self._width]
        return pixels

    def blocks(self, sampling: Sampling) -> tuple[Grid, Grid]:
        """Which blocks of a component are covered at all, and which are by one cutout as a whole; not to be changed."""
        if sampling not in self._blocks:
            self._blocks[sampling] = self._covered(sampling)
        return self._blocks[sampling]

    def _covered(self, sampling: Sampling) -> tuple[Grid, Grid]:
        touched = np.zeros((sampling.rows, sampling.columns), np.bool_)
        whole = touched.copy()
        columns = np.arange(sampling.columns)
        across, down = sampling.across_px * BLOCK_PX, sampling.down_px * BLOCK_PX
        for cutout in self._placed:
            still_awaited()
            part = sampling.blocks(cutout.box)
            rows = np.arange(part.top, part.bottom)
            starts = np.maximum(rows * down, cutout.box.top) - cutout.box.top
            end = np.where(cutout.end == self._width, sampling.columns * across, cutout.end)
            leftmost, rightmost = np.minimum.reduceat(cutout.first, starts), np.maximum.reduceat(end, starts)
            touched[part.rows] |= (columns >= leftmost[:, None] // across) & (columns * across < rightmost[:, None])
            narrowest = np.maximum.reduceat(cutout.first, starts), np.minimum.reduceat(end, starts)
            inside = (columns * across >= narrowest[0][:, None]) & ((columns + 1) * across <= narrowest[1][:, None])
            reaches = np.minimum((rows + 1) * down, self._height) <= cutout.box.bottom
            whole[part.rows] |= inside & (reaches & (rows * down >= cutout.box.top))[:, None]
        return touched, whole

    def samples(self, sampling: Sampling, at: Positions) -> NDArray[np.bool_]:
        """Which samples of some blocks cover a covered pixel, N x 8 x 8."""
        rows, columns = at
        return np.asarray(self._by_block(sampling)[rows, :, :, columns].any(axis=(2, 4)))

    def _by_block(self, sampling: Sampling) -> NDArray[np.bool_]:
        height, width = self._pixels.shape
        across, down = sampling.across_px * BLOCK_PX, sampling.down_px * BLOCK_PX
        return self._pixels.reshape(
            height // down, BLOCK_PX, sampling.down_px, width // across, BLOCK_PX, sampling.across_px
        )


def _multiple(length: int, of: int) -> int:
    return math.ceil(length / of) * of
