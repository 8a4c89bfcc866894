"""The outline of what is hidden: a face's box grown by a margin, as a turned ellipse or an upright box."""

from __future__ import annotations

import math
import struct
import zlib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from enum import Enum, auto

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from services.chassis.errors import InvalidRequest
from services.chassis.pictures.geometry import Box, LandmarkType, Point

Mask = NDArray[np.bool_]  # H x W, True = hidden
Columns = NDArray[np.int32]  # H, one a row

MAX_REACH = 4.0
"""A box may reach so many times the picture's longer side beyond its borders; further is a mistake."""
_TOUCHED_PX = 1.0
"""How far the centre of a pixel that an ellipse touches may lie outside: half its diagonal, and some for rounding."""


class Shape(Enum):
    """The outline of a hidden region."""

    ELLIPSE = auto()
    BOX = auto()


@dataclass(frozen=True, slots=True, kw_only=True)
class Region:
    """A face to hide, pixels of the upright picture."""

    box: Box
    landmarks: Mapping[LandmarkType, Point]


@dataclass(frozen=True, slots=True, kw_only=True)
class Cutout:
    """The part of a picture that a region touches, and which of its pixels are hidden; small however large that is."""

    left: int
    top: int
    right: int
    """Exclusive."""
    bottom: int
    """Exclusive."""
    first: Columns
    """In each row of the part, the first hidden pixel, counted from `left`."""
    end: Columns
    """In each row of the part, the pixel after the last hidden one."""
    face_px: float
    """Longer side of the face's box: what styles are relative to."""
    face: Box
    """The part of the face's box within the picture; of the margin, where that alone reaches the picture."""

    @property
    def seed(self) -> int:
        """For what is drawn at random: of the place alone, so that it repeats and tells nothing of what is hidden."""
        return zlib.crc32(struct.pack("<4i", self.left, self.top, self.right, self.bottom))

    @property
    def mask(self) -> Mask:
        """H x W of the part, made anew by each call."""
        columns = np.arange(self.right - self.left, dtype=np.int32)
        return (columns >= self.first[:, None]) & (columns < self.end[:, None])


@dataclass(frozen=True, slots=True, kw_only=True)
class Extent:
    """Where a region lies in a picture: known before anything is made that grows with it."""

    left: int
    top: int
    right: int
    """Exclusive."""
    bottom: int
    """Exclusive."""
    center: Point
    along: float
    """Of an ellipse, half its length along the line between the eyes, pixels."""
    across: float
    angle: float
    """Of that line, radians."""
    face_px: float
    """Longer side of the face's box."""
    face: Box
    """The part of the face's box within the picture; of the margin, where that alone reaches the picture."""


def extent(region: Region, *, shape: Shape, margin: float, width_px: int, height_px: int) -> Extent | None:
    """Where the region lies in a picture of that size; None where it lies outside.

    The ellipse is centred on the box and has the box's width and height plus `margin` times these on each side. With
    both eyes known it is turned along the line between them, and reaches as far along and across that line as the
    upright ellipse does, so that turning never uncovers the face. Every pixel it touches is hidden.

    Raises:
        InvalidRequest: The box is absurdly far outside the picture.
    """
    box, reach = region.box, MAX_REACH * max(width_px, height_px)
    if min(box.x_min, box.y_min) < -reach or box.x_max > width_px + reach or box.y_max > height_px + reach:
        raise InvalidRequest(f"a region reaches too far beyond the {width_px} x {height_px} pixels of the picture")
    half_width, half_height = box.width * (0.5 + margin), box.height * (0.5 + margin)
    angle = _eye_line_angle(region.landmarks) if shape is Shape.ELLIPSE else 0.0
    along = math.hypot(half_width * math.cos(angle), half_height * math.sin(angle))
    across = math.hypot(half_width * math.sin(angle), half_height * math.cos(angle))
    reach_x = math.hypot(along * math.cos(angle), across * math.sin(angle))
    reach_y = math.hypot(along * math.sin(angle), across * math.cos(angle))

    center = box.center
    left, right = max(0, math.floor(center.x - reach_x)), min(width_px, math.ceil(center.x + reach_x))
    top, bottom = max(0, math.floor(center.y - reach_y)), min(height_px, math.ceil(center.y + reach_y))
    if left >= right or top >= bottom:
        return None
    return Extent(
        left=left,
        top=top,
        right=right,
        bottom=bottom,
        center=center,
        along=along,
        across=across,
        angle=angle,
        face_px=max(box.width, box.height),
        face=_part_within(box, width_px=width_px, height_px=height_px)
        or Box(x_min=left, y_min=top, x_max=right, y_max=bottom),
    )


