"""Sentences for an answer's notice: how many of the faces that were found stay visible, and why. Empty for none."""

from __future__ import annotations

from facet.v1 import detector_pb2


def left_out(count: int, config: detector_pb2.DetectionConfig) -> str:
    """Faces that the request's own limits left out."""
    limits = {
        "max_faces": config.max_faces > 0,
        "min_confidence": config.HasField("min_confidence"),
        "min_face_px": config.min_face_px > 0,
    }
    return _stay_visible(count, f"left out by {' and '.join(name for name, is_set in limits.items() if is_set)}")


def kept(count: int) -> str:
    """Faces taken for people in `keep`."""
    return _stay_visible(count, "recognised as people in keep")


def not_asked_for(count: int) -> str:
    """Faces taken for other people than those in `only`."""
    return _stay_visible(count, "recognised as nobody in only")


def not_given(count: int) -> str:
    """Faces that the check found in the result, and that no given face covers."""
    return _stay_visible(count, "found by the check, covered by none of the given faces")


def outside(count: int) -> str:
    """Given faces that do not touch the picture."""
    if count == 0:
        return ""
    return f"{count} of the given faces {'lies' if count == 1 else 'lie'} outside the picture and hid nothing."


def found_unasked(count: int) -> str:
    """Faces that nobody gave, and that the check hid as well."""
    if count == 0:
        return ""
    return f"{count} more {'face was' if count == 1 else 'faces were'} hidden than given: found by the check."


def _stay_visible(count: int, why: str) -> str:
    if count == 0:
        return ""
    return f"{count} {'face stays' if count == 1 else 'faces stay'} visible: {why}."
