"""The query parameters of the REST calls, as typed models, and their messages to the tiers."""

from __future__ import annotations

from enum import StrEnum

from pydantic import BaseModel, ConfigDict, Field

from facet.v1 import anonymizer_pb2, detector_pb2


class RecallName(StrEnum):
    """How hard to look for faces."""

    FAST = "fast"
    BALANCED = "balanced"
    MAX = "max"


class StyleName(StrEnum):
    """What a hidden face looks like."""

    MOSAIC = "mosaic"
    BLUR = "blur"
    SOLID = "solid"


class ShapeName(StrEnum):
    """The outline of what is hidden."""

    ELLIPSE = "ellipse"
    BOX = "box"


class DetectionParameters(BaseModel):
    """What to look for; a misspelt parameter is refused, not ignored."""

    model_config = ConfigDict(extra="forbid", allow_inf_nan=False)

    model: str = Field("", description="Detection model, as `GET /v1/models` lists them; empty = the default.")
    recall: RecallName = Field(RecallName.BALANCED, description="How hard to look: more recall takes more time.")
    min_confidence: float | None = Field(
        None, ge=0.02, le=1, description="Leave out faces scored below; unset = what suits the model and the recall."
    )
    min_face_px: int = Field(0, ge=0, le=2**31 - 1, description="Leave out faces whose longer side is shorter, pixels.")
    max_faces: int = Field(0, ge=0, le=2**31 - 1, description="Only the so many most confident faces; 0 = all.")

    def detection_config(self) -> detector_pb2.DetectionConfig:
        """The detector's message."""
        return detector_pb2.DetectionConfig(
            model=self.model,
            min_confidence=self.min_confidence,
            min_face_px=self.min_face_px,
            max_faces=self.max_faces,
            recall=detector_pb2.Recall.Value(f"RECALL_{self.recall.name}"),
        )


class AnonymizationParameters(DetectionParameters):
    """What to look for and how to hide it."""

    style: StyleName = Field(StyleName.MOSAIC, description="What a hidden face looks like.")
    shape: ShapeName = Field(ShapeName.ELLIPSE, description="The outline of what is hidden.")
    strength: float | None = Field(
        None, ge=0, le=1, description="0 weakest, 1 strongest: larger cells, wider blur; unset = 0.5."
    )
    margin: float | None = Field(
        None, ge=0, le=2, description="How far to hide beyond the face's box, as a share of it; unset = 0.3."
    )
    boxes: bool = Field(False, description="Draw a box around each hidden face.")

    def redaction(self) -> anonymizer_pb2.Redaction:
        """The anonymizer's message."""
        return anonymizer_pb2.Redaction(
            style=anonymizer_pb2.Style.Value(f"STYLE_{self.style.name}"),
            shape=anonymizer_pb2.Shape.Value(f"SHAPE_{self.shape.name}"),
            strength=self.strength,
            margin=self.margin,
            outline=self.boxes,
        )
