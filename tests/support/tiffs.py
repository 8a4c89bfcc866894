"""TIFF files of kinds that Pillow does not write, made in memory."""

from __future__ import annotations

import io
import zlib
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import TiffImagePlugin

MIN_IS_WHITE, MIN_IS_BLACK, RGB = 0, 1, 2
UNSIGNED, SIGNED, FLOATING = 1, 2, 3
_DEFLATE, _PLAIN = 8, 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Kind:
    """How samples stand in the file."""

    photometric: int = MIN_IS_BLACK
    big_endian: bool = False
    deflated: bool = False
    sample_format: int = UNSIGNED
    bits: int | None = None
    """Of a sample; None = as many as the array's type has."""


def tiff(samples: NDArray[np.generic], kind: Kind, *, data: bytes | None = None) -> bytes:
    """A file of one strip.

    Args:
        samples: H x W or H x W x C.
        kind: How they are written.
        data: To be written in their place, packed.
    """
    height, width = samples.shape[:2]
    channels = samples.shape[2] if samples.ndim > 2 else 1
    strip = samples.astype(samples.dtype.newbyteorder(">" if kind.big_endian else "<")).tobytes()
    strip = strip if data is None else data
    strip = zlib.compress(strip) if kind.deflated else strip
    directory = TiffImagePlugin.ImageFileDirectory_v2(b"MM\0*\0\0\0\0" if kind.big_endian else b"II*\0\0\0\0\0")
    directory[TiffImagePlugin.IMAGEWIDTH] = width
    directory[TiffImagePlugin.IMAGELENGTH] = directory[TiffImagePlugin.ROWSPERSTRIP] = height
    directory[TiffImagePlugin.BITSPERSAMPLE] = (kind.bits or samples.dtype.itemsize * 8,) * channels
    directory[TiffImagePlugin.SAMPLESPERPIXEL] = channels
    directory[TiffImagePlugin.PHOTOMETRIC_INTERPRETATION] = kind.photometric
    directory[TiffImagePlugin.COMPRESSION] = _DEFLATE if kind.deflated else _PLAIN
    directory[TiffImagePlugin.SAMPLEFORMAT] = (kind.sample_format,) * channels
    directory[TiffImagePlugin.STRIPOFFSETS] = 0
    directory[TiffImagePlugin.STRIPBYTECOUNTS] = len(strip)
    file = io.BytesIO()
    directory.save(file)
    file.write(strip)
    return file.getvalue()
