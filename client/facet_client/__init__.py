"""Facet from Python: `Facet` blocks, `AsyncFacet` awaits; both speak REST to a gateway and raise domain errors."""

from facet_client.asynchronous import AsyncFacet
from facet_client.blocking import Facet
from facet_client.failures import UnexpectedAnswer
from facet_client.names import FormatName, RecallName, ShapeName, StyleName
from facet_client.options import DetectionOptions, RedactionOptions
from facet_client.results import (
    Anonymized,
    Comparison,
    Detection,
    Embedded,
    EmbeddedFace,
    Face,
    Model,
    Readiness,
    TierReadiness,
    to_json,
)

__all__ = [
    "Anonymized",
    "AsyncFacet",
    "Comparison",
    "Detection",
    "DetectionOptions",
    "Embedded",
    "EmbeddedFace",
    "Face",
    "Facet",
    "FormatName",
    "Model",
    "Readiness",
    "RecallName",
    "RedactionOptions",
    "ShapeName",
    "StyleName",
    "TierReadiness",
    "UnexpectedAnswer",
    "to_json",
]
