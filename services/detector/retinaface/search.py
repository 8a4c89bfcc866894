"""RetinaFace over a picture at several scales, in tiles, mirrored, fused."""

from __future__ import annotations

import math
from collections.abc import Mapping
from concurrent.futures import Future, wait
from contextvars import copy_context

import cv2
import numpy as np
from numpy.typing import NDArray

from services.chassis.pictures.geometry import RgbImage, intersection_over_union
from services.chassis.pictures.looks import Look
from services.chassis.process.patience import still_awaited
from services.detector.faces import Face
from services.detector.retinaface.decoding import Findings
from services.detector.retinaface.detector import RetinaFace, to_faces
from services.detector.retinaface.fusion import PassResult, fuse
from services.detector.retinaface.plan import LARGE_MAX_SCALE, Effort, Pass, Tile, plan
from services.detector.search import FaceSearch, Recall

DEFAULT_MAX_PIXELS = 80_000_000
MIN_CONFIDENCE: Mapping[Recall, float] = {Recall.FAST: 0.25, Recall.BALANCED: 0.23, Recall.MAX: 0.13}
COMPANION_MIN_CONFIDENCE = 0.6
"""Another model's face that RetinaFace says nothing of has to be this sure: below, false alarms outweigh the faces."""
SAME_FACE_IOU = 0.3

BORDER_PX = 4
"""A box that ends this close to a tile's inner border is taken for a face cut by it."""
LEAST_SCORE = 0.02
SCORE_SHARE = 0.4
"""A pass that scores a face below this share of the threshold counts as not having found it."""
X = [0, 2, 5, 7, 9, 11, 13]
Y = [1, 3, 6, 8, 10, 12, 14]
MIRRORED = [2, 1, 0, 3, 4, 7, 8, 5, 6, 9, 10, 13, 14, 11, 12]
"""Where the columns of a mirrored finding belong: left and right change places."""


class RetinaFaceSearch:
    """As many passes as recall and picture ask for; maximal recall also asks a companion, where there is one."""

    def __init__(
        self, model: RetinaFace, *, max_pixels: int = DEFAULT_MAX_PIXELS, companion: FaceSearch | None = None
    ) -> None:
        """Prepares nothing yet.

        Args:
            model: Searches.
            max_pixels: Given to the network for one picture, all passes together; `max` may take twice as many.
            companion: A search with another model whose surest faces are added with maximal recall.
        """
        cv2.setNumThreads(1)  # pictures are worked on side by side: a second level of threads only makes them wait
        self.notice = ""
        self._model = model
        self._companion = companion
        self._efforts = {
            Recall.FAST: Effort(max_scale=1.0, max_pixels=max_pixels, one_pass=True),
            Recall.BALANCED: Effort(max_scale=LARGE_MAX_SCALE, max_pixels=max_pixels),
            Recall.MAX: Effort(max_scale=2.0, max_pixels=max_pixels, second_opinion=True, mirrored=True),
        }

    def model_id(self, recall: Recall) -> str:
        """The model that answers, or both."""
        if recall is Recall.MAX and self._companion is not None:
            return f"{self._model.model_id}+{self._companion.model_id(recall)}"
        return self._model.model_id

    def own_confidence(self, recall: Recall) -> float:
        """Of the merged faces."""
        return MIN_CONFIDENCE[recall]

    def search(self, picture: Look, *, recall: Recall, min_confidence: float | None) -> list[Face]:
        """The faces in pixels of the upright picture, in descending confidence."""
        threshold = MIN_CONFIDENCE[recall] if min_confidence is None else min_confidence
        faces = self._faces(picture.rgb(), self._efforts[recall], min_confidence=threshold)
        if recall is Recall.MAX and self._companion is not None:
            sure = max(threshold, COMPANION_MIN_CONFIDENCE)
            faces += _unknown(self._companion.search(picture, recall=recall, min_confidence=sure), faces)
            faces.sort(key=lambda face: -face.confidence)
        return faces

    def _faces(self, pixels: RgbImage, effort: Effort, *, min_confidence: float) -> list[Face]:
        """Searched anew where the model gave up its precision in between: what it found until then is in doubt."""
        precision = self._model.precision
        faces = search_pixels(self._model, pixels, effort, min_confidence=min_confidence)
        if self._model.precision is not precision:
            faces = search_pixels(self._model, pixels, effort, min_confidence=min_confidence)
        return faces


