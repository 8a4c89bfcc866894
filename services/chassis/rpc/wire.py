"""Geometry to and from its protobuf messages; what comes in is checked."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping

from facet.v1 import geometry_pb2 as pb
from services.chassis.errors import InvalidRequest
from services.chassis.pictures.geometry import Box, LandmarkType, Point

_TO_WIRE = {kind: pb.LandmarkType.Value(f"LANDMARK_TYPE_{kind.name}") for kind in LandmarkType}
_FROM_WIRE = {value: kind for kind, value in _TO_WIRE.items()}


def box_to_wire(box: Box) -> pb.BoundingBox:
    """The message of a box."""
    return pb.BoundingBox(x_min=box.x_min, y_min=box.y_min, x_max=box.x_max, y_max=box.y_max)


def box_from_wire(message: pb.BoundingBox, *, field: str) -> Box:
    """The box of a message.

    Raises:
        InvalidRequest: A number is not finite or the box is empty; `field` says where.
    """
    box = Box(x_min=message.x_min, y_min=message.y_min, x_max=message.x_max, y_max=message.y_max)
    if not all(map(math.isfinite, (box.x_min, box.y_min, box.x_max, box.y_max))):
        raise InvalidRequest(f"{field}: every number must be finite")
    if box.width <= 0 or box.height <= 0:
        raise InvalidRequest(f"{field}: x_min must be below x_max and y_min below y_max")
    return box


def landmarks_to_wire(landmarks: Mapping[LandmarkType, Point]) -> Iterable[pb.Landmark]:
    """The messages of landmarks."""
    for kind, point in landmarks.items():
        yield pb.Landmark(type=_TO_WIRE[kind], position=pb.Point(x=point.x, y=point.y))


def landmarks_from_wire(messages: Iterable[pb.Landmark], *, field: str) -> dict[LandmarkType, Point]:
    """The landmarks of messages.

    Raises:
        InvalidRequest: A type is unknown or given twice, or a number is not finite; `field` says where.
    """
    landmarks: dict[LandmarkType, Point] = {}
    for message in messages:
        kind = _FROM_WIRE.get(message.type)
        if kind is None or kind in landmarks:
            raise InvalidRequest(f"{field}: each landmark needs a known type, and each type at most once")
        point = Point(message.position.x, message.position.y)
        if not (math.isfinite(point.x) and math.isfinite(point.y)):
            raise InvalidRequest(f"{field}: every number must be finite")
        landmarks[kind] = point
    return landmarks
