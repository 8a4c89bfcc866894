"""Hides regions of a decoded picture in place; pixels outside the regions are not touched."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from services.anonymizer.regions import Cutout, Extent, Mask, Region, Shape, cut, extent, grown
from services.anonymizer.styles import Mosaic, Scene, Style
from services.chassis.errors import InvalidRequest
from services.chassis.pictures.pixels import Pixels
from services.chassis.process.patience import still_awaited

DEFAULT_MARGIN = 0.3
DEFAULT_STRENGTH = 0.5
MAX_MARGIN = 2.0
NOISE = 0.05
"""Standard deviation of the texture in a hidden region, as a share of the range of values."""
_LEAST_SEEN_PX = 16
"""How much is looked at beyond what an encoder has mixed with what is hidden: a small face's context may be less."""

_FULL_IN_BLACK = frozenset("AK")  # opaque, and black ink
_BRIGHTNESS_CHANNELS = frozenset("LRGBCMY")
_OUTLINE = {"L": 255, "A": 255, "R": 0, "G": 230, "B": 118, "C": 255, "M": 0, "Y": 137, "K": 25}  # of 255


@dataclass(frozen=True, slots=True, kw_only=True)
class Redaction:
    """How to hide.

    Raises:
        InvalidRequest: A value is out of range.
    """

    style: Style = Mosaic(strength=DEFAULT_STRENGTH)  # noqa: RUF009  (frozen, so one can be shared)
    shape: Shape = Shape.ELLIPSE
    margin: float = DEFAULT_MARGIN
    """How far a region reaches beyond the box on each side, as a share of the box; 0 to 2."""
    outline: bool = False

    def __post_init__(self) -> None:
        if not (math.isfinite(self.margin) and 0 <= self.margin <= MAX_MARGIN):
            raise InvalidRequest(f"margin must be between 0 and {MAX_MARGIN}")


def extents(regions: Sequence[Region], redaction: Redaction, *, width_px: int, height_px: int) -> list[Extent]:
    """Where the regions lie that touch a picture of that size.

    Raises:
        InvalidRequest: A region is absurdly far outside the picture.
        DeadlinePassed: Nobody waits any more.
    """
    found = []
    for region in regions:
        still_awaited()
        part = extent(region, shape=redaction.shape, margin=redaction.margin, width_px=width_px, height_px=height_px)
        if part is not None:
            found.append(part)
    return found


def cut_outs(regions: Sequence[Region], redaction: Redaction, *, width_px: int, height_px: int) -> list[Cutout]:
    """The cutouts of the regions that touch a picture of that size.

    Raises:
        InvalidRequest: A region is absurdly far outside the picture.
        DeadlinePassed: Nobody waits any more.
    """
    return cut_all(extents(regions, redaction, width_px=width_px, height_px=height_px), redaction)


def cut_all(parts: Sequence[Extent], redaction: Redaction) -> list[Cutout]:
    """The cutouts of these extents.

    Raises:
        DeadlinePassed: Nobody waits any more.
    """
    cutouts = []
    for part in parts:
        still_awaited()
        cutouts.append(cut(part, redaction.shape))
    return cutouts


def hidden_pixels(cutouts: Sequence[Cutout], *, width_px: int, height_px: int) -> Mask:
    """H x W of the picture, True where any cutout hides."""
    hidden = np.zeros((height_px, width_px), np.bool_)
    for cutout in cutouts:
        still_awaited()
        hidden[cutout.top : cutout.bottom, cutout.left : cutout.right] |= cutout.mask
    return hidden


def redact(pixels: Pixels, cutouts: Sequence[Cutout], redaction: Redaction, *, spread_px: int = 0) -> None:
    """Hides what the cutouts cover in `pixels`.

    Args:
        pixels: Is drawn into.
        cutouts: What to hide.
        redaction: How.
        spread_px: How far from a pixel its source's encoder has carried it: what is drawn comes from farther away.
    """
    size = {"width_px": pixels.width_px, "height_px": pixels.height_px}
    mixed = hidden_pixels([grown(cutout, spread_px, **size) for cutout in cutouts] if spread_px else cutouts, **size)
    for cutout in cutouts:
        still_awaited()
        _hide(pixels, cutout, redaction.style, mixed, spread_px=spread_px)
    if redaction.outline:
        for cutout in cutouts:
            _outline(pixels, cutout)


def context_px(style: Style, face_px: float, spread_px: int) -> int:
    """How far around a cutout the picture is looked at, where its encoder has carried a pixel so far."""
    context = style.context_px(face_px)
    return spread_px + max(context, _LEAST_SEEN_PX) if spread_px and not style.weak else context


def outline_width_px(width_px: int, height_px: int) -> int:
    """How thick an outline is in a picture of that size."""
    return max(2, max(width_px, height_px) // 400)


def _hide(pixels: Pixels, cutout: Cutout, style: Style, mixed: Mask, *, spread_px: int) -> None:
    context = context_px(style, cutout.face_px, spread_px)
    left, top = max(0, cutout.left - context), max(0, cutout.top - context)
    window = np.s_[top : cutout.bottom + context, left : cutout.right + context]
    samples, full = pixels.samples[window], int(np.iinfo(pixels.samples.dtype).max)
    scene = Scene(
        face_px=(cutout.face_px, cutout.face_px),
        opaque_black=tuple(full if channel in _FULL_IN_BLACK else 0 for channel in pixels.channels),
        noise=tuple(NOISE if channel in _BRIGHTNESS_CHANNELS else 0.0 for channel in pixels.channels),
        seed=cutout.seed,
    )
    rendered = style.render(samples, ~mixed[window], scene)
    part = np.s_[cutout.top - top : cutout.bottom - top, cutout.left - left : cutout.right - left]
    np.copyto(samples[part], rendered[part], where=cutout.mask[..., None])


def _outline(pixels: Pixels, cutout: Cutout) -> None:
    width = outline_width_px(pixels.width_px, pixels.height_px)
    box = pixels.samples[cutout.top : cutout.bottom, cutout.left : cutout.right]
    scale = int(np.iinfo(box.dtype).max) // 255
    for edge in (np.s_[:width], np.s_[-width:], np.s_[:, :width], np.s_[:, -width:]):
        box[edge] = [_OUTLINE[channel] * scale for channel in pixels.channels]
