"""The query parameters of the REST calls, as typed models, and their messages to the tiers."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from facet.v1 import anonymizer_pb2, detector_pb2
from facet_client.names import FormatName, RecallName, ShapeName, StyleName


class DetectionParameters(BaseModel):
    """What to look for; a misspelt parameter is refused, not ignored."""

    model_config = ConfigDict(extra="forbid", allow_inf_nan=False)

    model: str = Field("", description="Detection model, from `GET /v1/models`; empty = the default.")
    recall: RecallName = Field(RecallName.BALANCED, description="How hard to look: more recall takes more time.")
    min_confidence: float | None = Field(
        None, ge=0.02, le=1, description="Leave out faces scored below; unset = the default for the model and recall."
    )
    min_face_px: int = Field(0, ge=0, le=2**31 - 1, description="Leave out faces whose longer side is shorter, pixels.")
    max_faces: int = Field(
        0, ge=0, le=2**31 - 1, description="At most this many faces, the most confident ones; 0 = all."
    )

    def options(self) -> dict[str, Any]:
        """What was chosen, as texts, numbers and truth values; without what a caller may write freely."""
        return self.model_dump(mode="json", exclude={"model"}, exclude_none=True)

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

    style: StyleName = Field(StyleName.MOSAIC, description="How faces are hidden.")
    shape: ShapeName = Field(ShapeName.ELLIPSE, description="The shape of the hidden area.")
    strength: float = Field(0.5, ge=0, le=1, description="0 weakest, 1 strongest: larger cells, wider blur.")
    margin: float = Field(0.3, ge=0, le=2, description="How far to hide beyond the face's box, as a share of it.")
    boxes: bool = Field(False, description="Draw a box around each hidden face.")
    format: FormatName | None = Field(
        None, description="The answer's file format; unset = the picture's own, and JPEG or PNG for a HEIC."
    )
    allow_weak: bool = Field(
        False,
        description="Hide by averaging the face itself, as other tools do; enough identity remains for a recogniser to "
        "do better than chance.",
    )
    verify: bool = Field(
        False,
        description="Search the result again and compare each hidden face with its original; hide more strongly what "
        "is still found or recognised, and answer an error where that does not help. The server may force it.",
    )
    receipt: bool = Field(False, description="Return a signed receipt of what was hidden (X-Facet-Receipt).")

    def redaction(self) -> anonymizer_pb2.Redaction:
        """The anonymizer's message."""
        return anonymizer_pb2.Redaction(
            style=anonymizer_pb2.Style.Value(f"STYLE_{self.style.name}"),
            shape=anonymizer_pb2.Shape.Value(f"SHAPE_{self.shape.name}"),
            strength=self.strength,
            margin=self.margin,
            outline=self.boxes,
            allow_weak=self.allow_weak,
        )

    def output(self) -> anonymizer_pb2.OutputFormat.ValueType:
        """The anonymizer's value of `format`."""
        if self.format is None:
            return anonymizer_pb2.OUTPUT_FORMAT_UNSPECIFIED
        return anonymizer_pb2.OutputFormat.Value(f"OUTPUT_FORMAT_{self.format.name}")
