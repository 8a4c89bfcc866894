"""The main job on real photographs, through REST as a user would: every face hidden, nothing else changed."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from services.anonymizer.regions import Region, Shape, cut_out
from services.chassis.pictures.geometry import Box, LandmarkType, Point
from tests.support.jpegs import coefficients, touched_blocks

MARGIN = 0.3
PSNR_FLOOR_DB = 40


@pytest.fixture(scope="module")
def photographs(shared_dir: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted((shared_dir / "images/group").glob("*.jpg"))}


@pytest.fixture(scope="module")
def noses(shared_dir: Path) -> dict[str, list[tuple[int, int]]]:
    labels = json.loads((shared_dir / "images/group/labels.json").read_text())["nose_points_px"]
    assert sum(map(len, labels.values())) == 46
    return dict(labels)


def _hidden(detection: dict[str, Any]) -> NDArray[np.bool_]:
    width, height = detection["width"], detection["height"]
    hidden = np.zeros((height, width), np.bool_)
    for face in detection["faces"]:
        landmarks = {LandmarkType(name): Point(*xy) for name, xy in face["landmarks"].items()}
        region = Region(box=Box(**face["box"]), landmarks=landmarks)
        cutout = cut_out(region, shape=Shape.ELLIPSE, margin=MARGIN, width_px=width, height_px=height)
        if cutout is not None:
            hidden[cutout.top : cutout.bottom, cutout.left : cutout.right] |= cutout.mask
    return hidden


def _blocks(
    before: bytes, after: bytes, hidden: NDArray[np.bool_], folder: Path
) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Of all blocks of all components: which have changed a DCT coefficient, and which cover a hidden pixel."""
    changed, touched = [], []
    for new, old in zip(coefficients(after, folder), coefficients(before, folder), strict=True):
        changed.append((new != old).any(axis=(2, 3)).ravel())
        touched.append(touched_blocks(hidden, old.shape[:2]).ravel())
    return np.concatenate(changed), np.concatenate(touched)


def _post(url: str, content: bytes, **parameters: str) -> httpx.Response:
    answer = httpx.post(url, content=content, params=parameters, headers={"Content-Type": "image/jpeg"}, timeout=60)
    assert answer.status_code == 200, answer.text
    return answer


@pytest.mark.timeout(300)
def test_all_photographs_come_back_with_every_face_hidden_and_nothing_else_changed(
    gateway_url: str, photographs: dict[str, bytes], noses: dict[str, list[tuple[int, int]]], tmp_path: Path
) -> None:
    assert len(photographs) == 18
    for name, content in photographs.items():
        detection = _post(f"{gateway_url}/v1/detect", content).json()
        hidden = _hidden(detection)
        uncovered = [(x, y) for x, y in noses.get(name, []) if not hidden[y, x]]
        assert uncovered == [], f"{name}: a nose is not hidden"

        answer = _post(f"{gateway_url}/v1/anonymize", content)
        assert answer.headers["X-Facet-Faces"] == str(len(detection["faces"]))
        assert answer.headers["X-Facet-Model"] == detection["model"]
        before, after = (np.asarray(Image.open(io.BytesIO(c)), np.int16) for c in (content, answer.content))
        assert before.shape == after.shape
        mean_square_error = np.square((before - after)[~hidden], dtype=np.float32).mean()
        assert mean_square_error < 255**2 / 10 ** (PSNR_FLOOR_DB / 10), name
        changed, touched = _blocks(content, answer.content, hidden, tmp_path)
        assert not (changed & ~touched).any(), f"{name}: a block beside the faces has changed"
        assert not touched.any() or changed[touched].mean() > 0.9, name
        for face in detection["faces"]:
            box = Box(**face["box"])
            if box.width >= 40:
                middle = np.s_[int(box.center.y) - 8 : int(box.center.y) + 8, int(box.x_min) : int(box.x_max)]
                assert np.abs(before[middle] - after[middle]).mean() > 2, f"{name}: a face looks untouched"


def test_no_face_is_invented_in_a_picture_without_one(gateway_url: str, photographs: dict[str, bytes]) -> None:
    assert _post(f"{gateway_url}/v1/detect", photographs["017_0.jpg"]).json()["faces"] == []


@pytest.mark.parametrize(("recall", "least"), [("fast", 45), ("balanced", 46)])
def test_blazeface_alone_hides_the_labelled_noses(
    gateway_url: str,
    photographs: dict[str, bytes],
    noses: dict[str, list[tuple[int, int]]],
    recall: str,
    least: int,
) -> None:
    covered = 0
    for name, points in noses.items():
        answer = _post(f"{gateway_url}/v1/detect", photographs[name], recall=recall, model="blazeface-full")
        hidden = _hidden(answer.json())
        covered += sum(bool(hidden[y, x]) for x, y in points)
    assert covered >= least
