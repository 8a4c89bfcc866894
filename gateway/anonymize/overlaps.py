"""How the boxes of faces lie to each other: many at once, in strips, so that no memory grows with all pairs."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from facet.v1 import geometry_pb2
from services.chassis.pictures.geometry import Box, Point, intersection_over_union
from services.chassis.process.patience import still_awaited
from services.chassis.rpc.wire import box_from_wire

SAME_FACE_IOU = 0.3
MAY_BE_SAME_FACE_IOU = 0.1
_PAIRS_AT_ONCE = 1 << 17

Mask = NDArray[np.bool_]
T = TypeVar("T")


def box_of(face: geometry_pb2.Face) -> Box:
    """The box of a face.

    Raises:
        InvalidRequest: It is empty or not finite.
    """
    return box_from_wire(face.box, field="box")


def holds(box: Box, point: Point) -> bool:
    """Whether the point lies in the box."""
    return box.x_min <= point.x < box.x_max and box.y_min <= point.y < box.y_max


class BoxIndex:
    """Boxes that others are compared with; made once for all of these."""

    def __init__(self, boxes: Iterable[Box]) -> None:
        corners = [(box.x_min, box.y_min, box.x_max, box.y_max) for box in boxes]
        self.corners = np.array(corners, np.float64).reshape(-1, 4)
        """N x 4."""

    @classmethod
    def of(cls, boxes: Iterable[Box] | BoxIndex) -> BoxIndex:
        """Made, where they are not yet."""
        return boxes if isinstance(boxes, BoxIndex) else cls(boxes)


def lies_in_any(found: Box, shown: Iterable[Box] | BoxIndex) -> bool:
    """Whether a found face is one of those shown: its centre lies in that one's box, or they share over 0.3."""
    return bool(lie_in_any([found], shown)[0])


def touches_any(a: Box, others: Iterable[Box] | BoxIndex) -> bool:
    """Whether a face may be one of others: the centre of one lies in the other, or they share over 0.1."""
    return bool(touch_any([a], others)[0])


def lie_in_any(found: Iterable[Box] | BoxIndex, shown: Iterable[Box] | BoxIndex) -> Mask:
    """`lies_in_any` of each of many found faces.

    Raises:
        DeadlinePassed: Nobody waits any more.
    """

    def lies(a: NDArray[np.float64], b: NDArray[np.float64]) -> Mask:
        return _holds_center(b, a) | (intersection_over_union(a, b) > SAME_FACE_IOU)

    return _any(BoxIndex.of(found), BoxIndex.of(shown), lies)


def touch_any(boxes: Iterable[Box] | BoxIndex, others: Iterable[Box] | BoxIndex) -> Mask:
    """`touches_any` of each of many boxes.

    Raises:
        DeadlinePassed: Nobody waits any more.
    """

    def touches(a: NDArray[np.float64], b: NDArray[np.float64]) -> Mask:
        return _holds_center(a, b) | _holds_center(b, a) | (intersection_over_union(a, b) > MAY_BE_SAME_FACE_IOU)

    return _any(BoxIndex.of(boxes), BoxIndex.of(others), touches)


def where(values: Sequence[T], mask: Mask) -> list[T]:
    """Those of `values` that the mask marks."""
    return [values[index] for index in np.flatnonzero(mask).tolist()]


def _any(boxes: BoxIndex, others: BoxIndex, alike: Callable[[NDArray[np.float64], NDArray[np.float64]], Mask]) -> Mask:
    """Of each box, whether it is alike any of the others."""
    found = np.zeros(len(boxes.corners), np.bool_)
    for some in _strips(len(boxes.corners), 1024):
        for part in _strips(len(others.corners), _PAIRS_AT_ONCE // 1024):
            still_awaited()
            left = np.flatnonzero(~found[some]) + some.start
            if len(left):
                found[left] = alike(boxes.corners[left, None], others.corners[None, part]).any(axis=1)
    return found


def _strips(length: int, at_once: int) -> Iterator[slice]:
    return (slice(start, min(length, start + at_once)) for start in range(0, length, at_once))


def _holds_center(boxes: NDArray[np.float64], others: NDArray[np.float64]) -> Mask:
    """Whether the centre of another lies in a box."""
    center = (others[..., :2] + others[..., 2:]) / 2
    return np.asarray(((boxes[..., :2] <= center) & (center < boxes[..., 2:])).all(axis=-1))
