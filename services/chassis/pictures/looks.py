"""The ways in which one picture may be shown: a search looks at each of them.

What is transparent stands on the viewer's background. White and black are enough: on any grey between them the picture
is a mixture of the two, so what can be seen there can be seen on one of them. The third way is that of viewers that
know of no transparency. A picture without any, or none to speak of, is shown in one way.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum
from typing import Protocol

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from services.chassis.pictures.geometry import Point, RgbImage
from services.chassis.pictures.pixels import Samples
from services.chassis.pictures.resampling import resize_area, rounded
from services.chassis.pictures.srgb import ToSrgb

OPAQUE_FROM = 250
"""Alpha, of 255, from which nobody sees what is behind."""
FEWEST_PX = 64
"""So many pixels that are less opaque can hold no face."""
_STRIP_PX = 1 << 18
# A picture that is to be turned so is transposed from 5 on, and then mirrored.
_MIRRORED_ACROSS, _MIRRORED_DOWN, _FIRST_TRANSPOSED = (2, 3, 6, 7), (3, 4, 7, 8), 5
_MIRRORED = (2, 4, 5, 7)


class Look(Protocol):
    """One way in which a picture may be shown."""

    @property
    def width_px(self) -> int:
        """Pixels."""
        ...

    @property
    def height_px(self) -> int:
        """Pixels."""
        ...

    @property
    def long_side_px(self) -> int:
        """The longer of width and height."""
        ...

    def rgb(self, *, long_side_px: int | None = None) -> RgbImage:
        """The picture in 8-bit sRGB, H x W x 3.

        Args:
            long_side_px: Shrinks it (area average) to this longer side where it is larger. None = full size.

        Raises:
            InvalidPicture: The content is damaged.
        """
        ...


class Backdrop(Enum):
    """What stands behind a picture."""

    WHITE = (255, 255, 255)
    BLACK = (0, 0, 0)
    NONE = ()
    """Alpha is not looked at."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Decoded:
    """An upright picture, decoded, in the colours of its file."""

    source: Image.Image | Samples
    """Mode L, LA, RGB, RGBA or CMYK; or 16-bit samples, H x W x C, to be shown by their profile."""
    inks: bool
    """Whether the channels of samples are CMYK."""
    to_srgb: ToSrgb

    @property
    def size(self) -> tuple[int, int]:
        """Width and height, pixels."""
        if isinstance(self.source, Image.Image):
            return self.source.size
        return self.source.shape[1], self.source.shape[0]

    def rgb(self, backdrop: Backdrop) -> RgbImage:
        """As it is shown on that, 8-bit sRGB."""
        if isinstance(self.source, Image.Image) and self.source.mode == "RGB" and self.to_srgb.changes_nothing:
            return np.asarray(self.source)
        width, height = self.size
        shown = np.empty((height, width, 3), np.uint8)
        for rows in self._strips():
            colours, alpha = self._strip(rows)
            shown[rows] = colours if alpha is None else _on(colours, alpha, backdrop)
        return shown

    def backdrops(self) -> list[Backdrop]:
        """Those on which the picture looks different; white first."""
        seen_through, all_white, all_black = 0, True, True
        for rows in self._strips():
            alpha = self._alpha(rows)
            if alpha is None:
                return [Backdrop.WHITE]
            if alpha.min() >= OPAQUE_FROM:
                continue
            behind = self._strip(rows)[0][alpha < OPAQUE_FROM]
            seen_through += len(behind)
            all_white &= bool(behind.min() == 255)  # noqa: PLR2004  (white)
            all_black &= bool(behind.max() == 0)
            if seen_through >= FEWEST_PX and not all_white and not all_black:
                return [Backdrop.WHITE, Backdrop.BLACK, Backdrop.NONE]
        if seen_through < FEWEST_PX:
            return [Backdrop.WHITE]
        # On the colour that all has which is seen through, it looks as without alpha.
        return [Backdrop.WHITE, Backdrop.BLACK]

    def _strips(self) -> Iterator[slice]:
        width, height = self.size
        rows = max(1, _STRIP_PX // width)
        return (slice(top, min(height, top + rows)) for top in range(0, height, rows))

    def _strip(self, rows: slice) -> tuple[RgbImage, NDArray[np.uint8] | None]:
        """Colours in sRGB, and H x W of alpha if there is any."""
        if isinstance(self.source, Image.Image):
            strip = self.source.crop((0, rows.start, self.source.width, rows.stop))
            colours = self.to_srgb.image(strip.convert(strip.mode.removesuffix("A")))
            return np.asarray(colours), self._alpha(rows)
        samples = self.source[rows]
        return self.to_srgb.deep(samples[..., : self._colour_channels]), self._alpha(rows)

    @property
    def _colour_channels(self) -> int:
        channels = 0 if isinstance(self.source, Image.Image) else self.source.shape[2]
        return channels if self.inks else channels - (channels % 2 == 0)

    def _alpha(self, rows: slice) -> NDArray[np.uint8] | None:
        if isinstance(self.source, Image.Image):
            if not self.source.mode.endswith("A"):
                return None
            return np.asarray(self.source.crop((0, rows.start, self.source.width, rows.stop)).getchannel("A"))
        if self._colour_channels == self.source.shape[2]:
            return None
        return (self.source[rows][..., -1] >> 8).astype(np.uint8)


def _on(colours: RgbImage, alpha: NDArray[np.uint8], backdrop: Backdrop) -> RgbImage:
    if backdrop is Backdrop.NONE:
        return colours
    shown = Image.new("RGB", (colours.shape[1], colours.shape[0]), backdrop.value)
    shown.paste(Image.fromarray(colours), mask=Image.fromarray(alpha))
    return np.asarray(shown)


@dataclass(frozen=True, slots=True, kw_only=True)
class DecodedLook:
    """A decoded picture as it is shown on one background."""

    decoded: Decoded
    backdrop: Backdrop

    @property
    def width_px(self) -> int:
        """Pixels."""
        return self.decoded.size[0]

    @property
    def height_px(self) -> int:
        """Pixels."""
        return self.decoded.size[1]

    @property
    def long_side_px(self) -> int:
        """The longer of width and height."""
        return max(self.decoded.size)

    def rgb(self, *, long_side_px: int | None = None) -> RgbImage:
        """The picture on that background."""
        return fitted(self.decoded.rgb(self.backdrop), self.decoded.size, long_side_px)


@dataclass(frozen=True, slots=True, kw_only=True)
class PixelsLook:
    """Pixels as they are."""

    pixels: RgbImage

    @property
    def width_px(self) -> int:
        """Pixels."""
        return int(self.pixels.shape[1])

    @property
    def height_px(self) -> int:
        """Pixels."""
        return int(self.pixels.shape[0])

    @property
    def long_side_px(self) -> int:
        """The longer of width and height."""
        return max(self.width_px, self.height_px)

    def rgb(self, *, long_side_px: int | None = None) -> RgbImage:
        """The pixels, or fewer."""
        return fitted(self.pixels, (self.width_px, self.height_px), long_side_px)


@dataclass(frozen=True, slots=True, kw_only=True)
class TurnedLook:
    """A picture as a viewer turns or mirrors it that heeds another word of its file."""

    shown: Look
    """As it is shown by others."""
    orientation: int
    """How that is turned, as EXIF counts: 2 to 8."""

    @property
    def width_px(self) -> int:
        """Pixels."""
        return self.shown.height_px if self.orientation >= _FIRST_TRANSPOSED else self.shown.width_px

    @property
    def height_px(self) -> int:
        """Pixels."""
        return self.shown.width_px if self.orientation >= _FIRST_TRANSPOSED else self.shown.height_px

    @property
    def long_side_px(self) -> int:
        """The longer of width and height."""
        return self.shown.long_side_px

    @property
    def mirrored(self) -> bool:
        """Whether what is left of a face in the one is right of it in the other."""
        return self.orientation in _MIRRORED

    def rgb(self, *, long_side_px: int | None = None) -> RgbImage:
        """The picture, turned."""
        pixels = self.shown.rgb(long_side_px=long_side_px)
        if self.orientation >= _FIRST_TRANSPOSED:
            pixels = pixels.swapaxes(0, 1)
        if self.orientation in _MIRRORED_DOWN:
            pixels = pixels[::-1]
        if self.orientation in _MIRRORED_ACROSS:
            pixels = pixels[:, ::-1]
        return np.ascontiguousarray(pixels)

    def back(self, point: Point) -> Point:
        """Where a point of the turned picture lies in the one that is shown."""
        x = self.width_px - point.x if self.orientation in _MIRRORED_ACROSS else point.x
        y = self.height_px - point.y if self.orientation in _MIRRORED_DOWN else point.y
        return Point(y, x) if self.orientation >= _FIRST_TRANSPOSED else Point(x, y)


def fitted(pixels: RgbImage, size: tuple[int, int], long_side_px: int | None) -> RgbImage:
    """Pixels of a picture of that size, or already smaller ones of it, no longer than that side."""
    shrink = 1.0 if long_side_px is None else min(1.0, long_side_px / max(size))
    if shrink == 1:
        return pixels
    wanted = (max(1, round(size[0] * shrink)), max(1, round(size[1] * shrink)))
    return rounded(resize_area(pixels, wanted), np.dtype(np.uint8))
