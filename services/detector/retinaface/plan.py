"""At which scales and in which tiles a picture is searched, under a budget of pixels."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

TILE_PX = 1280
"""Longest side given to the network: maps of larger pictures fall out of the processor's caches, and so the memory of a
call does not depend on the picture's size."""
TILE_OVERLAP_PX = 96
"""What neighbouring tiles share. A face up to this size is whole in one of them, larger ones are left to coarser
passes."""
LARGEST_CLEAR_PX = 256
"""Up to this size the network finds faces reliably where it sees them whole."""
WHOLE_PX = 640
"""The coarsest pass is the first whose longer side is not above this: a face that fills the picture is found there."""
SMALL_PIXELS = 2_000_000
"""Pictures up to this size are worth the full enlargement."""
LARGE_MAX_SCALE = 1.4
"""Of larger pictures: enough for a face of 16 pixels, the network's smallest anchor."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Effort:
    """How much searching a picture is worth."""

    max_scale: float
    """Of the finest pass, network pixels a picture pixel. Above 1 small pictures are enlarged: that finds faces smaller
    than the network's smallest anchors."""
    max_pixels: int
    """Given to the network in all passes together, mirrored ones not counted. A larger picture is searched coarser."""
    one_pass: bool = False
    """Only the finest pass that needs no tiles."""
    second_opinion: bool = False
    """Small pictures also half an octave below the finest pass: their faces tend to be small, and there it is worth
    most."""
    mirrored: bool = False
    """Each pass also on the mirrored picture."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Tile:
    """A part of the picture, in picture pixels, and the size at which the network sees it."""

    left: int
    top: int
    right: int
    bottom: int
    width: int
    height: int
    inner: tuple[bool, bool, bool, bool]
    """Whether the picture goes on behind the left, top, right and bottom border."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Pass:
    """One look at the whole picture."""

    scale: float
    """Network pixels a picture pixel."""
    mirrored: bool
    tiles: tuple[Tile, ...]

    @property
    def largest_clear_px(self) -> int:
        """Up to this size, as the network sees it, this pass finds faces reliably: tiles may cut larger ones."""
        return TILE_OVERLAP_PX if len(self.tiles) > 1 else LARGEST_CLEAR_PX


def plan(width: int, height: int, effort: Effort) -> list[Pass]:
    """The passes over a picture, finest first.

    An octave lies between them, down to where the picture is small.

    Args:
        width: Of the picture, pixels.
        height: Of the picture, pixels.
        effort: What to spend.
    """
    small = width * height <= SMALL_PIXELS
    second_opinion = small and effort.second_opinion
    scale = effort.max_scale if small else min(effort.max_scale, LARGE_MAX_SCALE)
    if effort.one_pass:
        scale = min(scale, TILE_PX / max(width, height))
    while True:
        scales = [scale] if effort.one_pass else _ladder(scale, max(width, height), second_opinion=second_opinion)
        passes = [Pass(scale=s, mirrored=False, tiles=tuple(_tiles(width, height, s))) for s in scales]
        cost = sum(tile.width * tile.height for look in passes for tile in look.tiles)
        if cost <= effort.max_pixels:
            break
        scale *= min(0.98, math.sqrt(effort.max_pixels / cost))
    if effort.mirrored:
        passes += [Pass(scale=look.scale, mirrored=True, tiles=look.tiles) for look in passes]
    return passes


def _ladder(finest: float, long_side: int, *, second_opinion: bool) -> list[float]:
    scales = [finest, finest / math.sqrt(2), finest / 2] if second_opinion else [finest, finest / 2]
    while scales[-1] * long_side > WHOLE_PX:
        scales.append(scales[-1] / 2)
    return scales


def _tiles(width: int, height: int, scale: float) -> Iterator[Tile]:
    for top, bottom in _spans(height, scale):
        for left, right in _spans(width, scale):
            yield Tile(
                left=left,
                top=top,
                right=right,
                bottom=bottom,
                width=max(1, round((right - left) * scale)),
                height=max(1, round((bottom - top) * scale)),
                inner=(left > 0, top > 0, right < width, bottom < height),
            )


def _spans(length: int, scale: float) -> list[tuple[int, int]]:
    """Equal, overlapping parts of a side, in picture pixels."""
    tile, shared = TILE_PX / scale, TILE_OVERLAP_PX / scale
    count = max(1, math.ceil((length - shared) / (tile - shared) - 1e-6))  # a rounding error is no reason for a tile
    part = (length + (count - 1) * shared) / count
    starts = [i * (part - shared) for i in range(count)]
    return [(math.floor(start), min(length, math.ceil(start + part))) for start in starts]
