"""RetinaFace as a face detector: weights in, faces of pictures out."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from services.chassis.geometry import Box, LandmarkType, Point, RgbImage
from services.chassis.processors import available_processors
from services.detector.faces import Face
from services.detector.retinaface.checkpoint import load_network
from services.detector.retinaface.decoding import Findings, decode, without_overlapping
from services.detector.retinaface.engine import Engine, Precision, native_precision

_LANDMARK_TYPES = (
    LandmarkType.LEFT_EYE,
    LandmarkType.RIGHT_EYE,
    LandmarkType.NOSE_TIP,
    LandmarkType.MOUTH_LEFT,
    LandmarkType.MOUTH_RIGHT,
)


class RetinaFace:
    """One RetinaFace model. Safe to call from several threads.

    Pictures of all callers share a few threads, each with a whole picture to itself. That is how several processors are
    used best: threads inside an operator wait for each other some hundred times a picture, and where another process
    holds one processor for a moment, each wait costs milliseconds.
    """

    def __init__(self, name: str, model_id: str, weights: Path, precision: Precision | None = None) -> None:
        """Reads and prepares the weights.

        Args:
            name: The model's name.
            model_id: name@first 12 hex digits of the weights' sha256.
            weights: A published checkpoint.
            precision: What to compute in; None = what this processor is faster in.

        Raises:
            NotReady: The file is absent or not a RetinaFace checkpoint, or OpenVINO is not installed.
        """
        self.name = name
        self.model_id = model_id
        self._engine = Engine(load_network(weights), precision or native_precision())
        self.threads = ThreadPoolExecutor(available_processors(), "retinaface")

    def find(self, picture: RgbImage, *, min_score: float) -> Findings:
        """The findings in one picture, without overlapping ones, on the calling thread."""
        height, width = picture.shape[:2]
        found = decode(*self._engine(picture), height=height, width=width, min_score=min_score)
        return without_overlapping(found)

    def detect(self, pictures: Sequence[RgbImage], *, min_confidence: float) -> list[list[Face]]:
        """The faces of each picture in one pass at its own size, as the reference implementation finds them."""
        found = self.threads.map(lambda picture: self.find(picture, min_score=min_confidence), pictures)
        return [to_faces(findings) for findings in found]

    def close(self) -> None:
        """Ends the threads; no call may follow."""
        self.threads.shutdown()


def to_faces(found: Findings) -> list[Face]:
    """Each row as a face."""
    return [
        Face(
            box=Box(x_min=x_min, y_min=y_min, x_max=x_max, y_max=y_max),
            confidence=score,
            landmarks={
                kind: Point(x, y) for kind, x, y in zip(_LANDMARK_TYPES, landmarks[0::2], landmarks[1::2], strict=True)
            },
        )
        for x_min, y_min, x_max, y_max, score, *landmarks in found.tolist()
    ]
