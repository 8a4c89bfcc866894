"""Faces that a person corrected between detecting and hiding: exactly these are hidden."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import httpx
import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from tests.support.pictures import decode, encode
from tests.support.ways import refusal_of_response

CORNER = {"x_min": 400, "y_min": 20, "x_max": 460, "y_max": 80}


@pytest.fixture
def client(gateway_url: str) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=gateway_url, timeout=60, trust_env=False) as opened:
        yield opened


@pytest.fixture(scope="module")
def detected(gateway_url: str, astronaut_jpeg: bytes) -> dict[str, Any]:
    answer: dict[str, Any] = httpx.post(f"{gateway_url}/v1/detect", content=astronaut_jpeg, timeout=60).json()
    assert len(answer["faces"]) == 1
    return answer


def changed(before: bytes, after: bytes, x: float, y: float) -> bool:
    """Whether the pixels around a place are others; JPEG's own loss is less."""

    def around(content: bytes) -> NDArray[np.int16]:
        return np.asarray(decode(content).convert("RGB"), np.int16)[int(y) - 8 : int(y) + 8, int(x) - 8 : int(x) + 8]

    return bool(np.abs(around(before) - around(after)).mean() > 6)


def post(client: httpx.Client, picture: bytes, faces: object, **query: str) -> httpx.Response:
    document = faces if isinstance(faces, str) else json.dumps(faces)
    return client.post("/v1/anonymize", params=query, files={"image": picture, "faces": document})


def test_what_detect_answers_is_hidden_without_detecting_again(
    client: httpx.Client, astronaut_jpeg: bytes, detected: dict[str, Any]
) -> None:
    answer = post(client, astronaut_jpeg, detected)
    assert answer.status_code == 200, answer.text
    assert answer.headers["X-Facet-Faces"] == "1"
    assert "X-Facet-Model" not in answer.headers
    assert changed(astronaut_jpeg, answer.content, 224, 120)
    at_once = client.post("/v1/anonymize", content=astronaut_jpeg)
    assert answer.content == at_once.content


def test_an_added_box_is_hidden_and_a_removed_one_is_not(
    client: httpx.Client, astronaut_jpeg: bytes, detected: dict[str, Any]
) -> None:
    answer = post(client, astronaut_jpeg, {**detected, "faces": [{"box": CORNER}]}, style="solid")
    assert answer.headers["X-Facet-Faces"] == "1"
    assert changed(astronaut_jpeg, answer.content, 430, 50)
    assert not changed(astronaut_jpeg, answer.content, 224, 120)


def test_no_faces_hide_nothing(client: httpx.Client, astronaut_jpeg: bytes, detected: dict[str, Any]) -> None:
    answer = post(client, astronaut_jpeg, {**detected, "faces": []})
    assert (answer.status_code, answer.headers["X-Facet-Faces"]) == (200, "0")
    assert not changed(astronaut_jpeg, answer.content, 224, 120)


def test_faces_may_be_sent_as_a_text_field(
    client: httpx.Client, astronaut_jpeg: bytes, detected: dict[str, Any]
) -> None:
    data = {"faces": json.dumps(detected)}
    answer = client.post("/v1/anonymize", data=data, files={"image": astronaut_jpeg})
    assert (answer.status_code, answer.headers["X-Facet-Faces"]) == (200, "1")


def test_faces_of_another_picture_are_refused(
    client: httpx.Client, astronaut: Image.Image, detected: dict[str, Any]
) -> None:
    cropped = encode(astronaut.crop((0, 0, 512, 400)), "JPEG")
    refusal = refusal_of_response(post(client, cropped, detected))
    assert refusal.reason == "INVALID_REQUEST"
    assert "512 x 512" in refusal.detail
    assert "512 x 400" in refusal.detail


@pytest.mark.parametrize(
    ("face", "told"),
    [
        ({"box": {**CORNER, "x_max": 400}}, "faces.faces[1].box: "),
        ({"box": {**CORNER, "x_max": float("nan")}}, "faces.faces[1].box.x_max: "),
        ({"bocks": CORNER}, "faces.faces[1].bocks: unknown field"),
        ({"box": {**CORNER, "x_max": 1e9}}, "a region reaches too far"),
    ],
)
def test_a_wrong_face_is_refused_by_its_place(
    client: httpx.Client, astronaut_jpeg: bytes, detected: dict[str, Any], face: dict[str, Any], told: str
) -> None:
    document = {**detected, "faces": [*detected["faces"], face]}
    refusal = refusal_of_response(post(client, astronaut_jpeg, document))
    assert refusal.reason == "INVALID_REQUEST"
    assert refusal.detail.startswith(told)


def test_a_document_too_large_is_refused(client: httpx.Client, astronaut_jpeg: bytes) -> None:
    refusal = refusal_of_response(post(client, astronaut_jpeg, " " * (4 * 1024 * 1024 + 1)))
    assert refusal.reason == "TOO_LARGE"


@pytest.mark.parametrize(
    ("fields", "told"),
    [
        ([("faces", b"{}"), ("keep", b"{}")], "exclude each other"),
        ([("faces", b"{}"), ("only", b"{}")], "exclude each other"),
        ([("faces", b"{}"), ("faces", b"{}")], "faces: at most 1"),
        ([("fases", b"{}")], "not one of faces, image, keep, only"),
        ([("image", b"another")], "Too many files named 'image'"),
    ],
)
def test_fields_that_contradict_each_other_are_refused(
    client: httpx.Client, astronaut_jpeg: bytes, fields: list[tuple[str, bytes]], told: str
) -> None:
    files = [("image", ("a", astronaut_jpeg)), *((name, ("b", content)) for name, content in fields)]
    refusal = refusal_of_response(client.post("/v1/anonymize", files=files))
    assert refusal.reason == "INVALID_REQUEST"
    assert told in refusal.detail


def test_weak_styles_are_served_where_allowed(client: httpx.Client, astronaut_jpeg: bytes) -> None:
    strong = client.post("/v1/anonymize", content=astronaut_jpeg)
    weak = client.post("/v1/anonymize", params={"allow_weak": "true"}, content=astronaut_jpeg)
    assert weak.content != strong.content
    assert "X-Facet-Notice" not in strong.headers
    assert "carry identity" in weak.headers["X-Facet-Notice"]


def test_fields_and_headers_are_documented(client: httpx.Client) -> None:
    operation = client.get("/openapi.json").json()["paths"]["/v1/anonymize"]["post"]
    fields = operation["requestBody"]["content"]["multipart/form-data"]["schema"]["properties"]
    assert set(fields) == {"image", "faces", "keep", "only"}
    assert {p["name"] for p in operation["parameters"]} >= {"allow_weak", "verify", "receipt"}
    headers = {"Faces", "Model", "Notice", "Check", "Receipt"}
    assert set(operation["responses"]["200"]["headers"]) == {f"X-Facet-{name}" for name in headers}
    assert "still recognisable" in operation["responses"]["422"]["description"]
