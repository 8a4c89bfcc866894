"""`--target`: the commands that are not about pictures alone ask a running gateway, too."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from PIL import Image

from tests.support.facet_command import facet
from tests.support.pictures import encode


@pytest.fixture
def people(tmp_path: Path, shared_dir: Path) -> Path:
    """Two people, four pictures each that can be told from one another, and a picture of nobody."""
    given = sorted((shared_dir / "images" / "people").iterdir())[:2]
    for person in given:
        (tmp_path / "people" / person.name).mkdir(parents=True)
        for picture in sorted(person.iterdir())[:4]:
            (tmp_path / "people" / person.name / picture.name).write_bytes(picture.read_bytes())
    (tmp_path / "people" / given[0].name / "nobody.png").write_bytes(encode(Image.new("RGB", (64, 64)), "PNG"))
    return tmp_path / "people"


def test_models_that_a_gateway_serves_are_listed(gateway_url: str) -> None:
    listed = json.loads(facet("models", "list", "--json", "--target", gateway_url).stdout)
    assert any(model["serving"] and model["tier"] == "detector" for model in listed)
    told = facet("models", "list", "--target", gateway_url).stdout.decode()
    assert all(model["model_id"] in told for model in listed)


def test_calibration_embeds_through_a_gateway(compare_gateway_url: str, people: Path) -> None:
    done = facet("calibrate", people, "--target", compare_gateway_url)
    assert done.returncode == 0, done.stderr
    assert b"mobilefacenet@" in done.stdout
    assert b"nobody.png: no face was found" in done.stderr


def test_evaluation_finds_and_hides_through_a_gateway(gateway_url: str, astronaut_jpeg: bytes, tmp_path: Path) -> None:
    (tmp_path / "astronaut.jpg").write_bytes(astronaut_jpeg)
    labels = tmp_path / "labels.json"
    face = {"image_id": 1, "bbox": [184, 80, 80, 110]}
    labels.write_text(json.dumps({"images": [{"id": 1, "file_name": "astronaut.jpg"}], "annotations": [face]}))
    done = facet("evaluate", labels, tmp_path, "--recall", "balanced", "--json", "--target", gateway_url)
    assert done.returncode == 0, done.stderr
    [figures] = json.loads(done.stdout)
    assert (figures["pictures"], figures["faces"], figures["recall"]) == (1, 1, "balanced")
    assert (figures["coverage"], figures["false_alarms_a_picture"]) == (1, 0)


def test_receipt_wants_a_signer(tmp_path: Path) -> None:
    refused = facet("verify-receipt", "a.b.c", tmp_path / "hidden.jpg", settings={"FACET_TARGET": ""})
    assert refused.returncode == 2
    assert b"--target URL" in refused.stderr
    asked = facet("verify-receipt", "a.b.c", tmp_path / "hidden.jpg", "--target", "http://127.0.0.1:1")
    assert asked.returncode == 1
    assert b"http://127.0.0.1:1/v1/receipt-key does not answer" in asked.stderr
