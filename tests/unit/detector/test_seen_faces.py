"""A face is found if any viewer shows it: in alpha, under it, and turned, with the real BlazeFace weights."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from services.anonymizer.anonymization import anonymize
from services.anonymizer.encoding import Output
from services.anonymizer.redaction import Redaction
from services.anonymizer.regions import Region
from services.anonymizer.styles import Blur, Mosaic, Solid, Style
from services.chassis.models.store import ModelStore
from services.chassis.pictures.geometry import Box
from services.chassis.pictures.looks import Look
from services.chassis.pictures.picture_format import PictureFormat
from services.chassis.process.settings import ModelSettings, SharedSettings
from services.detector.detection import Detection, DetectionConfig, align_faces, detect
from services.detector.faces import Face
from services.detector.models import DetectorModels, DetectorOptions
from services.detector.search import Recall
from services.detector.seen_faces import SURE, seen_faces
from tests.support.pictures import LOSSLESS, encode

LIMITS = SharedSettings().picture_limits
Grey = NDArray[np.uint8]


@pytest.fixture(scope="module")
def models() -> Iterator[DetectorModels]:
    loaded = DetectorModels(ModelStore(ModelSettings()), DetectorOptions(default="blazeface-full"))
    yield loaded
    loaded.close()


@pytest.fixture(scope="module")
def grey(astronaut: Image.Image) -> Grey:
    return np.asarray(astronaut.convert("L"))


def found(content: bytes, models: DetectorModels, *, aligned: bool = False) -> Detection:
    return detect(content, DetectionConfig(include_aligned=aligned), models=models, limits=LIMITS)


def in_alpha(alpha: Grey, shade: int) -> Image.Image:
    samples = np.full((*alpha.shape, 4), shade, np.uint8)
    samples[..., 3] = alpha
    return Image.fromarray(samples)


# Black whose alpha is the photograph's brightness is seen as a negative and in no other way, which no model finds.
@pytest.mark.parametrize(
    ("shade", "inverted"),
    [(0, True), *((shade, turn) for shade in (64, 128, 192) for turn in (False, True)), (255, False)],
)
def test_face_in_alpha_is_found_whatever_its_colour(
    grey: Grey, models: DetectorModels, shade: int, *, inverted: bool
) -> None:
    content = encode(in_alpha(255 - grey if inverted else grey, shade), "PNG")
    assert any(face.confidence > 0.7 for face in found(content, models).faces)


@pytest.mark.parametrize("file_format", ["PNG", "WEBP", "TIFF"])
def test_face_under_alpha_is_found_in_every_format(
    astronaut: Image.Image, models: DetectorModels, file_format: str
) -> None:
    image = astronaut.copy()
    image.putalpha(0)
    content = encode(image, file_format, **LOSSLESS.get(file_format, {}))
    assert [face.confidence > 0.7 for face in found(content, models).faces].count(True) == 1


@pytest.mark.parametrize("style", [Mosaic(strength=0.5), Blur(strength=0.5), Solid()])
@pytest.mark.parametrize("target", [None, PictureFormat.JPEG, PictureFormat.WEBP])
def test_nothing_of_a_face_in_alpha_is_left_when_it_is_hidden(
    grey: Grey, models: DetectorModels, style: Style, target: PictureFormat | None
) -> None:
    content = encode(in_alpha(255 - grey, 0), "PNG")
    regions = [Region(box=face.box, landmarks=face.landmarks) for face in found(content, models).faces]
    answer = anonymize(content, regions, Redaction(style=style), limits=LIMITS, output=Output(format=target))
    assert not [face for face in found(answer.content, models).faces if face.confidence > 0.6]


def test_face_that_is_seen_in_several_looks_is_one(astronaut: Image.Image, models: DetectorModels) -> None:
    image = astronaut.copy()
    image.putalpha(Image.new("L", image.size, 200))
    plain = found(encode(astronaut, "PNG"), models).faces
    assert len(found(encode(image, "PNG"), models).faces) == len(plain)


def test_crop_of_a_face_in_alpha_shows_it(grey: Grey, models: DetectorModels) -> None:
    content = encode(in_alpha(grey, 255), "PNG")
    detection = found(content, models, aligned=True)
    again = align_faces(content, detection.faces, limits=LIMITS)
    for crop, other in zip(detection.aligned, again, strict=True):
        assert crop is not None
        assert other is not None
        assert np.std(crop.pixels) > 30
        assert np.array_equal(crop.pixels, other.pixels)


@pytest.mark.parametrize("orientation", [3, 6, 8, 2, 5])
def test_face_of_a_picture_that_another_viewer_turns_is_found(
    astronaut: Image.Image, models: DetectorModels, orientation: int
) -> None:
    ways = {2: 0, 3: 3, 5: 5, 6: 2, 8: 4}  # Pillow's transpositions that undo these
    stored = astronaut.transpose(Image.Transpose(ways[orientation]))
    xmp = f'<x:xmpmeta tiff:Orientation="{orientation}"/>'.encode()
    [face, *_] = found(encode(stored, "JPEG", xmp=xmp, quality=95), models).faces
    [upright, *_] = found(encode(astronaut, "JPEG", quality=95), models).faces
    assert face.confidence > 0.7
    middle, side = upright.box.center, astronaut.width
    places = {
        2: (side - middle.x, middle.y),
        3: (side - middle.x, side - middle.y),
        5: (middle.y, middle.x),
        6: (middle.y, side - middle.x),
        8: (side - middle.y, middle.x),
    }
    assert (face.box.center.x, face.box.center.y) == pytest.approx(places[orientation], abs=10)


@pytest.mark.parametrize("turn", [Image.Transpose.ROTATE_90, Image.Transpose.ROTATE_180, Image.Transpose.ROTATE_270])
def test_face_that_lies_down_is_found_where_no_other_is(
    astronaut: Image.Image, models: DetectorModels, turn: Image.Transpose
) -> None:
    small = Image.new("RGB", (1800, 1400), "gray")
    small.paste(astronaut.resize((900, 900)), (600, 300))
    content = encode(small.transpose(turn), "JPEG", quality=95)
    sure = [face for face in found(content, models).faces if face.confidence >= SURE]
    assert len(sure) == 1
    middle = sure[0].box.center
    place = {
        Image.Transpose.ROTATE_90: (505, 1800 - 997),
        Image.Transpose.ROTATE_180: (1800 - 997, 1400 - 505),
        Image.Transpose.ROTATE_270: (1400 - 505, 997),
    }[turn]
    assert (middle.x, middle.y) == pytest.approx(place, abs=40)


class _Scripted:
    """A search that answers what it was told, look by look."""

    notice = ""

    def __init__(self, *answers: list[Face]) -> None:
        self._answers = iter(answers)

    def model_id(self, recall: Recall) -> str:  # noqa: ARG002
        return "scripted"

    def own_confidence(self, recall: Recall) -> float:  # noqa: ARG002
        return 0.5

    def search(self, picture: Look, *, recall: Recall, min_confidence: float | None) -> list[Face]:  # noqa: ARG002
        return next(self._answers)


class _Blank:
    width_px = height_px = long_side_px = 100

    def rgb(self, *, long_side_px: int | None = None) -> NDArray[np.uint8]:  # noqa: ARG002
        return np.zeros((100, 100, 3), np.uint8)


def _face(left: float, confidence: float, side: float = 20) -> Face:
    return Face(box=Box(x_min=left, y_min=0, x_max=left + side, y_max=side), confidence=confidence, landmarks={})


def test_surest_finding_of_each_face_stays_and_no_face_is_lost() -> None:
    search = _Scripted([_face(0, 0.5), _face(50, 0.9)], [_face(1, 0.8), _face(50, 0.6), _face(52, 0.7, side=6)])
    seen = seen_faces(search, [_Blank(), _Blank()], recall=Recall.FAST, min_confidence=None)
    assert [(face.box.x_min, face.confidence) for face in seen] == [(50, 0.9), (1, 0.8), (52, 0.7)]
