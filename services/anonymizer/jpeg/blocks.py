"""One component of a JPEG as a grid of 8x8 blocks: what is needed of its coefficients, and what shall stand instead."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from services.anonymizer.jpeg.turbojpeg import BLOCK_PX, BLOCK_VALUES, RowOfBlocks

Blocks = NDArray[np.uint8]  # N x 8 x 8 samples
Grid = NDArray[np.bool_]  # R x C, one value a block
Positions = tuple[NDArray[np.signedinteger[Any]], NDArray[np.signedinteger[Any]]]  # rows and columns of N blocks

_MIDDLE = 128  # samples are stored around it
_MAX_COEFFICIENT = 1023  # of what the baseline Huffman code can say of an 8-bit picture


def _dct_matrix() -> NDArray[np.float32]:
    """The orthonormal DCT-II of 8 values (ITU-T T.81, A.3.3)."""
    frequency, position = np.mgrid[0:BLOCK_PX, 0:BLOCK_PX]
    matrix = np.cos((2 * position + 1) * frequency * np.pi / (2 * BLOCK_PX)) * np.sqrt(2 / BLOCK_PX)
    matrix[0] /= np.sqrt(2)
    return np.asarray(matrix, np.float32)


_DCT = _dct_matrix()
_DCT_2D = np.kron(_DCT, _DCT)  # on a block written as one row of 64: one large product instead of many small ones
_LOWEST_DCT = {side: _DCT[:side] @ np.eye(side, dtype=np.float32).repeat(BLOCK_PX // side, axis=0) for side in (1, 2)}


class Component:
    """Takes in the coefficients row by row, then answers and replaces blocks, then gives the changed ones back."""

    def __init__(self, *, quantisation: NDArray[np.float32], seen: Grid, needed: Grid) -> None:
        """Room for what is kept.

        Args:
            quantisation: 64 steps, natural order.
            seen: Where averages of blocks will be asked for.
            needed: Where all samples will be asked for, or new ones given.
        """
        self._steps = quantisation
        self.wanted: list[bool] = np.any(seen, axis=1).tolist()
        """For each row whether anything of it is needed."""
        self._needed = needed
        self._slots = np.cumsum(needed.ravel()).reshape(needed.shape) - 1
        self._kept = np.empty((int(needed.sum()), BLOCK_VALUES), np.int16)
        self._dc = np.zeros(needed.shape, np.int16)
        self._lowest = np.zeros((*needed.shape, 2, 2), np.int16)
        self._finest = 1
        self._replaced = np.zeros(needed.shape, np.bool_)
        self._filled = np.zeros(needed.shape, np.bool_)

    def read(self, row: int, blocks: RowOfBlocks) -> None:
        """Copies what is needed of a row."""
        self._dc[row] = blocks[: len(self._dc[row]), 0]
        columns = self._needed[row].nonzero()[0]
        if len(columns):
            self._kept[self._slots[row, columns]] = blocks[columns]

    def change(self, row: int, blocks: RowOfBlocks) -> None:
        """Writes the row's new blocks into `blocks`."""
        replaced = self._replaced[row].nonzero()[0]
        if len(replaced):
            blocks[replaced] = self._kept[self._slots[row, replaced]]
        filled = self._filled[row].nonzero()[0]
        if len(filled):
            # Nearly always one run, and a slice is several times as fast.
            run = slice(filled[0], filled[-1] + 1) if filled[-1] - filled[0] == len(filled) - 1 else filled
            blocks[run] = 0
            side = self._finest
            blocks.reshape(-1, BLOCK_PX, BLOCK_PX)[run, :side, :side] = self._lowest[row, run, :side, :side]

    def averages(self, rows: slice, columns: slice) -> NDArray[np.uint8]:
        """The average of each block of a part, R x C."""
        return _to_samples(self._dc[rows, columns] * (self._steps[0] / BLOCK_PX))

    def samples(self, at: Positions) -> Blocks:
        """The samples of needed blocks."""
        levels = (self._kept[self._slots[at]] * self._steps) @ _DCT_2D
        return _to_samples(levels).reshape(-1, BLOCK_PX, BLOCK_PX)

    def replace(self, at: Positions, samples: Blocks) -> None:
        """Replaces needed blocks by samples."""
        levels = samples.reshape(-1, BLOCK_VALUES).astype(np.float32) - _MIDDLE
        self._kept[self._slots[at]] = _quantised(levels @ _DCT_2D.T, self._steps)
        self._replaced[at] = True

    def fill(self, at: Positions, samples: NDArray[np.uint8]) -> None:
        """Has smooth blocks stand in the place of any.

        Args:
            at: Which.
            samples: N x 1 x 1 or N x 2 x 2, each for as large a part of its block.
        """
        side = samples.shape[-1]
        self._finest = max(self._finest, side)
        dct = _LOWEST_DCT[side]
        levels = samples.reshape(-1, side * side).astype(np.float32) - _MIDDLE
        steps = self._steps.reshape(BLOCK_PX, BLOCK_PX)[:side, :side].ravel()
        lowest = _quantised(levels @ np.kron(dct, dct).T, steps)
        self._lowest[*at, :side, :side] = lowest.reshape(-1, side, side)
        self._filled[at] = True


def _quantised(coefficients: NDArray[np.float32], steps: NDArray[np.float32]) -> NDArray[np.float32]:
    return np.asarray(np.clip(np.rint(coefficients / steps), -_MAX_COEFFICIENT, _MAX_COEFFICIENT))


def _to_samples(levels: NDArray[np.float32]) -> NDArray[np.uint8]:
    return np.clip(np.rint(levels + _MIDDLE), 0, 255).astype(np.uint8)
