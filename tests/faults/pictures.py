"""Pictures of one face each, no two alike, and whether an answer hides that face."""

from __future__ import annotations

import io
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from services.chassis.pictures.geometry import Box, RgbImage

GRAIN = 12.0
"""Standard deviation of the noise in every pixel: every part of a face has something to hide, no two pictures agree."""
CELL_PX = 8
LEAST_CHANGE = 4.0
"""Of a hidden cell: the mean difference from the original. What is hidden loses its grain."""
_VIEWS = (  # part of the 512 x 512 picture of an astronaut, whose face is around (224, 120), and side of the result
    ((0, 0, 512, 512), 384),
    ((60, 0, 380, 320), 320),
    ((100, 20, 360, 280), 256),
    ((20, 0, 420, 400), 448),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Picture:
    """One to send."""

    content: bytes
    """A JPEG file."""
    pixels: RgbImage


def pictures_of(astronaut: Image.Image) -> list[Picture]:
    """Several sizes and parts, each in a grain of its own."""
    made = []
    for number, (part, side_px) in enumerate(_VIEWS):
        clean = np.asarray(astronaut.crop(part).resize((side_px, side_px)), np.float64)
        grain = np.random.default_rng(number).normal(0, GRAIN, clean.shape)
        file = io.BytesIO()
        Image.fromarray(np.clip(clean + grain, 0, 255).astype(np.uint8)).save(file, "JPEG", quality=92)
        made.append(Picture(content=file.getvalue(), pixels=pixels_of(file.getvalue())))
    return made


def pixels_of(content: bytes) -> RgbImage:
    """A decoded picture."""
    return np.asarray(Image.open(io.BytesIO(content)).convert("RGB"))


def visible_share(original: RgbImage, answered: RgbImage, face: Box) -> float:
    """How much of the ellipse in a face's box is still as it was, 0 to 1."""
    if original.shape != answered.shape:
        return 1.0
    change = np.abs(original.astype(np.float64) - answered).mean(axis=2)
    height, width = (side // CELL_PX for side in change.shape)
    cells = change[: height * CELL_PX, : width * CELL_PX].reshape(height, CELL_PX, width, CELL_PX).mean(axis=(1, 3))
    return float((cells[_inside(face, height, width)] < LEAST_CHANGE).mean())


def _inside(face: Box, height: int, width: int) -> NDArray[np.bool_]:
    """Cells whose corners are all in the ellipse."""
    y, x = np.ogrid[: height + 1, : width + 1]
    centre_x, centre_y = (face.x_min + face.x_max) / 2, (face.y_min + face.y_max) / 2
    distance = (2 * (x * CELL_PX - centre_x) / face.width) ** 2 + (2 * (y * CELL_PX - centre_y) / face.height) ** 2
    corner = distance <= 1
    return corner[:-1, :-1] & corner[1:, :-1] & corner[:-1, 1:] & corner[1:, 1:]
