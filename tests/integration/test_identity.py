"""Who is who, through REST with the published light weights: one threshold tells all people apart."""

from __future__ import annotations

import json
from collections.abc import Iterator
from itertools import combinations
from pathlib import Path

import httpx
import numpy as np
import pytest
from numpy.typing import NDArray

THRESHOLD = 0.29
"""mobilefacenet's, in the manifest."""


@pytest.fixture(scope="module")
def client(compare_gateway_url: str) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=compare_gateway_url, timeout=60, trust_env=False) as opened:
        yield opened


def _faces(client: httpx.Client, picture: Path) -> list[dict[str, object]]:
    answer = client.post("/v1/embed", content=picture.read_bytes(), headers={"Content-Type": "image/jpeg"})
    assert answer.status_code == 200, answer.text
    assert answer.json()["embedding_model"] == "mobilefacenet@90a00ba1d8b0"
    faces: list[dict[str, object]] = answer.json()["faces"]
    return faces


def _embedding(face: dict[str, object]) -> NDArray[np.float64]:
    assert face["alignment"] == "five_point"
    return np.array(face["embedding"], np.float64)


def _largest(faces: list[dict[str, object]]) -> dict[str, object]:
    def area(face: dict[str, object]) -> float:
        box: dict[str, float] = face["box"]  # type: ignore[assignment]
        return (box["x_max"] - box["x_min"]) * (box["y_max"] - box["y_min"])

    return max(faces, key=area)


def test_all_pairs_of_five_people_are_on_the_right_side_of_one_threshold(
    client: httpx.Client, shared_dir: Path
) -> None:
    known = [(p.parent.name, p) for p in sorted((shared_dir / "images/people").glob("*/*.jpg"))]
    embedded = [(person, _embedding(_largest(_faces(client, picture)))) for person, picture in known]
    genuine = [float(a @ b) for (p, a), (q, b) in combinations(embedded, 2) if p == q]
    impostor = [float(a @ b) for (p, a), (q, b) in combinations(embedded, 2) if p != q]
    assert (len(genuine), len(impostor)) == (275, 1210)
    assert max(impostor) < min(genuine)


def test_one_woman_is_found_in_six_group_pictures_and_nobody_else_is_taken_for_her(
    client: httpx.Client, shared_dir: Path
) -> None:
    folder = shared_dir / "images/group"
    hers = json.loads((folder / "labels.json").read_text())["same_person"][0]
    her_embeddings = [_embedding(_largest(_faces(client, folder / name))) for name in hers]
    assert len(her_embeddings) == 6
    assert min(float(a @ b) for a, b in combinations(her_embeddings, 2)) >= THRESHOLD
    others = [
        _embedding(face)
        for picture in sorted(folder.glob("*.jpg"))
        if picture.name not in hers
        for face in _faces(client, picture)
    ]
    assert len(others) >= 40
    assert max(float(a @ b) for a in her_embeddings for b in others) < THRESHOLD


def test_comparing_says_same_or_different_with_the_threshold_and_where_it_comes_from(
    client: httpx.Client, shared_dir: Path
) -> None:
    salley, simm = (
        sorted((shared_dir / "images/people" / name).glob("*.jpg")) for name in ("John_Salley", "John_Simm")
    )
    for a, b, same in ((salley[0], salley[1], True), (salley[0], simm[0], False)):
        answer = client.post("/v1/compare", files={"image_a": a.read_bytes(), "image_b": b.read_bytes()}).json()
        assert answer["same_person"] is same
        assert (answer["similarity"] >= answer["threshold"]) is same
        assert answer["threshold"] == pytest.approx(THRESHOLD)
        assert "LFW" in answer["threshold_calibration"]
        assert len(answer["faces"]) == 2


def test_a_picture_without_a_face_is_told_apart_from_one_that_is_damaged(
    client: httpx.Client, shared_dir: Path, astronaut_jpeg: bytes
) -> None:
    landscape = (shared_dir / "images/group/017_0.jpg").read_bytes()
    faceless = client.post("/v1/compare", files={"image_a": astronaut_jpeg, "image_b": landscape})
    assert (faceless.status_code, faceless.json()["detail"][:26]) == (400, "image_b: no face was found")
    damaged = client.post("/v1/compare", files={"image_a": b"nothing", "image_b": astronaut_jpeg})
    assert damaged.status_code == 415
    assert damaged.json()["detail"].startswith("image_a: ")
    assert client.post("/v1/embed", content=landscape).json()["faces"] == []
