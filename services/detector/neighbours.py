"""Which of many boxes lie near each other: in time and memory that grow with what is near, not with all pairs."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from services.chassis.process.patience import still_awaited

Boxes = NDArray[np.float32]  # N x 4 or more: x_min, y_min, x_max, y_max
Areas = NDArray[np.float32]
Indices = NDArray[np.signedinteger[Any]]
Pairs = tuple[Indices, Indices]  # of P pairs the earlier and the later box

_NOTHING = np.empty(0, np.int32)
_PAIRS_AT_ONCE = 1 << 17
_FEW = 256
"""So many boxes are compared all with all: that is quicker than to look where they lie."""
_OCTAVES = 64
_ROWS_REACHED = 4


class Alike(Protocol):
    """Whether two boxes are so alike that one of them is enough."""

    def __call__(self, shared: Areas, first: Areas, second: Areas) -> NDArray[np.bool_]:
        """Of P pairs, by the areas that they share, which is above 0, and that each has."""
        ...


@dataclass(frozen=True, slots=True)
class Overlapping:
    """Boxes whose intersection is a larger part of their union."""

    iou: float

    def __call__(self, shared: Areas, first: Areas, second: Areas) -> NDArray[np.bool_]:
        """Of P pairs."""
        return np.asarray(shared / (first + second - shared) > self.iou)


def alike_pairs(boxes: Boxes, alike: Alike, *, least_iou: float = 0.0, pixel: float = 0.0) -> Pairs:
    """All pairs of boxes that are alike.

    Args:
        boxes: In an order that decides which of two is the earlier.
        alike: Tells.
        least_iou: Below this intersection over union no two are alike; 0 where that says nothing. Below 1.
        pixel: Added to every width and height: 1 for coordinates that name the last pixel inside.
    """
    areas = (boxes[:, 2:4] - boxes[:, :2] + pixel).prod(axis=1)
    found: list[Pairs] = []
    for first, second in _near(boxes, least_iou, pixel):
        shared = _shared(boxes, first, second, pixel)
        some = np.flatnonzero(shared)
        some = some[alike(shared[some], areas[first[some]], areas[second[some]])]
        found.append((first[some].astype(np.int32), second[some].astype(np.int32)))
    firsts, seconds = zip(*found, strict=True) if found else ((_NOTHING,), (_NOTHING,))
    return np.concatenate(firsts), np.concatenate(seconds)


def inside_earlier(boxes: Boxes, most_share: float) -> NDArray[np.bool_]:
    """Which boxes have more than `most_share` of their area in a box before them."""
    areas = (boxes[:, 2:4] - boxes[:, :2]).prod(axis=1)
    inside = np.zeros(len(boxes), np.bool_)
    for first, second in _near(boxes, 0.0, 0.0):
        inside[second[_shared(boxes, first, second, 0.0) > most_share * areas[second]]] = True
    return inside


def first_come(count: int, pairs: Pairs) -> Indices:
    """Greedy suppression: each box stays unless one before it stays and is paired with it.

    Returns:
        Of each box the first one that took its place; of one that stays, its own index.
    """
    first, second = pairs
    stays = np.zeros(count, np.bool_)
    undecided = np.ones(count, np.bool_)
    while True:
        still_awaited()
        blocked = np.zeros(count, np.bool_)
        blocked[second] = True
        new = undecided & ~blocked
        stays |= new
        undecided &= ~new
        undecided[second[new[first]]] = False
        if not undecided.any():
            break
        open_ = undecided[first] & undecided[second]
        first, second = first[open_], second[open_]
    owner = np.arange(count)
    owner[~stays] = count
    first, second = pairs
    took = stays[first]
    np.minimum.at(owner, second[took], first[took])
    return owner


def _shared(boxes: Boxes, first: Indices, second: Indices, pixel: float) -> NDArray[np.float32]:
    one, other = boxes[first, :4], boxes[second, :4]
    low = np.maximum(one[:, :2], other[:, :2])
    high = np.minimum(one[:, 2:], other[:, 2:])
    area: NDArray[np.float32] = (high - low + pixel).clip(0).prod(axis=1)
    return area


def _near(boxes: Boxes, iou: float, pixel: float) -> Iterator[Pairs]:
    """Every pair that may share so much, some others too, each pair once and so many at a time.

    Boxes are sorted by the octave of their size, by bands as high as the largest of an octave, and along each band.
    """
    count = len(boxes)
    if count <= _FEW:
        yield np.triu_indices(count, 1)
        return
    center = (boxes[:, :2].astype(np.float64) + boxes[:, 2:4]) / 2
    center -= center.min(axis=0)
    side = np.maximum(1.0, (boxes[:, 2:4] - boxes[:, :2]).max(axis=1) + pixel).astype(np.float64)
    octave = np.frexp(side)[1]  # side is below 2 ** octave, and at least half of that
    higher = 1 + math.floor(-math.log2(iou)) if iou else _OCTAVES  # one may be 1 / iou times as large
    for of in np.unique(octave):
        cell = 2.0 ** int(of)
        row = center[:, 1] // cell
        length = center[:, 0].max() + 4 * cell
        place = row * length + center[:, 0] + cell  # rows lie one behind the other, with room between them
        members = np.flatnonzero(octave == of)
        members = members[np.argsort(place[members], kind="stable")]
        sorted_places = place[members]
        asking = np.flatnonzero((octave <= of) & (octave >= of - higher))
        reach = cell / 2 + max(0.0, 0.5 - iou) * side[asking] + pixel
        lowest, highest = ((center[asking, 1] + reach * sign) // cell for sign in (-1, 1))
        for offset in range(_ROWS_REACHED):
            rows = lowest + offset
            there = rows <= highest
            from_, start = asking[there], rows[there] * length + center[asking[there], 0] + cell
            begin = np.searchsorted(sorted_places, start - reach[there], "left")
            end = np.searchsorted(sorted_places, start + reach[there], "right")
            for one, place_of_other in _spread(begin, end):
                asker, other = from_[one], members[place_of_other]
                # Of two in one octave both ask.
                new = (octave[asker] < of) | (asker < other)
                asker, other = asker[new], other[new]
                yield np.minimum(asker, other), np.maximum(asker, other)


def _spread(begin: Indices, end: Indices) -> Iterator[Pairs]:
    """The number of each range beside every index in it, so many at a time."""
    counts = end - begin
    total = np.cumsum(counts)
    start = 0
    while start < len(counts):
        still_awaited()
        done = total[start - 1] if start else 0
        stop = max(start + 1, int(np.searchsorted(total, done + _PAIRS_AT_ONCE, "right")))
        ranges = np.repeat(np.arange(start, stop), counts[start:stop])
        offsets = np.arange(len(ranges)) - np.repeat(total[start:stop] - counts[start:stop] - done, counts[start:stop])
        yield ranges, begin[ranges] + offsets
        start = stop
