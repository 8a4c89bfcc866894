"""Cutouts of the upright picture as they lie in the picture that a file stores."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from services.anonymizer.regions import Columns, Cutout
from services.chassis.pictures.picture import Picture

# The upright picture is mirrored so, and from 5 on then transposed, to give the stored one of an EXIF orientation.
_MIRRORED_ACROSS = (2, 3, 6, 7)
_MIRRORED_DOWN = (3, 4, 7, 8)
_FIRST_TRANSPOSED = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class Rectangle:
    """A part of a picture or of a grid of blocks; right and bottom are exclusive."""

    left: int
    top: int
    right: int
    bottom: int

    @property
    def rows(self) -> slice:
        """From top to bottom."""
        return slice(self.top, self.bottom)

    @property
    def columns(self) -> slice:
        """From left to right."""
        return slice(self.left, self.right)


@dataclass(frozen=True, slots=True, kw_only=True)
class PlacedCutout:
    """A cutout in pixels of the stored picture: in each row of its box, one run of hidden pixels."""

    box: Rectangle
    first: Columns
    """In each row, the first hidden pixel."""
    end: Columns
    """In each row, the pixel after the last hidden one."""
    face_px: float
    seed: int


def place(cutout: Cutout, picture: Picture) -> PlacedCutout:
    """The cutout where the file stores what it hides."""
    left, right, top, bottom = cutout.left, cutout.right, cutout.top, cutout.bottom
    first, end = cutout.first, cutout.end
    if picture.orientation in _MIRRORED_ACROSS:
        left, right = picture.width_px - right, picture.width_px - left
        first, end = right - left - end, right - left - first
    if picture.orientation in _MIRRORED_DOWN:
        top, bottom = picture.height_px - bottom, picture.height_px - top
        first, end = first[::-1], end[::-1]
    if picture.orientation >= _FIRST_TRANSPOSED:
        left, right, top, bottom, first, end = top, bottom, left, right, *_transposed(first, end, right - left)
    box = Rectangle(left=left, top=top, right=right, bottom=bottom)
    return PlacedCutout(box=box, first=left + first, end=left + end, face_px=cutout.face_px, seed=cutout.seed)


def _transposed(first: Columns, end: Columns, width: int) -> tuple[Columns, Columns]:
    """The runs down each column of a shape that has one run in each row and column, as ellipses and boxes do."""
    columns = np.arange(width, dtype=np.int32)
    mask = (columns >= first[:, None]) & (columns < end[:, None])
    top = mask.argmax(axis=0)
    return top.astype(np.int32), (top + mask.sum(axis=0)).astype(np.int32)
