"""Found faces that stay visible: notice, check and receipt say so, and where the owner forces the check none does."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import jwt
import pytest
from PIL import Image

from tests.support.pictures import encode
from tests.support.processes import Stack, start

OUTSIDE = {"x_min": 2000, "y_min": 2000, "x_max": 2100, "y_max": 2100}
HER_FACE = {"x_min": 178, "y_min": 58, "x_max": 270, "y_max": 177}
LIMITS = [{"max_faces": "1"}, {"min_confidence": "1"}, {"min_face_px": "400"}]


@pytest.fixture(scope="module")
def two_faces(astronaut: Image.Image) -> bytes:
    """1024 x 512."""
    scene = Image.new("RGB", (1024, 512))
    for x in (0, 512):
        scene.paste(astronaut, (x, 0))
    return encode(scene, "PNG")


@pytest.fixture(scope="module")
def key(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("keys") / "receipt-key.pem"
    subprocess.run(["openssl", "genpkey", "-algorithm", "ed25519", "-out", str(path)], check=True, capture_output=True)
    return path


@pytest.fixture(scope="module")
def client(stack: Stack, key: Path) -> Iterator[httpx.Client]:
    """Of a gateway that signs receipts."""
    yield from _client(stack, FACET_GATEWAY_RECEIPT_KEY=str(key))


@pytest.fixture(scope="module")
def checked(stack: Stack) -> Iterator[httpx.Client]:
    """Of a gateway that checks every picture."""
    yield from _client(stack, FACET_GATEWAY_VERIFY="true")


def _client(stack: Stack, **settings: str) -> Iterator[httpx.Client]:
    gateway = start("gateway", **stack.targets(), **settings)
    try:
        with httpx.Client(base_url=gateway.url, timeout=60, trust_env=False) as opened:
            yield opened
    finally:
        gateway.stop()


def faces_in(client: httpx.Client, picture: bytes) -> int:
    return len(client.post("/v1/detect", content=picture).json()["faces"])


def given(*boxes: dict[str, int]) -> bytes:
    return json.dumps({"width": 1024, "height": 512, "faces": [{"box": box} for box in boxes]}).encode()


def claims_of(answer: httpx.Response) -> dict[str, Any]:
    claims: dict[str, Any] = jwt.decode(answer.headers["X-Facet-Receipt"], options={"verify_signature": False})
    return claims


@pytest.mark.parametrize("limit", LIMITS, ids=str)
def test_faces_that_a_limit_leaves_out_are_told(client: httpx.Client, two_faces: bytes, limit: dict[str, str]) -> None:
    answer = client.post("/v1/anonymize", content=two_faces, params={**limit, "verify": "true", "receipt": "true"})
    assert answer.status_code == 200, answer.text
    visible = faces_in(client, answer.content)
    assert visible == 2 - int(answer.headers["X-Facet-Faces"]) > 0
    assert f"{visible} face" in answer.headers["X-Facet-Notice"]
    assert f"left out by {next(iter(limit))}" in answer.headers["X-Facet-Notice"]
    assert answer.headers["X-Facet-Check"].startswith(f"partial; escalated=0; visible={visible}; ")
    claims = claims_of(answer)
    assert (claims["chosen_by"], claims["faces_found"], claims["faces_visible"]) == ("search", 2, visible)
    assert len(claims["regions"]) == 2 - visible


def test_where_every_found_face_is_hidden_the_answer_says_nothing_of_visible_ones(
    client: httpx.Client, two_faces: bytes
) -> None:
    answer = client.post("/v1/anonymize", content=two_faces, params={"max_faces": "2", "verify": "true"})
    assert "visible" not in answer.headers.get("X-Facet-Notice", "")
    assert answer.headers["X-Facet-Check"].startswith("passed; escalated=0; identity=")


@pytest.mark.parametrize("boxes", [(), (OUTSIDE,)], ids=["no face given", "a face outside of the picture"])
def test_a_receipt_and_a_check_do_not_vouch_for_faces_that_were_not_given(
    client: httpx.Client, two_faces: bytes, key: Path, tmp_path: Path, boxes: tuple[dict[str, int], ...]
) -> None:
    files = {"image": two_faces, "faces": given(*boxes)}
    answer = client.post("/v1/anonymize", files=files, params={"verify": "true", "receipt": "true"})
    assert answer.status_code == 200, answer.text
    assert answer.headers["X-Facet-Faces"] == "0"
    assert answer.headers["X-Facet-Check"].startswith("partial; escalated=0; visible=2; ")
    assert "2 faces stay visible" in answer.headers["X-Facet-Notice"]
    claims = claims_of(answer)
    assert claims["regions"] == []
    assert (claims["chosen_by"], claims["faces_found"], claims["faces_visible"]) == ("caller", None, 2)
    assert claims["detection_model"] == ""
    assert claims["check_model"]
    assert ("outside the picture" in answer.headers["X-Facet-Notice"]) == bool(boxes)

    (tmp_path / "hidden.png").write_bytes(answer.content)
    command = [sys.executable, "-c", "from cli.app import app; app()", "verify-receipt"]
    receipt = [answer.headers["X-Facet-Receipt"], str(tmp_path / "hidden.png"), "--key", str(key)]
    shown = subprocess.run([*command, *receipt], check=True, capture_output=True, text=True).stdout
    assert "given by the caller; the original was not searched" in shown
    assert "2 found faces stay visible" in shown
    assert "found by" not in shown


def test_without_a_check_a_receipt_says_that_nothing_was_searched(client: httpx.Client, two_faces: bytes) -> None:
    files = {"image": two_faces, "faces": given(HER_FACE)}
    claims = claims_of(client.post("/v1/anonymize", files=files, params={"receipt": "true"}))
    assert (claims["chosen_by"], claims["faces_found"], claims["faces_visible"]) == ("caller", None, None)
    assert claims["regions"] == [list(HER_FACE.values())]


def test_a_box_at_the_border_is_in_the_receipt_as_far_as_the_picture_goes(
    client: httpx.Client, two_faces: bytes
) -> None:
    border = {"x_min": -50, "y_min": 400, "x_max": 60, "y_max": 600}
    margin_alone = {"x_min": 1030, "y_min": 0, "x_max": 1130, "y_max": 100}
    files = {"image": two_faces, "faces": given(border, margin_alone)}
    answer = client.post("/v1/anonymize", files=files, params={"receipt": "true", "shape": "box"})
    assert answer.headers["X-Facet-Faces"] == "2"
    cut, margin = claims_of(answer)["regions"]
    assert cut == [0, 400, 60, 512]
    assert margin in ([1000, 0, 1024, 130], [999, 0, 1024, 131])  # 0.3 is a 32-bit float on the wire


@pytest.mark.parametrize("limit", [*LIMITS, {"recall": "fast", "min_confidence": "0.99"}], ids=str)
def test_no_limit_gets_round_a_check_that_the_owner_forces(
    checked: httpx.Client, two_faces: bytes, limit: dict[str, str]
) -> None:
    answer = checked.post("/v1/anonymize", content=two_faces, params={**limit, "verify": "false"})
    assert answer.status_code == 200, answer.text
    assert faces_in(checked, answer.content) == 0
    assert answer.headers["X-Facet-Check"].startswith("passed; ")


@pytest.mark.parametrize("boxes", [(), (OUTSIDE,), (HER_FACE,)], ids=["none", "outside", "one of two"])
@pytest.mark.parametrize("limit", [{}, {"min_confidence": "1"}, {"min_face_px": "400"}], ids=str)
def test_no_given_faces_get_round_a_check_that_the_owner_forces(
    checked: httpx.Client, two_faces: bytes, boxes: tuple[dict[str, int], ...], limit: dict[str, str]
) -> None:
    files = {"image": two_faces, "faces": given(*boxes)}
    answer = checked.post("/v1/anonymize", files=files, params=limit)
    assert answer.status_code == 200, answer.text
    assert faces_in(checked, answer.content) == 0
    assert answer.headers["X-Facet-Check"].startswith("passed; ")
    unasked = 2 - sum(box is HER_FACE for box in boxes)
    assert f"{unasked} more face" in answer.headers["X-Facet-Notice"]
    assert "hidden than given: found by the check" in answer.headers["X-Facet-Notice"]
