"""The faces of a picture however viewers show it: each way is searched, and what is seen in any of them counts."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from services.chassis.pictures.geometry import Box, Point
from services.chassis.pictures.looks import Look, PixelsLook, TurnedLook
from services.detector.alignment import AlignedFace
from services.detector.blazeface_search import MIRRORED_TYPE
from services.detector.faces import Face
from services.detector.neighbours import Areas, alike_pairs
from services.detector.search import FaceSearch, Recall

SAME_FACE_IOU = 0.5
"""Only what lies all but in the same place is one face: a box too many hides what nobody sees, one too few shows it."""
SURE = 0.6
"""From this confidence on a face is no false alarm but in one of very many pictures."""
LYING_DOWN_PX = 1280
_CLEARLY_MORE_CONTRAST = 2.0
_QUARTER_TURNS = (3, 6, 8)


def seen_faces(
    search: FaceSearch, looks: Sequence[Look], *, recall: Recall, min_confidence: float | None
) -> list[Face]:
    """The faces seen in any of the looks, in pixels of the first, in descending confidence.

    Of a face that is seen in several, the surest finding stays.
    """
    found = [search.search(look, recall=recall, min_confidence=min_confidence) for look in looks]
    found = [
        [_turned_back(face, look) for face in faces] if isinstance(look, TurnedLook) else faces
        for faces, look in zip(found, looks, strict=True)
    ]
    seen = found[0]
    for faces in found[1:]:
        seen = both(seen, faces)
    return sorted(seen, key=lambda face: -face.confidence) if len(found) > 1 else seen


def faces_lying_down(search: FaceSearch, look: Look, *, min_confidence: float | None) -> list[Face]:
    """The surest faces of a picture that nobody turned upright, from one coarse pass for each way to lie."""
    small = PixelsLook(pixels=look.rgb(long_side_px=LYING_DOWN_PX))
    sure = max(SURE, min_confidence or 0)
    seen: list[Face] = []
    for orientation in _QUARTER_TURNS:
        turned = TurnedLook(shown=small, orientation=orientation)
        found = search.search(turned, recall=Recall.FAST, min_confidence=sure)
        seen = both(seen, [_turned_back(face, turned) for face in found])
    scale_x, scale_y = look.width_px / small.width_px, look.height_px / small.height_px
    return [face.moved(dx=0, dy=0, scale_x=scale_x, scale_y=scale_y) for face in seen]


def clearest(crops: Sequence[AlignedFace | None]) -> AlignedFace | None:
    """Of one face's crops from all looks the first, unless it has far less contrast than another."""
    best = crops[0]
    for crop in crops[1:]:
        if best is None or (crop and np.std(crop.pixels) > _CLEARLY_MORE_CONTRAST * np.std(best.pixels)):
            best = crop
    return best


def both(seen: Sequence[Face], others: Sequence[Face]) -> list[Face]:
    """All faces of the two, those that are the same once, in no order."""
    faces = list(seen)
    corners = [(face.box.x_min, face.box.y_min, face.box.x_max, face.box.y_max) for face in (*seen, *others)]
    pairs = alike_pairs(np.array(corners, np.float32).reshape(-1, 4), _same, least_iou=SAME_FACE_IOU)
    known = {
        second - len(seen): first
        for first, second in zip(*(indices.tolist() for indices in pairs), strict=True)
        if first < len(seen) <= second
    }
    for index, other in enumerate(others):
        same = known.get(index)
        if same is None:
            faces.append(other)
        elif other.confidence > faces[same].confidence:
            faces[same] = other
    return faces


def _same(shared: Areas, first: Areas, second: Areas) -> NDArray[np.bool_]:
    return np.asarray(shared / (first + second - shared) >= SAME_FACE_IOU)


def _turned_back(face: Face, look: TurnedLook) -> Face:
    box = face.box
    corners = [look.back(Point(box.x_min, box.y_min)), look.back(Point(box.x_max, box.y_max))]
    across, down = [corner.x for corner in corners], [corner.y for corner in corners]
    return Face(
        box=Box(x_min=min(across), y_min=min(down), x_max=max(across), y_max=max(down)),
        confidence=face.confidence,
        landmarks={
            MIRRORED_TYPE.get(kind, kind) if look.mirrored else kind: look.back(point)
            for kind, point in face.landmarks.items()
        },
    )
