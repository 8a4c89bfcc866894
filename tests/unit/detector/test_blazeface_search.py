"""Search: tiles cover the picture, what is found in them comes back in the picture's pixels, once."""

from __future__ import annotations

import io
from collections.abc import Sequence
from itertools import pairwise

import numpy as np
import pytest
from PIL import Image

from services.chassis.pictures.geometry import Box, LandmarkType, Point, RgbImage
from services.chassis.pictures.picture import Picture, open_picture
from services.chassis.process.settings import SharedSettings
from services.detector.blazeface_search import TILE_OVERLAP, BlazeFaceSearch, mirror, tiles
from services.detector.faces import Face
from services.detector.nms import suppress
from services.detector.search import Recall


def _face(x: float, y: float, side: float, confidence: float = 0.9) -> Face:
    return Face(
        box=Box(x_min=x, y_min=y, x_max=x + side, y_max=y + side),
        confidence=confidence,
        landmarks={LandmarkType.LEFT_EYE: Point(x + side / 4, y + side / 3)},
    )


class RedSquareDetector:
    """Finds the bounding box of pure red: a real detector of a made-up kind of face."""

    name = "red-square"
    model_id = "red-square@000000000000"

    def detect(self, pictures: Sequence[RgbImage], *, min_confidence: float) -> list[list[Face]]:
        return [self._one(picture, min_confidence) for picture in pictures]

    def _one(self, picture: RgbImage, min_confidence: float) -> list[Face]:
        rows, columns = np.nonzero((picture[..., 0] > 128) & (picture[..., 1] < 100))
        if rows.size < 4 or min_confidence > 0.9:
            return []
        left, top, right, bottom = columns.min(), rows.min(), columns.max() + 1, rows.max() + 1
        box = Box(x_min=float(left), y_min=float(top), x_max=float(right), y_max=float(bottom))
        return [Face(box=box, confidence=0.9, landmarks={LandmarkType.LEFT_EYE: Point(float(left), float(top))})]

    def close(self) -> None:
        pass


def _picture(width: int, height: int, red: tuple[int, int, int, int]) -> Picture:
    pixels = np.full((height, width, 3), 200, np.uint8)
    pixels[red[1] : red[3], red[0] : red[2]] = (255, 0, 0)
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "PNG")
    return open_picture(file.getvalue(), SharedSettings().picture_limits)


@pytest.mark.parametrize("a_side", [1, 2, 3, 5])
@pytest.mark.parametrize("size", [(640, 480), (1, 1), (7, 900), (333, 2)])
def test_tiles_cover_every_pixel(a_side: int, size: tuple[int, int]) -> None:
    width, height = size
    covered = np.zeros((height, width, 3), np.uint8)
    for left, top, tile in tiles(np.zeros((height, width, 3), np.uint8), a_side):
        assert tile.size > 0
        covered[top : top + tile.shape[0], left : left + tile.shape[1]] = 1
    assert covered.all()


def test_neighbouring_tiles_share_a_quarter() -> None:
    starts = sorted({left for left, _, _ in tiles(np.zeros((100, 1000, 3), np.uint8), 3)})
    width = next(tile.shape[1] for _, _, tile in tiles(np.zeros((100, 1000, 3), np.uint8), 3))
    for first, second in pairwise(starts):
        assert (first + width - second) / width == pytest.approx(TILE_OVERLAP, abs=0.01)


@pytest.mark.parametrize("recall", list(Recall))
def test_a_face_is_found_once_and_in_the_pictures_pixels(recall: Recall) -> None:
    picture = _picture(3000, 1500, (1400, 700, 1700, 1000))  # in the middle, where all tiles overlap
    [face] = BlazeFaceSearch(RedSquareDetector()).search(picture, recall=recall, min_confidence=None)
    box = face.box
    assert (box.x_min, box.y_min, box.x_max, box.y_max) == pytest.approx((1400, 700, 1700, 1000), abs=6)
    eye = face.landmarks.get(LandmarkType.LEFT_EYE, face.landmarks.get(LandmarkType.RIGHT_EYE))
    assert eye is not None


def test_the_callers_threshold_overrides_every_pass() -> None:
    picture = _picture(800, 600, (100, 100, 300, 300))
    assert BlazeFaceSearch(RedSquareDetector()).search(picture, recall=Recall.MAX, min_confidence=0.95) == []


def test_mirroring_twice_is_the_same_face() -> None:
    face = _face(10, 20, 30)
    again = mirror(mirror(face, width_px=200), width_px=200)
    assert again == face


def test_mirroring_swaps_the_sides() -> None:
    mirrored = mirror(_face(10, 20, 40), width_px=200)
    assert (mirrored.box.x_min, mirrored.box.x_max) == (150, 190)
    assert mirrored.landmarks == {LandmarkType.RIGHT_EYE: Point(180, 20 + 40 / 3)}


def test_the_surer_of_two_findings_is_kept() -> None:
    assert suppress([_face(0, 0, 100, 0.6), _face(5, 5, 100, 0.8)]) == [_face(5, 5, 100, 0.8)]


def test_a_face_cut_off_by_a_tile_is_no_second_face() -> None:
    whole, cut = _face(0, 0, 100, 0.9), _face(60, 60, 30, 0.7)
    assert suppress([cut, whole]) == [whole]


def test_neighbouring_faces_stay_two() -> None:
    assert len(suppress([_face(0, 0, 100), _face(80, 0, 100)])) == 2