def search_pixels(model: RetinaFace, picture: RgbImage, effort: Effort, *, min_confidence: float) -> list[Face]:
    """The faces of a picture, in its pixels, in descending confidence.

    Args:
        model: Its threads take the tiles.
        picture: H x W x 3.
        effort: How much to search.
        min_confidence: Of the merged faces.
    """
    height, width = picture.shape[:2]
    min_score = max(LEAST_SCORE, SCORE_SHARE * min_confidence)
    halved = [picture]
    running: list[tuple[Pass, list[Future[Findings]]]] = []
    for look in plan(width, height, effort):
        level = max(0, math.floor(-math.log2(look.scale)))
        while level >= len(halved):
            halved.append(_half(halved[-1]))
        parts = [
            # In the caller's context, so that its tiles end when it leaves.
            model.threads.submit(
                copy_context().run, _find, model, halved[level], level, tile, min_score, mirrored=look.mirrored
            )
            for tile in look.tiles
        ]
        running.append((look, parts))
    try:
        results = [
            PassResult(
                findings=np.concatenate([part.result() for part in parts]),
                scale=look.scale,
                largest_clear_px=look.largest_clear_px,
            )
            for look, parts in running
        ]
    finally:  # where one failed, nobody waits for the others; they hold the picture as long as they run
        wait([part for _, parts in running for part in parts if not part.cancel()])
    return to_faces(fuse(results, min_confidence=min_confidence))


def _half(picture: RgbImage) -> RgbImage:
    """The picture at half its size; an odd last row or column is dropped, so that a pixel is exactly two by two."""
    height, width = (max(1, side // 2) for side in picture.shape[:2])
    even = picture[: 2 * height, : 2 * width]
    return np.asarray(cv2.resize(even, (width, height), interpolation=cv2.INTER_AREA), np.uint8)


def _find(  # noqa: PLR0913  (which model, which pixels, which part, how)
    model: RetinaFace, halved: RgbImage, level: int, tile: Tile, min_score: float, *, mirrored: bool
) -> Findings:
    """The findings in one tile of a picture that was halved `level` times, in pixels of the picture."""
    still_awaited()
    left, top = tile.left >> level, tile.top >> level
    part = halved[top : -(-tile.bottom >> level), left : -(-tile.right >> level)]
    height, width = part.shape[:2]
    pixels = part
    if (height, width) != (tile.height, tile.width):
        pixels = np.asarray(cv2.resize(part, (tile.width, tile.height), interpolation=cv2.INTER_LINEAR), np.uint8)
    found = model.find(pixels[:, ::-1] if mirrored else pixels, min_score=min_score)
    if mirrored:
        found[:, X] = tile.width - found[:, X]
        found = found[:, MIRRORED]
    found = found[~_cut(found, tile)]
    found[:, X] = (found[:, X] * (width / tile.width) + left) * 2**level
    found[:, Y] = (found[:, Y] * (height / tile.height) + top) * 2**level
    return found


def _cut(found: Findings, tile: Tile) -> NDArray[np.bool_]:
    """Which findings end at a border behind which the picture goes on."""
    inner = np.array(tile.inner)
    low = np.where(inner[:2], BORDER_PX, -np.inf)
    high = np.where(inner[2:], (tile.width - BORDER_PX, tile.height - BORDER_PX), np.inf)
    return np.logical_or((found[:, :2] < low).any(axis=1), (found[:, 2:4] > high).any(axis=1))


def _unknown(candidates: list[Face], faces: list[Face]) -> list[Face]:
    """Those of `candidates` that overlap none of `faces`."""
    known = np.array([_corners(face) for face in faces], np.float32).reshape(-1, 4)
    return [face for face in candidates if not (intersection_over_union(_corners(face), known) >= SAME_FACE_IOU).any()]


def _corners(face: Face) -> NDArray[np.float32]:
    box = face.box
    return np.array((box.x_min, box.y_min, box.x_max, box.y_max), np.float32)
