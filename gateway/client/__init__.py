"""Facet from Python: `Facet` blocks, `AsyncFacet` awaits; both speak REST to a gateway and raise domain errors."""

from gateway.client.asynchronous import AsyncFacet
from gateway.client.blocking import Facet
from gateway.client.failures import UnexpectedAnswer
from gateway.client.options import DetectionOptions, RedactionOptions
from gateway.client.results import (
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
from gateway.names import FormatName, RecallName, ShapeName, StyleName

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
