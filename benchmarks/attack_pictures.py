"""What an attacker sees of people whose faces were hidden: pictures, their faces, and aligned crops of them."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from services.anonymizer.anonymization import anonymize
from services.anonymizer.redaction import Redaction, cut_outs, hidden_pixels
from services.anonymizer.regions import Region
from services.chassis.pictures.geometry import Point
from services.chassis.pictures.picture import open_picture
from services.chassis.process.processors import available_processors
from services.chassis.process.settings import PictureLimits
from services.detector.alignment import ALIGNED_SIDE_PX, align
from services.detector.detection import DetectionConfig, detect
from services.detector.faces import Face
from services.detector.models import DetectorModels
from services.embedder.engine import Engine

Embeddings = NDArray[np.float32]  # people x pictures x dimension, L2-normalised
Pixels = NDArray[np.float32]  # people x pictures x samples, 0 to 1
Crop = NDArray[np.uint8]  # 112 x 112 x 3

JPEG_QUALITY = 95
THUMBNAIL_PX = 28
WIDE = 3.0
"""How many times as far as the recogniser's own crop the wide one reaches: hair, clothes and background."""

T = TypeVar("T")
R = TypeVar("R")


@dataclass(frozen=True, slots=True, kw_only=True)
class Portrait:
    """A clear picture of a known person, and where its faces are."""

    content: bytes
    faces: list[Face]
    """All that were found; the person's own is the first, the rest are bystanders'."""

    @property
    def face(self) -> Face:
        """The person's own."""
        return self.faces[0]


