"""JPEG files as an independent reader sees them."""

from __future__ import annotations

from pathlib import Path

import jpeglib
import numpy as np
from numpy.typing import NDArray


def coefficients(content: bytes, folder: Path) -> list[NDArray[np.int16]]:
    """By an independent reader: of each component R x C x 8 x 8."""
    path = folder / "read.jpg"
    path.write_bytes(content)
    read = jpeglib.read_dct(str(path))
    return [part for part in (read.Y, read.Cb, read.Cr, read.K) if part is not None]


def touched_blocks(hidden: NDArray[np.bool_], grid: tuple[int, int]) -> NDArray[np.bool_]:
    """Which blocks of a component of so many rows and columns cover a hidden pixel."""
    down, across = (8 * max(1, round(pixels / (8 * blocks))) for pixels, blocks in zip(hidden.shape, grid, strict=True))
    rows, columns = grid
    padded = np.pad(hidden, [(0, rows * down), (0, columns * across)])[: rows * down, : columns * across]
    return np.asarray(padded.reshape(rows, down, columns, across).any(axis=(1, 3)))
