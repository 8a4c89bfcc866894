"""Colours as screens show them, by the formulas of the standards and not by the code under test."""

from __future__ import annotations

import io
import struct

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageCms

from tests.support.pictures import png_chunk

Floats = NDArray[np.float64]

SWATCHES = np.array(
    [
        (200, 150, 120),
        (90, 60, 40),
        (64, 64, 64),
        (128, 128, 128),
        (250, 250, 250),
        (20, 60, 30),
        (60, 90, 180),
        (9, 9, 9),
    ],
    np.uint8,
)
D65 = (0.3127, 0.3290)
SRGB = ((0.64, 0.33), (0.30, 0.60), (0.15, 0.06), D65)
DISPLAY_P3 = ((0.68, 0.32), (0.265, 0.69), (0.15, 0.06), D65)
ADOBE_RGB = ((0.64, 0.33), (0.21, 0.71), (0.15, 0.06), D65)
REC_2020 = ((0.708, 0.292), (0.170, 0.797), (0.131, 0.046), D65)
Corners = tuple[tuple[float, float], tuple[float, float], tuple[float, float], tuple[float, float]]


def swatches(mode: str = "RGB", side_px: int = 16) -> Image.Image:
    """A row of squares."""
    squares = np.repeat(np.repeat(SWATCHES[None], side_px, axis=0), side_px, axis=1)
    return Image.fromarray(squares).convert(mode)


def middles(pixels: NDArray[np.uint8], side_px: int = 16) -> NDArray[np.int64]:
    """The colour in the middle of each square."""
    return np.asarray(pixels[side_px // 2, side_px // 2 :: side_px], np.int64)


def as_shown(samples: NDArray[np.uint8], corners: Corners, light: Floats) -> NDArray[np.int64]:
    """8-bit sRGB of samples.

    Args:
        samples: N x 3.
        corners: Chromaticities of red, green, blue and white; white is D65.
        light: Of each of the 256 values, 0 to 1.
    """
    linear = light[samples] @ (np.linalg.inv(_matrix(SRGB)) @ _matrix(corners)).T
    clipped = np.clip(linear, 0, 1)
    encoded = np.where(clipped <= 0.0031308, 12.92 * clipped, 1.055 * clipped ** (1 / 2.4) - 0.055)
    return np.asarray(np.rint(encoded * 255), np.int64)


def gamma(exponent: float) -> Floats:
    """Light of the 256 values."""
    return np.asarray((np.arange(256) / 255) ** exponent)


def srgb_light() -> Floats:
    """Light of the 256 values."""
    values = np.arange(256) / 255
    return np.asarray(np.where(values <= 0.04045, values / 12.92, ((values + 0.055) / 1.055) ** 2.4))


def _matrix(corners: Corners) -> Floats:
    """Linear RGB to XYZ."""
    columns = np.array([(x / y, 1, (1 - x - y) / y) for x, y in corners]).T
    return np.asarray(columns[:, :3] * np.linalg.solve(columns[:, :3], columns[:, 3]))


def gama(value: int) -> bytes:
    """A PNG's chunk."""
    return png_chunk(b"gAMA", struct.pack(">I", value))


def chrm(corners: Corners) -> bytes:
    """A PNG's chunk."""
    red, green, blue, white = corners
    numbers = [round(value * 100_000) for corner in (white, red, green, blue) for value in corner]
    return png_chunk(b"cHRM", struct.pack(">8I", *numbers))


def cicp(primaries: int, transfer: int, matrix: int = 0, full_range: int = 1) -> bytes:
    """A PNG's chunk."""
    return png_chunk(b"cICP", bytes((primaries, transfer, matrix, full_range)))


def parsed(profile: bytes) -> ImageCms.ImageCmsProfile:
    """As littlecms reads it."""
    return ImageCms.ImageCmsProfile(io.BytesIO(profile))
