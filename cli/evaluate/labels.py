"""Labelled pictures: COCO's JSON or WIDER FACE's text, read into one form."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, Field, ValidationError

from services.chassis.errors import InvalidRequest

Boxes = NDArray[np.float64]  # N x 4: x_min, y_min, x_max, y_max, pixels


@dataclass(frozen=True, slots=True, kw_only=True)
class LabelledPicture:
    """A picture and the faces that a person marked in it."""

    path: Path
    boxes: Boxes
    counted: NDArray[np.bool_]
    """False for a face that need not be found: finding it is neither a hit nor a false alarm."""


class _CocoImage(BaseModel):
    id: int
    file_name: str


class _CocoAnnotation(BaseModel):
    image_id: int
    bbox: Annotated[list[float], Field(min_length=4, max_length=4)]  # x, y, width, height
    iscrowd: int = 0
    ignore: int = 0


class _Coco(BaseModel):
    images: list[_CocoImage]
    annotations: list[_CocoAnnotation]


def read_labels(labels: Path, pictures: Path) -> list[LabelledPicture]:
    """Reads the labels of the pictures in a folder.

    Args:
        labels: COCO's JSON (`iscrowd` or `ignore` = not counted), or WIDER FACE's `…_bbx_gt.txt` (invalid = not
            counted). WIDER's boxes of no size are left out.
        pictures: The folder that file names are relative to.

    Raises:
        InvalidRequest: The labels cannot be read, or a picture is missing.
    """
    try:
        text = labels.read_text()
    except (OSError, UnicodeDecodeError) as error:
        raise InvalidRequest(f"{labels} cannot be read: {error}") from error
    found = _coco(labels, text) if text.lstrip()[:1] == "{" else _wider(labels, text)
    labelled = [_picture(pictures / name, faces) for name, faces in found.items()]
    if not labelled:
        raise InvalidRequest(f"{labels} labels no picture")
    for picture in labelled:
        if not picture.path.is_file():
            raise InvalidRequest(f"{labels} labels {picture.path}, which is not there")
    return labelled


_Face = tuple[float, float, float, float, bool]  # x, y, width, height, counted


def _coco(labels: Path, text: str) -> dict[str, list[_Face]]:
    try:
        coco = _Coco.model_validate_json(text)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"]))
        raise InvalidRequest(f"{labels} is not COCO's JSON: {where}: {first['msg']}") from error
    names = {image.id: image.file_name for image in coco.images}
    faces: dict[str, list[_Face]] = {name: [] for name in names.values()}
    for annotation in coco.annotations:
        if annotation.image_id not in names:
            raise InvalidRequest(f"{labels}: an annotation names image {annotation.image_id}, which is not listed")
        x, y, width, height = annotation.bbox
        faces[names[annotation.image_id]].append((x, y, width, height, not (annotation.iscrowd or annotation.ignore)))
    return faces


def _wider(labels: Path, text: str) -> dict[str, list[_Face]]:
    lines = iter(text.splitlines())
    faces: dict[str, list[_Face]] = {}
    invalid_column = 7
    try:
        for name in lines:
            if name.strip():
                count = int(next(lines))
                rows = [next(lines).split() for _ in range(max(1, count))]  # a picture without faces has a row of zeros
                faces[name.strip()] = [
                    (
                        float(r[0]),
                        float(r[1]),
                        float(r[2]),
                        float(r[3]),
                        r[invalid_column : invalid_column + 1] != ["1"],
                    )
                    for r in rows
                ]
    except (ValueError, IndexError, StopIteration) as error:
        raise InvalidRequest(f"{labels} is neither COCO's JSON nor WIDER FACE's text") from error
    return faces


def _picture(path: Path, faces: list[_Face]) -> LabelledPicture:
    real = list(_with_size(faces))
    return LabelledPicture(
        path=path,
        boxes=np.array([(x, y, x + w, y + h) for x, y, w, h, _ in real], np.float64).reshape(-1, 4),
        counted=np.array([counted for *_, counted in real], np.bool_),
    )


def _with_size(faces: list[_Face]) -> Iterator[_Face]:
    return (face for face in faces if face[2] > 0 and face[3] > 0)
