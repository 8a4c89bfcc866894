"""Labelled pictures of people for `benchmarks.keep`, each searched and embedded by real tiers, once."""

from __future__ import annotations

import io
import json
import math
from collections.abc import Iterator, Sequence
from dataclasses import astuple, dataclass, field
from pathlib import Path

import numpy as np
from PIL import Image

from facet.v1 import detector_pb2, geometry_pb2
from gateway.anonymize.clarity import side_px
from gateway.anonymize.overlaps import box_of, holds
from gateway.tiers.deadline import Deadline
from gateway.tiers.pipeline import EmbeddedFaces, Pipeline
from services.chassis.pictures.geometry import Point

CELL_PX = 250
ROWS = 3
DEADLINE_S = 120.0


@dataclass(frozen=True, kw_only=True)
class Shot:
    """A picture, its faces, and whose some of them are."""

    name: str
    content: bytes = field(repr=False)
    embedded: EmbeddedFaces = field(repr=False)
    whose: dict[str, int]
    """By the name of a person, the index of their face."""

    @property
    def faces(self) -> Sequence[geometry_pb2.Face]:
        """In the detector's order."""
        return self.embedded.detection.faces

    def side_px(self, face: int) -> float:
        """The longer side of a face."""
        return side_px(self.faces[face])


async def shot(pipeline: Pipeline, name: str, content: bytes, *, people: dict[str, Point] | None = None) -> Shot:
    """A picture through the tiers; `people` are points within the faces of people who are known."""
    embedded = await pipeline.embed(content, detector_pb2.DetectionConfig(), Deadline(DEADLINE_S))
    whose = {}
    for person, point in (people or {}).items():
        boxes = {i: box_of(face) for i, face in enumerate(embedded.detection.faces)}
        theirs = {i: math.dist(astuple(box.center), astuple(point)) for i, box in boxes.items() if holds(box, point)}
        if theirs:
            whose[person] = min(theirs, key=lambda i: theirs[i])
    return Shot(name=name, content=content, embedded=embedded, whose=whose)


async def one_person(pipeline: Pipeline, person: str, name: str, content: bytes) -> Shot:
    """A picture whose face in the middle, or else the largest, is the person's."""
    with Image.open(io.BytesIO(content)) as image:
        middle = Point(image.width / 2, image.height / 2)
    found = await shot(pipeline, name, content, people={person: middle})
    if not found.whose and found.faces:
        found.whose[person] = max(range(len(found.faces)), key=found.side_px)
    return found


async def people_in(pipeline: Pipeline, folder: Path) -> dict[str, list[Shot]]:
    """A folder a person, by the folder's name; nothing where it is absent."""
    people: dict[str, list[Shot]] = {}
    for person, name, content in _files(folder, "*/*"):
        people.setdefault(person, []).append(await one_person(pipeline, person, name, content))
    return people


async def group_in(pipeline: Pipeline, folder: Path) -> tuple[dict[str, list[Shot]], list[Shot]]:
    """Pictures of one person each by the person, and all others; by `labels.json`."""
    files = {name: content for _, name, content in _files(folder, "*")}
    if "labels.json" not in files:
        return {}, []
    labels = json.loads(files.pop("labels.json"))
    people: dict[str, list[Shot]] = {}
    for index, names in enumerate(labels["same_person"]):
        person = f"person {index}"
        for name in names:
            nose = Point(*labels["nose_points_px"][name][0])
            people.setdefault(person, []).append(await shot(pipeline, name, files.pop(name), people={person: nose}))
    return people, [await shot(pipeline, name, content) for name, content in files.items()]


async def crowds_in(pipeline: Pipeline, folder: Path) -> list[Shot]:
    """Pictures of strangers."""
    return [await shot(pipeline, name, content) for _, name, content in _files(folder, "*.jpg")]


def _files(folder: Path, pattern: str) -> list[tuple[str, str, bytes]]:
    """The name of each file's folder, its own, and its content; nothing where the folder is absent."""
    return [(path.parent.name, path.name, path.read_bytes()) for path in sorted(folder.glob(pattern)) if path.is_file()]


async def montages(pipeline: Pipeline, people: dict[str, list[Shot]], count: int) -> list[tuple[Shot, list[str]]]:
    """Group photographs made of one picture each of nine people, and who has none in them; drawn by chance, seeded."""
    dice = np.random.default_rng(0)
    names = np.array(list(people))
    made = []
    for index in range(count if len(names) > ROWS**2 else 0):
        drawn = [str(name) for name in dice.choice(names, ROWS**2, replace=False)]
        sheet = Image.new("RGB", (ROWS * CELL_PX, ROWS * CELL_PX))
        middles = {}
        for cell, name in enumerate(drawn):
            x, y = cell % ROWS * CELL_PX, cell // ROWS * CELL_PX
            with Image.open(io.BytesIO(people[name][-1].content)) as image:
                sheet.paste(image.convert("RGB").resize((CELL_PX, CELL_PX)), (x, y))
            middles[name] = Point(x + CELL_PX / 2, y + CELL_PX / 2)
        file = io.BytesIO()
        sheet.save(file, "JPEG", quality=95)
        found = await shot(pipeline, f"montage {index}", file.getvalue(), people=middles)
        made.append((found, sorted(set(people) - set(drawn))))
    return made


def crops(picture: Shot, least_px: float) -> Iterator[tuple[int, bytes]]:
    """Faces of at least so many pixels with a third around them, enlarged twice, as one would cut a reference out."""
    with Image.open(io.BytesIO(picture.content)) as opened:
        image = opened.convert("RGB")
    for index in range(len(picture.faces)):
        box, around = box_of(picture.faces[index]), picture.side_px(index) * 0.35
        if picture.side_px(index) < least_px:
            continue
        left, top = int(box.x_min - around), int(box.y_min - around)
        cut = image.crop((left, top, int(box.x_max + around), int(box.y_max + around)))
        file = io.BytesIO()
        cut.resize((2 * cut.width, 2 * cut.height), Image.Resampling.BICUBIC).save(file, "JPEG", quality=92)
        yield index, file.getvalue()
