"""RetinaFace as a face detector: weights in, faces of pictures out."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from services.chassis.inference.openvino import Processors
from services.chassis.inference.precision import Precision
from services.chassis.pictures.geometry import Box, LandmarkType, Point, RgbImage
from services.chassis.process.processors import available_processors
from services.detector.faces import Face
from services.detector.retinaface.checkpoint import load_network
from services.detector.retinaface.decoding import Findings, decode, non_maximum_suppression
from services.detector.retinaface.engine import Answers, InferenceEngine, Run
from services.detector.retinaface.network import RetinaFaceNetwork
from services.detector.retinaface.padding import inside, padded
from services.detector.retinaface.trial import objection, sound

_log = logging.getLogger("facet.detector")
_NO_NUMBERS = "the network returned values that are not finite, or absurdly large"

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

    def __init__(
        self,
        name: str,
        model_id: str,
        weights: Path,
        precision: Precision = Precision.AUTO,
        *,
        compiled: Callable[[RetinaFaceNetwork, Precision], Run] = InferenceEngine,
    ) -> None:
        """Reads and prepares the weights. bfloat16 is tried out, and given up for float32 where it computes wrongly.

        Args:
            name: The model's name.
            model_id: name@first 12 hex digits of the weights' sha256.
            weights: A published checkpoint.
            precision: What to compute in.
            compiled: Makes a network ready to run in a precision, which is never AUTO.

        Raises:
            NotReady: The file is absent or not a RetinaFace checkpoint, OpenVINO is not installed, or the processor
                does not compute in the precision.
        """
        self.name = name
        self.model_id = model_id
        self.precision = Processors().resolved(precision)
        """What it computes in, never AUTO. It turns from bfloat16 to float32 where an answer cannot be."""
        self._compiled = compiled
        self._weights = weights
        self._falling_back = threading.Lock()
        network = load_network(weights)
        self._run = compiled(network, self.precision)
        if self.precision is Precision.BF16 and (reason := objection(self._run, network)):
            self._fall_back(reason)
        self.threads = ThreadPoolExecutor(available_processors(), "retinaface")

    def find(self, picture: RgbImage, *, min_score: float) -> Findings:
        """The findings in one picture, without overlapping ones, on the calling thread.

        Raises:
            RuntimeError: The network answered what cannot be, in float32 as well.
        """
        height, width = picture.shape[:2]
        canvas = padded(picture)
        answers = self._answers(canvas)
        found = decode(*answers, height=canvas.shape[0], width=canvas.shape[1], min_score=min_score)
        found = non_maximum_suppression(found)
        return found if canvas is picture else inside(found, height=height, width=width)

    def _answers(self, picture: RgbImage) -> Answers:
        precision, answers = self.precision, self._run(picture)
        if not sound(answers) and precision is Precision.BF16:
            self._fall_back(_NO_NUMBERS)
            answers = self._run(picture)
        if not sound(answers):  # a face that is missed in silence would stay visible
            raise RuntimeError(f"{self.model_id}: {_NO_NUMBERS}")
        return answers

    def _fall_back(self, reason: str) -> None:
        """Computes in float32 from now on."""
        with self._falling_back:
            if self.precision is Precision.FP32:
                return
            self._run = self._compiled(load_network(self._weights), Precision.FP32)
            self.precision = Precision.FP32
        fields = {"model": self.model_id, "reason": reason, "precision": self.precision}
        _log.warning("bf16 computes wrongly on this processor: fp32 is used", extra={"fields": fields})

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
