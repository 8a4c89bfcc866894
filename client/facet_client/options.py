"""What a caller may ask for. None = the server's default, so that no default is told in two places."""

from __future__ import annotations

from dataclasses import dataclass, fields

from facet_client.names import FormatName, RecallName, ShapeName, StyleName


@dataclass(frozen=True, slots=True, kw_only=True)
class DetectionOptions:
    """Which faces to look for."""

    model: str | None = None
    """Detection model, as `facet models list` names them."""
    recall: RecallName | None = None
    """How hard to look: more recall takes more time."""
    min_confidence: float | None = None
    """Leave out faces scored below, 0.02 to 1."""
    min_face_px: int | None = None
    """Leave out faces whose longer side is shorter, pixels."""
    max_faces: int | None = None
    """Only the so many most confident faces."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RedactionOptions:
    """How to hide a face."""

    style: StyleName | None = None
    """What a hidden face looks like."""
    shape: ShapeName | None = None
    """The outline of what is hidden."""
    strength: float | None = None
    """0 weakest, 1 strongest: larger cells, wider blur."""
    margin: float | None = None
    """How far to hide beyond the face's box, as a share of it, 0 to 2."""
    boxes: bool | None = None
    """Draw a box around each hidden face."""
    format: FormatName | None = None
    """The answer's file format; None = as the picture came."""
    allow_weak: bool | None = None
    """Hide by averaging the face itself: enough identity remains for a recogniser to do better than chance."""


DETECTION_DEFAULTS = DetectionOptions()
REDACTION_DEFAULTS = RedactionOptions()


def query_of(*options: DetectionOptions | RedactionOptions) -> dict[str, str]:
    """The query parameters of those that are set."""
    values = {field.name: getattr(each, field.name) for each in options for field in fields(each)}
    return {name: _text(value) for name, value in values.items() if value is not None}


def _text(value: str | float | bool) -> str:  # noqa: FBT001
    return str(value).lower() if isinstance(value, bool) else str(value)