People = list[list[Portrait]]  # people x pictures, as many of each


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """What the attacker has of each picture; the landmarks of the clear pictures, which aligned it, were given him."""

    close: Embeddings
    """Of the crop that the recogniser was made for."""
    wide: Embeddings
    """Of a crop that reaches further."""
    close_pixels: Pixels
    """A thumbnail of the crop."""
    wide_pixels: Pixels

    def of(self, people: slice) -> Seen:
        """The same of some of the people."""
        return Seen(
            close=self.close[people],
            wide=self.wide[people],
            close_pixels=self.close_pixels[people],
            wide_pixels=self.wide_pixels[people],
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Tools:
    """The models, loaded once."""

    detector: DetectorModels
    embedder: Engine
    limits: PictureLimits


def load_people(folder: Path, tools: Tools, *, most: int | None) -> People:
    """The people of a folder with one folder a person, each with as many pictures as the one with the fewest.

    The person's own face is the one nearest to the middle. Pictures in which none is found are left out, and so are
    people with fewer than two pictures left.
    """
    folders = [sorted(person.iterdir()) for person in sorted(folder.iterdir()) if person.is_dir()][:most]

    def portraits(paths: list[Path]) -> list[Portrait]:
        found = (_portrait(path.read_bytes(), tools) for path in paths)
        return [portrait for portrait in found if portrait]

    people = [person for person in _map(portraits, folders) if len(person) > 1]
    count = min(len(person) for person in people)
    return [person[:count] for person in people]


def enlarged(people: People, *, times: int) -> People:
    """The same pictures with so many times the pixels a side."""
    return [_map(lambda portrait: _enlarged(portrait, times), person) for person in people]


def hidden(people: People, redaction: Redaction, tools: Tools) -> People:
    """The pictures with every face hidden; the faces are still those of the clear ones."""

    def hide(portrait: Portrait) -> Portrait:
        answer = anonymize(portrait.content, _regions(portrait), redaction, limits=tools.limits)
        return Portrait(content=answer.content, faces=portrait.faces)

    flat = iter(_map(hide, (portrait for person in people for portrait in person)))
    return [[next(flat) for _ in person] for person in people]


def see(people: People, tools: Tools) -> Seen:
    """Crops, embeddings and thumbnails of every picture."""

    def crops(portrait: Portrait) -> tuple[Crop, Crop]:
        return _crops(portrait, tools.limits)

    pairs = _map(crops, (portrait for person in people for portrait in person))
    shape = (len(people), len(people[0]), -1)
    close, wide = (np.stack(side) for side in zip(*pairs, strict=True))
    return Seen(
        close=_embed(close, tools.embedder).reshape(shape),
        wide=_embed(wide, tools.embedder).reshape(shape),
        close_pixels=_thumbnails(close).reshape(shape),
        wide_pixels=_thumbnails(wide).reshape(shape),
    )


def found_again(portraits: Sequence[Portrait], tools: Tools) -> int:
    """In how many pictures the detector finds a face over the middle of the hidden one."""

    def found(portrait: Portrait) -> bool:
        middle = portrait.face.box.center
        answer = detect(portrait.content, DetectionConfig(), models=tools.detector, limits=tools.limits)
        boxes = [face.box for face in answer.faces]
        return any(b.x_min <= middle.x < b.x_max and b.y_min <= middle.y < b.y_max for b in boxes)

    return sum(_map(found, portraits))


def psnr_outside_db(
    clear: Sequence[Portrait], treated: Sequence[Portrait], redaction: Redaction, tools: Tools
) -> float:
    """Peak signal-to-noise ratio of all samples that are not hidden, decibels; infinite where none differs."""

    def error(pair: tuple[Portrait, Portrait]) -> tuple[float, int]:
        before, after = (open_picture(side.content, tools.limits).rgb().astype(np.float32) for side in pair)
        height, width = before.shape[:2]
        cutouts = cut_outs(_regions(pair[0]), redaction, width_px=width, height_px=height)
        outside = ~hidden_pixels(cutouts, width_px=width, height_px=height)
        differences = (after - before)[outside]
        return float(np.square(differences).sum()), differences.size

    squares, samples = (sum(side) for side in zip(*_map(error, zip(clear, treated, strict=True)), strict=True))
    return float(10 * np.log10(255**2 * samples / squares)) if squares else float("inf")


def _portrait(content: bytes, tools: Tools) -> Portrait | None:
    answer = detect(content, DetectionConfig(), models=tools.detector, limits=tools.limits)
    middle_x, middle_y = answer.width_px / 2, answer.height_px / 2

    def off_middle(face: Face) -> float:
        return abs(face.box.center.x - middle_x) + abs(face.box.center.y - middle_y)

    faces = sorted(answer.faces, key=off_middle)
    return Portrait(content=content, faces=faces) if faces else None


def _enlarged(portrait: Portrait, times: int) -> Portrait:
    image = Image.open(io.BytesIO(portrait.content))
    file = io.BytesIO()
    image.resize((times * image.width, times * image.height), Image.Resampling.BICUBIC).save(
        file, "JPEG", quality=JPEG_QUALITY
    )
    faces = [face.moved(dx=0, dy=0, scale_x=times, scale_y=times) for face in portrait.faces]
    return Portrait(content=file.getvalue(), faces=faces)


def _regions(portrait: Portrait) -> list[Region]:
    return [Region(box=face.box, landmarks=face.landmarks) for face in portrait.faces]


def _crops(portrait: Portrait, limits: PictureLimits) -> tuple[Crop, Crop]:
    """The recogniser's crop and a wide one, each from a picture small enough that no sample of it is skipped."""
    return _crop(portrait, 1.0, limits), _crop(portrait, WIDE, limits)


def _crop(portrait: Portrait, reach: float, limits: PictureLimits) -> Crop:
    picture = open_picture(portrait.content, limits)
    side_px = max(portrait.face.box.width, portrait.face.box.height)
    shrink = min(1.0, 1.5 * ALIGNED_SIDE_PX / (side_px * reach))
    pixels = picture.rgb(long_side_px=round(picture.long_side_px * shrink))
    scale = pixels.shape[1] / picture.width_px
    face = portrait.face.moved(dx=0, dy=0, scale_x=scale, scale_y=scale)
    middle_x, middle_y = np.mean([(point.x, point.y) for point in face.landmarks.values()], axis=0)
    # Landmarks that lie further apart are laid on the same template: more of the picture enters the crop.
    spread = {
        kind: Point(middle_x + reach * (point.x - middle_x), middle_y + reach * (point.y - middle_y))
        for kind, point in face.landmarks.items()
    }
    aligned = align(pixels, spread)
    assert aligned is not None  # noqa: S101  (RetinaFace answers all five landmarks)
    return aligned.pixels


def _embed(crops: Crop, engine: Engine) -> Embeddings:
    batches = range(0, len(crops), engine.max_batch)
    return np.concatenate([engine.embed(crops[start : start + engine.max_batch]).values for start in batches])


def _thumbnails(crops: Crop) -> Pixels:
    size = (THUMBNAIL_PX, THUMBNAIL_PX)
    small = np.stack([cv2.resize(crop, size, interpolation=cv2.INTER_AREA).ravel() for crop in crops])
    return np.asarray(small / 255, np.float32)


def _map(work: Callable[[T], R], items: Iterable[T]) -> list[R]:
    with ThreadPoolExecutor(available_processors()) as pool:
        return list(pool.map(work, items))
