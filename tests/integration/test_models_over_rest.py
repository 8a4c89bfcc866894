"""Models over REST: listed with licence, hash and state; chosen by name; honest about what they miss."""

from __future__ import annotations

from collections.abc import Iterator

import httpx
import pytest

from services.chassis.models.store import ModelState, ModelStore
from services.chassis.process.settings import ModelSettings

RETINAFACE = "retinaface-mobilenet025"


@pytest.fixture
def client(gateway_url: str) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=gateway_url, timeout=60, trust_env=False) as opened:
        yield opened


def test_models_are_listed_with_licence_hash_and_state(client: httpx.Client) -> None:
    models = {model["name"]: model for model in client.get("/v1/models").json()["models"]}
    blazeface = models["blazeface-full"]
    assert blazeface["serving"] is True
    assert blazeface["license"] == "Apache-2.0"
    assert blazeface["model_id"] == f"blazeface-full@{blazeface['sha256'][:12]}"
    resnet = models["retinaface-resnet50"]
    assert (resnet["serving"], resnet["model_id"]) == (False, "")
    assert "facet models pull retinaface-resnet50" in resnet["detail"]
    assert sum(model["is_default"] for model in models.values()) == 1
    [embedder] = [model for model in models.values() if model["tier"] == "embedder"]
    assert embedder["serving"] is False
    assert "embedder does not answer" in embedder["detail"]


def test_blazeface_alone_says_that_it_does_not_protect_a_crowd(client: httpx.Client, astronaut_jpeg: bytes) -> None:
    found = client.post("/v1/detect", params={"model": "blazeface-full"}, content=astronaut_jpeg).json()
    assert "does not protect a crowd" in found["notice"]
    hidden = client.post("/v1/anonymize", params={"model": "blazeface-full"}, content=astronaut_jpeg)
    assert hidden.headers["X-Facet-Notice"] == found["notice"]


def test_retinaface_is_the_default_where_it_is_installed(client: httpx.Client, astronaut_jpeg: bytes) -> None:
    if ModelStore(ModelSettings()).state(RETINAFACE) is not ModelState.INSTALLED:
        pytest.skip(f"needs the weights of {RETINAFACE}: run `facet models pull {RETINAFACE}`")
    hidden = client.post("/v1/anonymize", content=astronaut_jpeg)
    assert hidden.headers["X-Facet-Model"] == f"{RETINAFACE}@2979b33ffafd"
    assert "X-Facet-Notice" not in hidden.headers
    thorough = client.post("/v1/anonymize", params={"recall": "max"}, content=astronaut_jpeg)
    assert thorough.headers["X-Facet-Model"] == f"{RETINAFACE}@2979b33ffafd+blazeface-full@2c3728e6da56"


def test_an_absent_model_is_a_503_that_says_what_to_run(client: httpx.Client, astronaut_jpeg: bytes) -> None:
    refused = client.post("/v1/detect", params={"model": "retinaface-resnet50"}, content=astronaut_jpeg)
    assert refused.status_code == 503
    assert "facet models pull retinaface-resnet50" in refused.json()["detail"]


def test_an_unknown_model_is_a_400(client: httpx.Client, astronaut_jpeg: bytes) -> None:
    refused = client.post("/v1/detect", params={"model": "yolo"}, content=astronaut_jpeg)
    assert refused.status_code == 400
    assert "yolo" in refused.json()["detail"]
