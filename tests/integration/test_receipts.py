"""Signed receipts: made by a gateway with a key, checked by the command line, refused after any change."""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import httpx
import jwt
import pytest

from services.chassis.rpc.request_id import HEADER
from tests.support.processes import RunningTier, Stack, start


@pytest.fixture(scope="module")
def key(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A key as the error message says to make one."""
    return make_key(tmp_path_factory.mktemp("keys") / "receipt-key.pem")


@pytest.fixture(scope="module")
def gateway(stack: Stack, key: Path) -> Iterator[RunningTier]:
    running = start("gateway", **stack.targets(), FACET_GATEWAY_RECEIPT_KEY=str(key))
    yield running
    running.stop()


@pytest.fixture
def client(gateway: RunningTier) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=gateway.url, timeout=60, trust_env=False) as opened:
        yield opened


def make_key(path: Path) -> Path:
    subprocess.run(["openssl", "genpkey", "-algorithm", "ed25519", "-out", str(path)], check=True, capture_output=True)
    return path


def facet(*arguments: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", "from cli.app import app; app()", "verify-receipt", *map(str, arguments)]
    return subprocess.run(command, check=False, capture_output=True, text=True)


@pytest.fixture(scope="module")
def answered(gateway: RunningTier, astronaut_jpeg: bytes) -> httpx.Response:
    query = {"receipt": "true", "verify": "true", "style": "blur", "strength": "0.7"}
    answer = httpx.post(f"{gateway.url}/v1/anonymize", params=query, content=astronaut_jpeg, timeout=60)
    assert answer.status_code == 200, answer.text
    return answer


@pytest.fixture
def files(answered: httpx.Response, astronaut_jpeg: bytes, tmp_path: Path) -> tuple[Path, Path]:
    """The result and the original."""
    (tmp_path / "hidden.jpg").write_bytes(answered.content)
    (tmp_path / "original.jpg").write_bytes(astronaut_jpeg)
    return tmp_path / "hidden.jpg", tmp_path / "original.jpg"


def test_a_receipt_tells_what_was_done_and_no_more(
    client: httpx.Client, answered: httpx.Response, astronaut_jpeg: bytes
) -> None:
    receipt = answered.headers["X-Facet-Receipt"]
    [detected] = client.post("/v1/detect", content=astronaut_jpeg).json()["faces"]
    claims = jwt.decode(receipt, client.get("/v1/receipt-key").content, algorithms=["EdDSA"])
    [region, *_] = claims.pop("regions")
    assert all(abs(a - b) <= 1 for a, b in zip(region, detected["box"].values(), strict=True))
    assert claims.pop("iat") > 1_700_000_000
    assert claims.pop("facet_version")
    assert claims == {
        "input_sha256": hashlib.sha256(astronaut_jpeg).hexdigest(),
        "output_sha256": hashlib.sha256(answered.content).hexdigest(),
        "style": "blur",
        "shape": "ellipse",
        "strength": 0.7,
        "margin": 0.3,
        "allow_weak": False,
        "chosen_by": "search",
        "faces_found": 1,
        "faces_visible": 0,
        "detection_model": answered.headers["X-Facet-Model"],
        "embedding_model": "",
        "check": answered.headers["X-Facet-Check"],
        "check_model": answered.headers["X-Facet-Model"],
        "request_id": answered.headers[HEADER],
    }


def test_what_the_check_hid_more_strongly_is_in_the_receipt(client: httpx.Client, astronaut_jpeg: bytes) -> None:
    small = [209, 105, 239, 135]
    box = dict(zip(("x_min", "y_min", "x_max", "y_max"), small, strict=True))
    faces = json.dumps({"width": 512, "height": 512, "faces": [{"box": box}]})
    answer = client.post(
        "/v1/anonymize",
        params={"receipt": "true", "verify": "true"},
        files={"image": astronaut_jpeg, "faces": faces},
    )
    claims = jwt.decode(answer.headers["X-Facet-Receipt"], options={"verify_signature": False})
    assert claims["regions"][0] == small
    assert any(region[2] - region[0] > 60 for region in claims["regions"])
    assert claims["check"].startswith("passed; escalated=1; ")


def test_the_command_line_shows_what_was_hidden(
    gateway: RunningTier, key: Path, answered: httpx.Response, files: tuple[Path, Path], tmp_path: Path
) -> None:
    hidden, original = files
    receipt = answered.headers["X-Facet-Receipt"]
    as_text, as_headers = tmp_path / "receipt.jws", tmp_path / "headers.txt"
    as_text.write_text(receipt + "\n")
    lines = [f"{name}: {value}" for name, value in answered.headers.items()]
    as_headers.write_text("\r\n".join(["HTTP/1.1 100 Continue", "", "HTTP/1.1 200 OK", *lines, "", ""]))
    public = tmp_path / "public.pem"
    public.write_bytes(httpx.get(f"{gateway.url}/v1/receipt-key").content)
    for form, source in ((receipt, key), (as_text, public), (as_headers, gateway.url)):
        done = facet(form, hidden, "--original", original, "--key", source)
        assert (done.returncode, done.stderr) == (0, "")
        for shown in ("genuine", "blur, ellipse, strength 0.7, margin 0.3", answered.headers["X-Facet-Model"]):
            assert shown in done.stdout


def test_another_picture_is_refused(key: Path, answered: httpx.Response, files: tuple[Path, Path]) -> None:
    hidden, original = files
    receipt = answered.headers["X-Facet-Receipt"]
    swapped = facet(receipt, original, "--key", key)
    assert (swapped.returncode, swapped.stdout) == (1, "")
    assert "original.jpg is not the result that the receipt is for" in swapped.stderr
    hidden_twice = facet(receipt, hidden, "--original", hidden, "--key", key)
    assert hidden_twice.returncode == 1
    assert "hidden.jpg is not the original that the receipt is for" in hidden_twice.stderr


def test_another_key_or_a_changed_receipt_is_refused(
    answered: httpx.Response, files: tuple[Path, Path], key: Path, tmp_path: Path
) -> None:
    receipt, hidden = answered.headers["X-Facet-Receipt"], files[0]
    other = facet(receipt, hidden, "--key", make_key(tmp_path / "other.pem"))
    assert other.returncode == 1
    assert "signed with another key" in other.stderr
    header, claims, signature = receipt.split(".")
    changed = facet(f"{header}.{claims[:-4]}AAAA.{signature}", hidden, "--key", key)
    assert changed.returncode == 1
    assert "was changed" in changed.stderr
    absent = facet(receipt, hidden, "--key", tmp_path / "no.pem")
    assert absent.returncode == 1
    assert "cannot be read" in absent.stderr
    nowhere = facet(receipt, hidden, "--key", "http://127.0.0.1:1")
    assert nowhere.returncode == 1
    assert "does not answer" in nowhere.stderr


def test_without_a_key_the_answer_says_how_to_make_one(gateway_url: str, astronaut_jpeg: bytes) -> None:
    asked = httpx.post(f"{gateway_url}/v1/anonymize", params={"receipt": "true"}, content=astronaut_jpeg)
    for answer in (asked, httpx.get(f"{gateway_url}/v1/receipt-key")):
        assert answer.status_code == 503
        assert "FACET_GATEWAY_RECEIPT_KEY" in answer.json()["detail"]
        assert "openssl genpkey -algorithm ed25519 -out receipt-key.pem" in answer.json()["detail"]


def test_no_receipt_is_made_unasked(client: httpx.Client, astronaut_jpeg: bytes) -> None:
    assert "X-Facet-Receipt" not in client.post("/v1/anonymize", content=astronaut_jpeg).headers


@pytest.mark.parametrize(
    ("content", "told"), [(None, "cannot be read"), ("rubbish", "does not hold an unencrypted PEM key")]
)
def test_a_wrong_key_file_ends_the_start_in_plain_words(tmp_path: Path, content: str | None, told: str) -> None:
    path = tmp_path / "key.pem"
    if content is not None:
        path.write_text(content)
    with pytest.raises(AssertionError) as never_listened:
        start("gateway", FACET_GATEWAY_RECEIPT_KEY=str(path))
    assert f"FACET_GATEWAY_RECEIPT_KEY: {path} " in str(never_listened.value)
    assert told in str(never_listened.value)
    assert "Traceback" not in str(never_listened.value)
