"""Where BlazeFace looks in a picture: the whole, overlapping tiles at higher resolution, mirrored."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from services.chassis.pictures.geometry import LandmarkType, Point, RgbImage
from services.chassis.pictures.looks import Look
from services.chassis.process.patience import still_awaited
from services.detector.faces import Face, FaceDetector
from services.detector.nms import suppress
from services.detector.search import Recall

TILE_OVERLAP = 0.25
"""Share of a tile that its neighbour also covers: a face up to a quarter of a tile is whole in one of them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BlazeFacePass:
    """One look at the whole picture."""

    long_side_px: int
    """The picture is shrunk to this longer side; a smaller one is taken as it is."""
    min_confidence: float
    tiles_a_side: int = 1
    mirrored: bool = False


WHOLE_PX = 640
TILED_PX = 1024

# BlazeFace looks at 192 x 192 pixels (short range 128 x 128), whatever it is given: a small face is found only where
# a tile makes it large. Tiles raise more false alarms than the whole does, so they have to be surer of theirs.
BLAZEFACE_PASSES = {
    Recall.FAST: (BlazeFacePass(long_side_px=WHOLE_PX, min_confidence=0.4),),
    Recall.BALANCED: (
        BlazeFacePass(long_side_px=WHOLE_PX, min_confidence=0.4),
        BlazeFacePass(long_side_px=TILED_PX, min_confidence=0.5, tiles_a_side=2),
    ),
    Recall.MAX: (
        BlazeFacePass(long_side_px=WHOLE_PX, min_confidence=0.3),
        BlazeFacePass(long_side_px=WHOLE_PX, min_confidence=0.3, mirrored=True),
        BlazeFacePass(long_side_px=TILED_PX, min_confidence=0.4, tiles_a_side=2),
        BlazeFacePass(long_side_px=TILED_PX, min_confidence=0.4, tiles_a_side=3),
    ),
}


NOTICE = (
    "BlazeFace alone answered, which misses most faces under 30 pixels: it does not protect a crowd. "
    "Install RetinaFace (`pip install 'facet-privacy[retinaface]'`) and its weights: "
    "`facet models pull retinaface-mobilenet025`."
)


class BlazeFaceSearch:
    """A fixed list of passes for each recall, doubles removed."""

    def __init__(self, detector: FaceDetector) -> None:
        self._detector = detector
        self.notice = NOTICE

    def model_id(self, recall: Recall) -> str:  # noqa: ARG002  (one model answers all)
        """The model that answers."""
        return self._detector.model_id

    def own_confidence(self, recall: Recall) -> float:
        """Of the pass with the lowest threshold."""
        return min(look.min_confidence for look in BLAZEFACE_PASSES[recall])

    def search(self, picture: Look, *, recall: Recall, min_confidence: float | None) -> list[Face]:
        """The faces in pixels of the upright picture, in descending confidence."""
        passes = BLAZEFACE_PASSES[recall]
        scaled = {side: picture.rgb(long_side_px=side) for side in {p.long_side_px for p in passes}}
        found: list[Face] = []
        for look in passes:
            pixels = scaled[look.long_side_px]
            scale_x, scale_y = picture.width_px / pixels.shape[1], picture.height_px / pixels.shape[0]
            threshold = look.min_confidence if min_confidence is None else min_confidence
            for left, top, tile in tiles(pixels, look.tiles_a_side):
                still_awaited()
                faces = self._faces(tile, threshold, mirrored=look.mirrored)
                found.extend(face.moved(dx=left, dy=top, scale_x=scale_x, scale_y=scale_y) for face in faces)
        return suppress(found)

    def _faces(self, tile: RgbImage, min_confidence: float, *, mirrored: bool) -> list[Face]:
        if not mirrored:
            return self._detector.detect([tile], min_confidence=min_confidence)[0]
        [faces] = self._detector.detect([np.ascontiguousarray(tile[:, ::-1])], min_confidence=min_confidence)
        return [mirror(face, width_px=tile.shape[1]) for face in faces]


def tiles(pixels: RgbImage, a_side: int) -> Iterator[tuple[int, int, RgbImage]]:
    """Yields `a_side` x `a_side` overlapping tiles as (left, top, view); together they cover the picture."""
    height, width = pixels.shape[:2]
    for top, bottom in _spans(height, a_side):
        for left, right in _spans(width, a_side):
            yield left, top, pixels[top:bottom, left:right]


def _spans(length: int, count: int) -> list[tuple[int, int]]:
    tile = length / (count - (count - 1) * TILE_OVERLAP)
    starts = [tile * (1 - TILE_OVERLAP) * i for i in range(count)]
    return [(int(start), min(length, int(np.ceil(start + tile)))) for start in starts]


MIRRORED_TYPE = {
    LandmarkType.LEFT_EYE: LandmarkType.RIGHT_EYE,
    LandmarkType.RIGHT_EYE: LandmarkType.LEFT_EYE,
    LandmarkType.MOUTH_LEFT: LandmarkType.MOUTH_RIGHT,
    LandmarkType.MOUTH_RIGHT: LandmarkType.MOUTH_LEFT,
    LandmarkType.LEFT_EAR: LandmarkType.RIGHT_EAR,
    LandmarkType.RIGHT_EAR: LandmarkType.LEFT_EAR,
}


def mirror(face: Face, *, width_px: int) -> Face:
    """The face of a mirrored picture as it stands in the unmirrored one of the same width."""
    moved = face.moved(dx=-width_px, dy=0, scale_x=-1, scale_y=1)
    box = moved.box
    return Face(
        box=type(box)(x_min=box.x_max, y_min=box.y_min, x_max=box.x_min, y_max=box.y_max),
        confidence=face.confidence,
        landmarks={MIRRORED_TYPE.get(kind, kind): Point(p.x, p.y) for kind, p in moved.landmarks.items()},
    )
