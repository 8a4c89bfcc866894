"""How the boxes of faces lie to each other."""

from __future__ import annotations

from collections.abc import Iterable

from facet.v1 import geometry_pb2
from services.chassis.geometry import Box, Point
from services.chassis.wire import box_from_wire


def box_of(face: geometry_pb2.Face) -> Box:
    """The box of a face.

    Raises:
        InvalidRequest: It is empty or not finite.
    """
    return box_from_wire(face.box, field="box")


def holds(box: Box, point: Point) -> bool:
    """Whether the point lies in the box."""
    return box.x_min <= point.x < box.x_max and box.y_min <= point.y < box.y_max


def intersection_over_union(a: Box, b: Box) -> float:
    """The shared area as a part of the area of both, 0 to 1."""
    width = min(a.x_max, b.x_max) - max(a.x_min, b.x_min)
    height = min(a.y_max, b.y_max) - max(a.y_min, b.y_min)
    if width <= 0 or height <= 0:
        return 0.0
    shared = width * height
    return shared / (a.width * a.height + b.width * b.height - shared)


def lies_in_any(found: Box, shown: Iterable[Box]) -> bool:
    """Whether a found face is one of those shown: its centre lies in that one's box, or they share over 0.3."""
    return any(holds(box, found.center) or intersection_over_union(found, box) > 0.3 for box in shown)  # noqa: PLR2004


def touches_any(a: Box, others: Iterable[Box]) -> bool:
    """Whether a face may be one of others: the centre of one lies in the other, or they share over 0.1."""
    return any(
        holds(a, b.center) or holds(b, a.center) or intersection_over_union(a, b) > 0.1  # noqa: PLR2004
        for b in others
    )
