"""What HTTP clients do that curl's plain call does not: every habit is served, or refused with what to do instead."""

from __future__ import annotations

import base64
import gzip
import json
import shutil
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from PIL import Image

from tests.support.pictures import encode
from tests.support.processes import Stack

BOUNDARY = "x9"
TYPE = {"Content-Type": f"multipart/form-data; boundary={BOUNDARY}"}
CURL = shutil.which("curl")


@pytest.fixture
def client(gateway_url: str) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=gateway_url, timeout=60) as client:
        yield client


def part(content: bytes, disposition: str = 'form-data; name="image"', *further: str) -> bytes:
    head = "\r\n".join((f"--{BOUNDARY}", f"Content-Disposition: {disposition}", *further, "", ""))
    return head.encode() + content + b"\r\n"


END = f"--{BOUNDARY}--\r\n".encode()


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (b"", b""),
        (b"\r\n", b""),
        (b"This is a multi-part message in MIME format.\r\n", b""),
        (b"preamble\r\n--x\r\n--x9y\r\n -- --\r\n" * 3, b""),
        (b"-" * 20_000 + b"\r\n", b"epilogue\r\n--x9\r\n\r\nno part\r\n"),
        (b"", b"\r\nepilogue"),
    ],
)
@pytest.mark.parametrize("call", ["detect", "anonymize"])
def test_preamble_and_epilogue_are_skipped(
    client: httpx.Client, astronaut_jpeg: bytes, call: str, before: bytes, after: bytes
) -> None:
    body = before + part(astronaut_jpeg) + END + after
    assert client.post(f"/v1/{call}", content=body, headers=TYPE).status_code == 200


def test_preamble_may_come_byte_by_byte(client: httpx.Client, astronaut_jpeg: bytes) -> None:
    body = b"preamble\r\n" + part(astronaut_jpeg) + END

    def dripping() -> Iterator[bytes]:
        yield from (body[i : i + 1] for i in range(200))
        yield body[200:]

    assert client.post("/v1/detect", content=dripping(), headers=TYPE).status_code == 200


@pytest.mark.parametrize("call", ["detect", "anonymize", "embed"])
def test_part_without_a_file_name_is_taken(client: httpx.Client, astronaut: Image.Image, call: str) -> None:
    large = encode(astronaut.resize((1400, 1400)), "PNG")
    assert len(large) > 1024**2
    answer = client.post(f"/v1/{call}", content=part(large) + END, headers=TYPE)
    assert answer.status_code == (503 if call == "embed" else 200)  # this stack has no embedder


@pytest.mark.parametrize(
    "disposition",
    [
        "form-data; name=image",
        'form-data; name="image"; filename=""',
        "form-data; name=\"image\"; filename*=UTF-8''%C3%A4.jpg",
        'form-data; filename="a; name=\\"b\\".jpg"; name="image"',
    ],
)
def test_part_is_taken_however_it_is_named(client: httpx.Client, astronaut_jpeg: bytes, disposition: str) -> None:
    answer = client.post("/v1/detect", content=part(astronaut_jpeg, disposition) + END, headers=TYPE)
    assert answer.status_code == 200


def test_document_may_come_with_or_without_a_file_name(client: httpx.Client, astronaut_jpeg: bytes) -> None:
    found = client.post("/v1/detect", content=astronaut_jpeg).content
    for disposition in ('form-data; name="faces"', 'form-data; name="faces"; filename="faces.json"'):
        body = part(astronaut_jpeg) + part(found, disposition, "Content-Type: application/json") + END
        answer = client.post("/v1/anonymize", content=body, headers=TYPE)
        assert (answer.status_code, answer.headers["x-facet-faces"]) == (200, "1")


@pytest.mark.parametrize("call", ["detect", "anonymize", "embed"])
def test_second_picture_is_refused(client: httpx.Client, astronaut_jpeg: bytes, call: str) -> None:
    refused = client.post(f"/v1/{call}", files=[("image", astronaut_jpeg), ("image", astronaut_jpeg)])
    assert refused.status_code == 400
    assert "send one picture a request" in refused.json()["detail"]


def test_second_picture_of_a_pair_is_refused(client: httpx.Client, astronaut_jpeg: bytes) -> None:
    files = [(name, astronaut_jpeg) for name in ("image_a", "image_a", "image_b")]
    refused = client.post("/v1/compare", files=files)
    assert (refused.status_code, "send one picture a request" in refused.json()["detail"]) == (400, True)


