"""`keep` and `only` through real tiers: one person stays visible once at most, and nobody in doubt does."""

from __future__ import annotations

import hashlib
import io
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
from PIL import Image, ImageFilter

from services.chassis.pictures.geometry import Box
from services.embedder.mobilefacenet import MobileFaceNet
from tests.support.embedders import write_random_weights
from tests.support.pictures import decode
from tests.support.processes import Stack, start
from tests.support.ways import refusal_of_response

CROWDS = ("0_Parade_Parade_0_266.jpg", "4_Dancing_Dancing_4_1028.jpg", "1_Handshaking_Handshaking_1_35.jpg")
NO_CURVE = """
[uncharted]
tier = "embedder"
architecture = "mobilefacenet"
input = "112x112 RGB"
file = "uncharted.pt"
sha256 = "{sha256}"
size_bytes = 1
license = "MIT"
threshold = {{ value = 0.4, calibrated_on = "a test" }}
"""


@pytest.fixture(scope="module")
def client(compare_gateway_url: str) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=compare_gateway_url, timeout=100, trust_env=False) as opened:
        yield opened


def jpeg(image: Image.Image) -> bytes:
    file = io.BytesIO()
    image.save(file, "JPEG", quality=95)
    return file.getvalue()


def anonymize(client: httpx.Client, picture: bytes, field: str, *references: bytes | str) -> httpx.Response:
    files = [("image", ("a", picture)), *((field, ("b", reference)) for reference in references)]
    return client.post("/v1/anonymize", files=files)


def embed(client: httpx.Client, picture: bytes) -> dict[str, Any]:
    answer: dict[str, Any] = client.post("/v1/embed", content=picture).json()
    return answer


def own(answer: dict[str, Any], face: dict[str, Any]) -> str:
    """A face's embedding alone, which tells nothing of size or sharpness."""
    return json.dumps({"embedding_model": answer["embedding_model"], "embedding": face["embedding"]})


def is_as_it_was(before: bytes, after: bytes, face: dict[str, Any]) -> bool:
    """Whether the middle of a face is the same."""
    box = Box(**face["box"])
    half = max(2, int(min(box.width, box.height) / 6))
    x, y = int(box.center.x), int(box.center.y)
    place = (x - half, y - half, x + half, y + half)
    a, b = (np.asarray(decode(content).crop(place).convert("RGB"), np.int16) for content in (before, after))
    return bool(np.abs(a - b).mean() < 6)


