"""Runs labelled pictures through a deployment's detector and anonymizer and measures what came of it."""

from __future__ import annotations

import io
import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
from PIL import Image

from cli.evaluate.labels import LabelledPicture
from cli.evaluate.measures import (
    Detections,
    Mask,
    PrecisionRecall,
    covered,
    false_alarms,
    found_by_size,
    precision_recall,
)
from facet_client import DetectionOptions, Facet, RedactionOptions
from facet_client.api import DetectAnswer
from facet_client.names import RecallName, StyleName

SWEEP_CONFIDENCE = 0.02
"""The lowest threshold a detector accepts: the curves start here."""
THRESHOLDS = (0.02, 0.05, 0.1, 0.15, 0.2, 0.25, 0.3, 0.35, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9)


@dataclass(frozen=True, slots=True, kw_only=True)
class OperatingPoint:
    """What a deployment does at one threshold."""

    coverage: float
    """Share of counted faces that are hidden, 0 to 1."""
    false_alarms_a_picture: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Evaluation:
    """One recall setting on all pictures."""

    recall: RecallName
    model_id: str
    pictures: int
    faces: int
    as_served: OperatingPoint
    """With the threshold that a request gets that names none."""
    by_size: list[tuple[int, int]]
    """As served: found and labelled faces of each size class."""
    seconds_a_picture: float
    """Median time of a detector call, as served."""
    curve: list[OperatingPoint]
    """At each of THRESHOLDS."""
    precision_recall: PrecisionRecall


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """What is to be evaluated."""

    recall: RecallName
    model: str
    """Empty = the deployment's default."""
    margin: float | None
    """Of the hidden regions; None = the anonymizer's default."""


def evaluate(
    pictures: Sequence[LabelledPicture], question: Question, facet: Facet, advance: Callable[[], None]
) -> Evaluation:
    """Detects and hides the faces of every picture, with the served threshold and over the whole range of them.

    What is hidden is not computed here: the gateway is given a white picture of the same size and asked to paint the
    found regions black.

    Args:
        pictures: With their labels.
        question: What is to be evaluated.
        facet: The deployment.
        advance: Called after each picture.

    Raises:
        ServiceError: As the gateway answers.
    """
    served: list[Detections] = []
    swept: list[Detections] = []
    seconds: list[float] = []
    hidden_as_served = 0
    wanted = DetectionOptions(model=question.model or None, recall=question.recall)
    hidden_at = [0] * len(THRESHOLDS)
    model_id = ""
    for picture in pictures:
        content = picture.path.read_bytes()
        started = time.perf_counter()
        answer = facet.detect(content, detection=wanted)
        seconds.append(time.perf_counter() - started)
        model_id = answer.model
        served.append(_detections(answer))
        hidden_as_served += covered(picture, _hidden(answer, 0.0, facet, question.margin))

        everything = facet.detect(content, detection=replace(wanted, min_confidence=SWEEP_CONFIDENCE))
        swept.append(_detections(everything))
        for index, threshold in enumerate(THRESHOLDS):
            hidden_at[index] += covered(picture, _hidden(everything, threshold, facet, question.margin))
        advance()

    faces = sum(int(picture.counted.sum()) for picture in pictures)

    def point(hidden: int, found: Sequence[Detections]) -> OperatingPoint:
        alarms = sum(false_alarms(p, d) for p, d in zip(pictures, found, strict=True))
        return OperatingPoint(coverage=hidden / max(1, faces), false_alarms_a_picture=alarms / len(pictures))

    return Evaluation(
        recall=question.recall,
        model_id=model_id,
        pictures=len(pictures),
        faces=faces,
        as_served=point(hidden_as_served, served),
        by_size=found_by_size(pictures, served),
        seconds_a_picture=statistics.median(seconds),
        curve=[
            point(hidden, [d.above(threshold) for d in swept])
            for hidden, threshold in zip(hidden_at, THRESHOLDS, strict=True)
        ],
        precision_recall=precision_recall(pictures, swept),
    )


def _detections(answer: DetectAnswer) -> Detections:
    boxes = [(f.box.x_min, f.box.y_min, f.box.x_max, f.box.y_max) for f in answer.faces]
    return Detections(
        boxes=np.array(boxes, np.float64).reshape(-1, 4),
        confidences=np.array([f.confidence for f in answer.faces], np.float64),
    )


def _hidden(answer: DetectAnswer, threshold: float, facet: Facet, margin: float | None) -> Mask:
    white = io.BytesIO()
    Image.new("L", (answer.width, answer.height), 255).save(white, "BMP")
    faces = tuple(face for face in answer.faces if face.confidence >= threshold)
    painted = facet.anonymize(
        white.getvalue(),
        redaction=RedactionOptions(style=StyleName.SOLID, margin=margin),
        faces=answer.model_copy(update={"faces": faces}),
    )
    return np.asarray(np.asarray(Image.open(io.BytesIO(painted.content))) == 0, np.bool_)
