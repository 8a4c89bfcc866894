"""Hiding by whom a face shows: one reference picture suffices, and who is in doubt is hidden."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest

from services.chassis.pictures.geometry import Box
from tests.support.pictures import decode
from tests.support.processes import Stack
from tests.support.ways import refusal_of_response

OTHERS = ("002_A.jpg", "003_A.jpg", "004_A.jpg", "005_A.jpg", "006_A.jpg")


@pytest.fixture(scope="module")
def client(compare_gateway_url: str) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=compare_gateway_url, timeout=100, trust_env=False) as opened:
        yield opened


@pytest.fixture(scope="module")
def group(shared_dir: Path) -> Path:
    return shared_dir / "images/group"


@pytest.fixture(scope="module")
def labels(group: Path) -> dict[str, Any]:
    read: dict[str, Any] = json.loads((group / "labels.json").read_text())
    assert read["same_person"][0] == ["001_A.jpg", *OTHERS]
    return read


@pytest.fixture(scope="module")
def her_embedding(client: httpx.Client, group: Path) -> str:
    """What `/v1/embed` answers for a picture of her alone."""
    answer = client.post("/v1/embed", content=(group / "005_A.jpg").read_bytes())
    assert len(answer.json()["faces"]) == 1
    return answer.text


def detect(client: httpx.Client, picture: bytes, **query: str) -> list[Box]:
    answer = client.post("/v1/detect", params=query, content=picture).json()
    return [Box(**face["box"]) for face in answer["faces"]]


def anonymize(
    client: httpx.Client, picture: bytes, field: str, *references: bytes | str, **query: str
) -> httpx.Response:
    files = [("image", ("a", picture)), *((field, ("b", reference)) for reference in references)]
    return client.post("/v1/anonymize", params=query, files=files)


def was_hidden(before: bytes, after: bytes, face: Box) -> bool:
    """Whether the middle of a face is another."""
    half = max(2, int(min(face.width, face.height) / 6))
    x, y = int(face.center.x), int(face.center.y)
    place = (x - half, y - half, x + half, y + half)
    a, b = (np.asarray(decode(content).crop(place).convert("RGB"), np.int16) for content in (before, after))
    return bool(np.abs(a - b).mean() > 6)


@pytest.mark.parametrize("name", OTHERS)
def test_one_reference_picture_keeps_its_person_and_nobody_else(
    client: httpx.Client, group: Path, labels: dict[str, Any], name: str
) -> None:
    reference, picture = ((group / file).read_bytes() for file in ("001_A.jpg", name))
    answer = anonymize(client, picture, "keep", reference, recall="fast")
    assert answer.status_code == 200, answer.text
    [[nose_x, nose_y]] = labels["nose_points_px"][name]
    faces = detect(client, picture, recall="fast")
    hers = [f for f in faces if f.x_min <= nose_x <= f.x_max and f.y_min <= nose_y <= f.y_max]
    assert len(hers) == 1
    assert [face for face in faces if not was_hidden(picture, answer.content, face)] == hers
    assert int(answer.headers["X-Facet-Faces"]) == len(faces) - 1


def test_nobody_is_kept_in_pictures_of_other_people(
    client: httpx.Client, group: Path, labels: dict[str, Any], her_embedding: str
) -> None:
    hers = labels["same_person"][0]
    for path in sorted(group.glob("*.jpg")):
        if path.name not in hers:
            picture = path.read_bytes()
            answer = anonymize(client, picture, "keep", her_embedding)
            assert answer.status_code == 200, answer.text
            faces = detect(client, picture)
            assert [face for face in faces if not was_hidden(picture, answer.content, face)] == [], path.name
            assert answer.headers["X-Facet-Faces"] == str(len(faces))


def test_only_the_person_asked_for_is_hidden(
    client: httpx.Client, group: Path, labels: dict[str, Any], her_embedding: str
) -> None:
    picture = (group / "002_A.jpg").read_bytes()
    answer = anonymize(client, picture, "only", her_embedding, recall="fast")
    assert answer.status_code == 200, answer.text
    [[nose_x, nose_y]] = labels["nose_points_px"]["002_A.jpg"]
    hidden = [f for f in detect(client, picture, recall="fast") if was_hidden(picture, answer.content, f)]
    assert any(f.x_min <= nose_x <= f.x_max and f.y_min <= nose_y <= f.y_max for f in hidden)
    stranger = anonymize(client, (group / "000_5.jpg").read_bytes(), "only", her_embedding)
    assert stranger.status_code == 200, stranger.text
    assert int(stranger.headers["X-Facet-Faces"]) < 5


def test_an_embedding_alone_names_a_person(client: httpx.Client, astronaut_jpeg: bytes) -> None:
    embedded = client.post("/v1/embed", content=astronaut_jpeg).json()
    document = {"embedding_model": embedded["embedding_model"], "embedding": embedded["faces"][0]["embedding"]}
    scaled = {**document, "embedding": [3 * value for value in document["embedding"]]}
    for reference in (document, scaled):
        answer = anonymize(client, astronaut_jpeg, "keep", json.dumps(reference))
        assert (answer.status_code, answer.headers["X-Facet-Faces"]) == (200, "0")
        assert not was_hidden(astronaut_jpeg, answer.content, Box(x_min=178, y_min=58, x_max=270, y_max=177))
        assert anonymize(client, astronaut_jpeg, "only", json.dumps(reference)).headers["X-Facet-Faces"] == "1"


def test_several_references_count_each(client: httpx.Client, astronaut_jpeg: bytes, her_embedding: str) -> None:
    kept = anonymize(client, astronaut_jpeg, "keep", her_embedding, astronaut_jpeg)
    assert (kept.status_code, kept.headers["X-Facet-Faces"]) == (200, "0")


def test_a_kept_face_is_not_taken_for_one_that_was_missed(
    client: httpx.Client, group: Path, her_embedding: str
) -> None:
    picture = (group / "004_A.jpg").read_bytes()
    answer = anonymize(client, picture, "keep", her_embedding, verify="true", recall="fast")
    assert answer.status_code == 200, answer.text
    assert answer.headers["X-Facet-Check"].startswith("passed; ")
    [face] = [box for box in detect(client, picture, recall="fast") if box.width > 400]
    assert not was_hidden(picture, answer.content, face)


def test_references_that_name_nobody_are_refused_by_their_place(
    client: httpx.Client, group: Path, astronaut_jpeg: bytes
) -> None:
    embedded = client.post("/v1/embed", content=astronaut_jpeg).json()
    model, embedding = embedded["embedding_model"], embedded["faces"][0]["embedding"]
    refused: dict[bytes | str, str] = {
        (group / "017_0.jpg").read_bytes(): "keep[1]: no face was found",
        (group / "016_8.jpg").read_bytes(): "keep[1]: several faces were found; send a picture of one person",
        json.dumps({"embedding_model": "facenet@0", "embedding": embedding}): "keep[1].embedding_model: ",
        json.dumps({"embedding_model": model, "embedding": embedding[1:]}): "keep[1]: the embedding needs ",
        json.dumps({"embedding_model": model, "embedding": [0.0] * len(embedding)}): "keep[1]: the embedding needs ",
        json.dumps({"embedding_model": model, "embedding": [float("nan")]}): "keep[1].embedding[0]: ",
        json.dumps({"embedding_model": model}): "keep[1]: needs either ",
        json.dumps({**embedded, "faces": []}): "keep[1].faces: needs exactly one face",
        json.dumps({**embedded, "faces": 2 * embedded["faces"]}): "keep[1].faces: needs exactly one face",
        "{": "keep[1]: Invalid JSON",
    }
    for reference, told in refused.items():
        answer = anonymize(client, astronaut_jpeg, "keep", astronaut_jpeg, reference, recall="fast")
        refusal = refusal_of_response(answer)
        assert refusal.reason == "INVALID_REQUEST"
        assert refusal.detail.startswith(told)
    assert anonymize(client, astronaut_jpeg, "keep", b"no picture").json()["detail"].startswith("keep[0]: ")


def test_too_many_references_are_refused(client: httpx.Client, astronaut_jpeg: bytes) -> None:
    refusal = refusal_of_response(anonymize(client, astronaut_jpeg, "only", *[b"{}"] * 65))
    assert refusal.detail.startswith("only: at most 64")


def test_without_an_embedder_it_is_an_error_and_not_a_face(
    gateway_url: str, stack: Stack, astronaut_jpeg: bytes
) -> None:
    assert stack.embedder is None
    with httpx.Client(base_url=gateway_url, timeout=60, trust_env=False) as client:
        for field in ("keep", "only"):
            answer = anonymize(client, astronaut_jpeg, field, astronaut_jpeg)
            assert answer.status_code == 503
            assert "embedder" in answer.json()["detail"]