@pytest.mark.parametrize("name", CROWDS)
def test_a_face_of_the_picture_by_its_own_embedding_leaves_nobody_else_visible(
    client: httpx.Client, shared_dir: Path, name: str
) -> None:
    picture = (shared_dir / "images/crowd" / name).read_bytes()
    answer = embed(client, picture)
    faces = sorted((f for f in answer["faces"] if f["embedding"]), key=lambda f: f["box"]["x_max"] - f["box"]["x_min"])
    for face in (faces[len(faces) // 2], faces[-1]):
        kept = anonymize(client, picture, "keep", own(answer, face))
        assert (kept.status_code, kept.headers["X-Facet-Faces"]) == (200, str(len(answer["faces"]) - 1))
        assert is_as_it_was(picture, kept.content, face)
        hidden = anonymize(client, picture, "only", own(answer, face))
        assert not is_as_it_was(picture, hidden.content, face)


def test_small_and_soft_faces_are_hidden_whoever_is_kept_or_meant(
    client: httpx.Client, shared_dir: Path, astronaut_jpeg: bytes
) -> None:
    picture = (shared_dir / "images/crowd/2_Demonstration_Protesters_2_531.jpg").read_bytes()
    found = len(embed(client, picture)["faces"])
    assert found > 300
    for field in ("keep", "only"):
        answer = anonymize(client, picture, field, astronaut_jpeg)
        assert (answer.status_code, answer.headers["X-Facet-Faces"]) == (200, str(found))


def test_many_references_do_not_show_strangers(client: httpx.Client, shared_dir: Path) -> None:
    people = sorted((shared_dir / "images/portraits").iterdir())
    documents: list[str] = []
    for person in people[100:180]:
        answer = embed(client, min(person.iterdir()).read_bytes())
        if len(answer["faces"]) == 1 and len(documents) < 64:
            documents.append(own(answer, answer["faces"][0]))
    assert len(documents) == 64
    shown = 0
    for person in people[:30]:
        picture = min(person.iterdir()).read_bytes()
        hidden = int(anonymize(client, picture, "keep", *documents).headers["X-Facet-Faces"])
        shown += len(embed(client, picture)["faces"]) - hidden
    assert shown <= 1, "one picture in a hundred may show somebody"


def test_a_person_who_appears_twice_is_hidden_twice_and_the_answer_says_why(
    client: httpx.Client, astronaut: Image.Image, astronaut_jpeg: bytes
) -> None:
    twice = Image.new("RGB", (1024, 512))
    twice.paste(astronaut, (0, 0))
    twice.paste(astronaut.transpose(Image.Transpose.FLIP_LEFT_RIGHT), (512, 0))
    answer = anonymize(client, jpeg(twice), "keep", astronaut_jpeg)
    assert (answer.status_code, answer.headers["X-Facet-Faces"]) == (200, "2")
    assert (
        "keep[0]: ambiguous, since another face or reference is nearly as similar" in answer.headers["X-Facet-Notice"]
    )
    assert anonymize(client, jpeg(twice), "only", astronaut_jpeg).headers["X-Facet-Faces"] == "2"


def test_an_answer_names_the_references_that_it_recognised_nobody_by(
    client: httpx.Client, astronaut: Image.Image, astronaut_jpeg: bytes
) -> None:
    nobody = jpeg(astronaut.crop((0, 200, 512, 512)))
    told = {
        field: anonymize(client, nobody, field, astronaut_jpeg).headers["X-Facet-Notice"] for field in ("keep", "only")
    }
    assert told == {field: f"{field}[0]: nobody in this picture is recognised with certainty." for field in told}
    kept = anonymize(client, astronaut_jpeg, "keep", astronaut_jpeg, astronaut_jpeg)
    assert (kept.headers["X-Facet-Faces"], kept.headers["X-Facet-Notice"]) == (
        "0",
        "1 face stays visible: recognised as people in keep.",
    )


def test_a_reference_too_soft_to_tell_people_apart_is_refused(
    client: httpx.Client, astronaut: Image.Image, astronaut_jpeg: bytes
) -> None:
    soft = astronaut.resize((90, 90), Image.Resampling.LANCZOS).filter(ImageFilter.GaussianBlur(1)).resize((512, 512))
    for field in ("keep", "only"):
        refusal = refusal_of_response(anonymize(client, astronaut_jpeg, field, astronaut_jpeg, jpeg(soft)))
        assert refusal.detail.startswith(f"{field}[1]: the face is too small or too blurred to recognise; send")


def test_a_model_without_a_curve_keeps_nobody_and_names_the_command(
    identity_stack: Stack, astronaut_jpeg: bytes, tmp_path: Path
) -> None:
    weights = write_random_weights(MobileFaceNet(48), tmp_path / "uncharted.pt")
    manifest = tmp_path / "models.toml"
    manifest.write_text(NO_CURVE.format(sha256=hashlib.sha256(weights.read_bytes()).hexdigest()))
    embedder = start("embedder", FACET_EMBEDDER_WEIGHTS=str(weights), FACET_MODELS_MANIFEST=str(manifest))
    try:
        embedder.wait_ready()
        gateway = start("gateway", **{**identity_stack.targets(), "FACET_EMBEDDER_TARGET": embedder.target})
        try:
            with httpx.Client(base_url=gateway.url, timeout=100, trust_env=False) as client:
                kept = anonymize(client, astronaut_jpeg, "keep", astronaut_jpeg)
                assert (kept.status_code, kept.json()["type"]) == (503, "urn:facet:error:NOT_READY")
                assert "`facet calibrate`" in kept.json()["detail"]
                assert anonymize(client, astronaut_jpeg, "only", astronaut_jpeg).headers["X-Facet-Faces"] == "1"
                [model] = [each for each in client.get("/v1/models").json()["models"] if each["tier"] == "embedder"]
                assert (model["threshold"], model["curve"], model["clear"]) == (pytest.approx(0.4), None, [])
        finally:
            gateway.stop()
    finally:
        embedder.stop()


def test_models_tell_the_curve_that_decisions_rest_on(client: httpx.Client) -> None:
    [model] = [each for each in client.get("/v1/models").json()["models"] if each["tier"] == "embedder"]
    assert model["curve"]["pairs"] == 179_400
    assert model["curve"]["points"][0] == pytest.approx([0.24, 0.0142])
    assert model["clear"] == [{"side_px": 64, "norm": 11}, {"side_px": 40, "norm": 14}]