def cut_out(region: Region, *, shape: Shape, margin: float, width_px: int, height_px: int) -> Cutout | None:
    """The region's cutout in a picture of that size; None where it lies outside.

    Raises:
        InvalidRequest: The box is absurdly far outside the picture.
    """
    found = extent(region, shape=shape, margin=margin, width_px=width_px, height_px=height_px)
    return None if found is None else cut(found, shape)


def cut(part: Extent, shape: Shape) -> Cutout:
    """The cutout of that extent."""
    width, height = part.right - part.left, part.bottom - part.top
    first, end = np.zeros(height, np.int32), np.full(height, width, np.int32)
    if shape is Shape.ELLIPSE:
        rows = np.arange(part.top, part.bottom, dtype=np.float64) + 0.5 - part.center.y
        middles, halves = _chords(
            rows, along=part.along + _TOUCHED_PX, across=part.across + _TOUCHED_PX, angle=part.angle
        )
        middles += part.center.x - part.left - 0.5
        first = np.clip(np.ceil(middles - halves), 0, width).astype(np.int32)
        end = np.clip(np.floor(middles + halves) + 1, 0, width).astype(np.int32)
    return Cutout(
        left=part.left,
        top=part.top,
        right=part.right,
        bottom=part.bottom,
        first=first,
        end=end,
        face_px=part.face_px,
        face=part.face,
    )


def _part_within(box: Box, *, width_px: int, height_px: int) -> Box | None:
    left, right = max(0.0, box.x_min), min(float(width_px), box.x_max)
    top, bottom = max(0.0, box.y_min), min(float(height_px), box.y_max)
    return Box(x_min=left, y_min=top, x_max=right, y_max=bottom) if left < right and top < bottom else None


def grown(cutout: Cutout, by_px: int, *, width_px: int, height_px: int) -> Cutout:
    """The cutout with all pixels of that picture that lie at most so far from one of its own, across and down."""
    left, right = max(0, cutout.left - by_px), min(width_px, cutout.right + by_px)
    top, bottom = max(0, cutout.top - by_px), min(height_px, cutout.bottom + by_px)
    empty = cutout.first >= cutout.end
    first, end = cutout.left + cutout.first, cutout.left + cutout.end
    beyond, before = right + by_px, left - by_px
    first[empty], end[empty] = beyond, before
    rows = slice(top - cutout.top + by_px, bottom - cutout.top + by_px)
    first, end = _reduced(np.minimum, first, by_px, beyond)[rows], _reduced(np.maximum, end, by_px, before)[rows]
    return replace(
        cutout,
        left=left,
        top=top,
        right=right,
        bottom=bottom,
        first=np.maximum(first - by_px, left) - left,
        end=np.minimum(end + by_px, right) - left,
    )


def _reduced(extreme: np.ufunc, columns: Columns, by_px: int, beyond: int) -> Columns:
    """The extreme of each row's neighbours, so many up and down, from so many rows above to so many below."""
    around = np.full(2 * by_px, beyond, np.int32)
    padded = np.concatenate([around, columns, around])
    reduced: Columns = extreme.reduce(sliding_window_view(padded, 2 * by_px + 1), axis=1)
    return reduced


def _chords(
    y: NDArray[np.float64], *, along: float, across: float, angle: float
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Middle and half length of what a turned ellipse around the origin cuts out of each horizontal line.

    With R the rotation by `angle`, the ellipse is x' S^-1 x = 1, S = R diag(along^2, across^2) R'; solved for x at a
    given y, which is the conditional of a Gaussian with covariance S.
    """
    sin, cos = math.sin(angle), math.cos(angle)
    reach_y = math.hypot(along * sin, across * cos)
    middles = y * ((along + across) * (along - across) * sin * cos / reach_y**2)
    halves = along * across / reach_y * np.sqrt(np.maximum(0, 1 - (y / reach_y) ** 2))
    return middles, halves


def _eye_line_angle(landmarks: Mapping[LandmarkType, Point]) -> float:
    """Radians from the x axis to the line between the eyes; 0 where an eye is missing."""
    left, right = landmarks.get(LandmarkType.LEFT_EYE), landmarks.get(LandmarkType.RIGHT_EYE)
    if left is None or right is None:
        return 0.0
    return math.atan2(right.y - left.y, right.x - left.x)
