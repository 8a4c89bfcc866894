"""BlazeFace, short and full range, on the mediapipe package (Bazarevsky et al., arXiv:1907.05047)."""

from __future__ import annotations

import ctypes
import sys
import threading
from collections import OrderedDict
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from services.chassis.errors import NotReady
from services.chassis.pictures.geometry import Box, LandmarkType, Point, RgbImage
from services.detector.faces import Face
from services.detector.mediapipe_import import import_mediapipe

if TYPE_CHECKING:
    from mediapipe.tasks.python.vision import FaceDetector as MediapipeDetector

KEYPOINTS = (
    LandmarkType.LEFT_EYE,
    LandmarkType.RIGHT_EYE,
    LandmarkType.NOSE_TIP,
    LandmarkType.MOUTH_CENTER,
    LandmarkType.LEFT_EAR,
    LandmarkType.RIGHT_EAR,
)
"""In mediapipe's order. It names them by the person's own left and right, here the viewer's count."""

THRESHOLDS_KEPT = 4
_SYSTEM_LIBRARIES = {"libEGL.so.1": "libegl1", "libGLESv2.so.2": "libgles2"}


class BlazeFace:
    """mediapipe's own face detector; its answers are passed on unchanged.

    mediapipe fixes the threshold when a detector is made, and merges overlapping detections above it. So each worker
    thread keeps detectors of its own, one for each of the few thresholds it was last asked for: a detector of its own
    is faster than a shared one, and a threshold applied afterwards would give other boxes.
    """

    def __init__(self, name: str, model_id: str, weights: Path) -> None:
        """Reads the weights.

        Raises:
            NotReady: A system library that mediapipe links is missing.
        """
        self.name = name
        self.model_id = model_id
        self._content = weights.read_bytes()
        self._local = threading.local()
        self._lock = threading.Lock()
        self._open: set[MediapipeDetector] = set()
        _check_system_libraries()
        import_mediapipe()

    def detect(self, pictures: Sequence[RgbImage], *, min_confidence: float) -> list[list[Face]]:
        """The faces of each picture, as mediapipe answers them."""
        from mediapipe import Image, ImageFormat  # noqa: PLC0415  (not before `import_mediapipe`)

        detector = self._detector(round(min_confidence, 3))
        return [
            _faces(detector.detect(Image(image_format=ImageFormat.SRGB, data=np.ascontiguousarray(picture))), picture)
            for picture in pictures
        ]

    def close(self) -> None:
        """Closes every worker's detectors."""
        with self._lock:
            while self._open:
                self._open.pop().close()

    def _detector(self, min_confidence: float) -> MediapipeDetector:
        kept: OrderedDict[float, MediapipeDetector] = self._local.__dict__.setdefault("kept", OrderedDict())
        if min_confidence in kept:
            kept.move_to_end(min_confidence)
            return kept[min_confidence]
        with self._lock:
            detector = self._make(min_confidence)
            self._open.add(detector)
            kept[min_confidence] = detector
            if len(kept) > THRESHOLDS_KEPT:
                _, oldest = kept.popitem(last=False)
                self._open.discard(oldest)
                oldest.close()
        return detector

    def _make(self, min_confidence: float) -> MediapipeDetector:
        from mediapipe import Image, ImageFormat  # noqa: PLC0415
        from mediapipe.tasks.python.core.base_options import BaseOptions  # noqa: PLC0415
        from mediapipe.tasks.python.vision import FaceDetector, FaceDetectorOptions  # noqa: PLC0415

        detector = FaceDetector.create_from_options(
            FaceDetectorOptions(
                base_options=BaseOptions(model_asset_buffer=self._content), min_detection_confidence=min_confidence
            )
        )
        nothing = np.zeros((64, 64, 3), np.uint8)
        detector.detect(Image(image_format=ImageFormat.SRGB, data=nothing))  # the first use takes longer
        return detector


def _faces(result: object, picture: RgbImage) -> list[Face]:
    height, width = picture.shape[:2]
    faces = [
        Face(
            box=Box(
                x_min=found.bounding_box.origin_x,
                y_min=found.bounding_box.origin_y,
                x_max=found.bounding_box.origin_x + found.bounding_box.width,
                y_max=found.bounding_box.origin_y + found.bounding_box.height,
            ),
            confidence=found.categories[0].score,
            landmarks={
                kind: Point(point.x * width, point.y * height)
                for kind, point in zip(KEYPOINTS, found.keypoints, strict=True)
            },
        )
        for found in result.detections  # type: ignore[attr-defined]  # mediapipe has no types
        if found.bounding_box.width > 0 and found.bounding_box.height > 0
    ]
    return sorted(faces, key=lambda face: -face.confidence)


def _check_system_libraries() -> None:
    for library, package in _SYSTEM_LIBRARIES.items() if sys.platform == "linux" else ():
        try:
            ctypes.CDLL(library)
        except OSError as error:
            raise NotReady(
                f"the system library {library} is missing; install it, on Debian with: "
                f"apt-get install {' '.join(_SYSTEM_LIBRARIES.values())} ({package} brings this one)"
            ) from error