def test_text_in_place_of_a_picture_is_told_what_to_send(client: httpx.Client, astronaut_jpeg: bytes) -> None:
    text = base64.b64encode(astronaut_jpeg)
    sent = {
        "base64": {"content": text},
        "data: URL": {"content": b"data:image/jpeg;base64," + text},
        "JSON": {"json": {"image": text.decode()}},
        "form": {"data": {"image": text.decode()}},
    }
    for word, request in sent.items():
        for call in ("detect", "anonymize"):
            refused = client.post(f"/v1/{call}", **request)  # type: ignore[arg-type]
            assert refused.status_code == 415
            assert word in refused.json()["detail"]
            assert "curl --data-binary @photo.jpg" in refused.json()["detail"]
    refused = client.post("/v1/anonymize", files={"image": text})
    assert (refused.status_code, "base64" in refused.json()["detail"]) == (415, True)


def test_compressed_body_is_refused_by_its_encoding(client: httpx.Client, astronaut_jpeg: bytes) -> None:
    headers = {"Content-Encoding": "gzip"}
    refused = client.post("/v1/detect", content=gzip.compress(astronaut_jpeg), headers=headers)
    assert (refused.status_code, "Content-Encoding" in refused.json()["detail"]) == (415, True)
    headers["Content-Encoding"] = "identity"
    assert client.post("/v1/detect", content=astronaut_jpeg, headers=headers).status_code == 200


@pytest.mark.parametrize("word", ["jpg", "jpeg", "JPG", "Jpeg", "png", "PNG", "webp"])
def test_format_is_taken_as_files_are_named(client: httpx.Client, astronaut_jpeg: bytes, word: str) -> None:
    answer = client.post("/v1/anonymize", params={"format": word}, content=astronaut_jpeg)
    wanted = "image/jpeg" if word.lower().startswith("j") else f"image/{word.lower()}"
    assert (answer.status_code, answer.headers["content-type"]) == (200, wanted)


def test_format_that_is_none_is_told_which_there_are(client: httpx.Client, astronaut_jpeg: bytes) -> None:
    refused = client.post("/v1/anonymize", params={"format": "gif"}, content=astronaut_jpeg)
    assert refused.status_code == 400
    assert "'jpeg', 'png' or 'webp'" in refused.json()["detail"]


@pytest.mark.parametrize("content_type", [None, "application/octet-stream", "image/png", "text/plain", "nonsense"])
def test_picture_is_known_by_its_content(client: httpx.Client, astronaut_jpeg: bytes, content_type: str | None) -> None:
    headers = {} if content_type is None else {"Content-Type": content_type}
    assert client.post("/v1/detect", content=astronaut_jpeg, headers=headers).status_code == 200


def test_picture_in_chunks_is_taken(client: httpx.Client, astronaut_jpeg: bytes) -> None:
    pieces = (astronaut_jpeg[i : i + 1000] for i in range(0, len(astronaut_jpeg), 1000))
    assert client.post("/v1/detect", content=pieces).status_code == 200


def test_limit_is_told_in_mib(stack: Stack) -> None:
    head = b"POST /v1/detect HTTP/1.1\r\nHost: x\r\nContent-Length: 67108865\r\n\r\n"
    with socket.create_connection((stack.gateway.host, stack.gateway.port), timeout=30) as connection:
        connection.sendall(head)
        answered = b""
        while b"request_id" not in answered:
            answered += connection.recv(65_536)
    assert answered.startswith(b"HTTP/1.1 413 ")
    assert b"at most 64 MiB a picture are accepted" in answered


@pytest.mark.skipif(CURL is None, reason="curl is not installed")
@pytest.mark.parametrize(
    "options",
    [
        ("--http2", "--data-binary"),
        ("--http2", "-H", "Expect: 100-continue", "--data-binary"),
        ("--http1.0", "--data-binary"),
        ("-H", "Transfer-Encoding: chunked", "--data-binary"),
        ("-X", "POST", "-T"),
    ],
)
def test_curl_is_served(gateway_url: str, astronaut_jpeg: bytes, tmp_path: Path, options: tuple[str, ...]) -> None:
    (tmp_path / "photo.jpg").write_bytes(astronaut_jpeg)
    assert CURL is not None
    picture = "photo.jpg" if options[-1] == "-T" else "@photo.jpg"
    said = subprocess.run(
        [CURL, "-sS", *options, picture, f"{gateway_url}/v1/detect"],
        cwd=tmp_path,
        capture_output=True,
        timeout=60,
        check=True,
    )
    assert len(json.loads(said.stdout)["faces"]) == 1


@pytest.mark.skipif(CURL is None, reason="curl is not installed")
@pytest.mark.parametrize("file_format", ["JPEG", "PNG"])
def test_picture_that_curl_has_damaged_is_told_how_to_send_it(
    gateway_url: str, astronaut: Image.Image, tmp_path: Path, file_format: str
) -> None:
    (tmp_path / "photo").write_bytes(encode(astronaut, file_format))
    assert CURL is not None
    said = subprocess.run(
        [CURL, "-sS", "-d", "@photo", f"{gateway_url}/v1/detect"],
        cwd=tmp_path,
        capture_output=True,
        timeout=60,
        check=True,
    )
    assert "--data-binary" in json.loads(said.stdout)["detail"]
