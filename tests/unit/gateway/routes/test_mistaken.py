"""What is sent in place of a picture is named, and no picture is taken for it."""

from __future__ import annotations

import base64
import gzip
import json

import numpy as np
import pytest
from PIL import Image

from gateway.routes.mistaken import check_is_no_mistake
from services.chassis.errors import UnsupportedFormat
from services.chassis.pictures.picture_format import PictureFormat
from tests.support.pictures import encode, noise

JPEG = encode(noise(300, 200), "JPEG")
PNG = encode(noise(300, 200), "PNG")
BASE64 = base64.b64encode(JPEG)
MISTAKES = {
    "base64": (BASE64, "base64"),
    "base64 of a PNG": (base64.b64encode(PNG), "base64"),
    "base64 in lines": (base64.encodebytes(JPEG), "base64"),
    "base64 in lines of Windows": (base64.encodebytes(JPEG).replace(b"\n", b"\r\n"), "base64"),
    "base64 for URLs": (base64.urlsafe_b64encode(JPEG), "base64"),
    "data URL": (b"data:image/jpeg;base64," + BASE64, "data: URL"),
    "JSON": (json.dumps({"image": BASE64.decode()}).encode(), "JSON"),
    "JSON, indented": (b"\n  " + json.dumps({"image": "x"}, indent=2).encode(), "JSON"),
    "JSON with a mark": (b"\xef\xbb\xbf{}", "JSON"),
    "JSON in UTF-16": ("\N{ZERO WIDTH NO-BREAK SPACE}{}".encode("utf-16-le"), "JSON"),
    "JSON list": (b'["a"]', "JSON"),
    "JSON text": (b'"' + BASE64 + b'"', "JSON"),
    "HTML": (b"<!DOCTYPE html><html>", "HTML"),
    "SVG": (b"<svg xmlns='http://www.w3.org/2000/svg'/>", "SVG"),
    "PDF": (b"%PDF-1.7\n%\xe2\xe3\xcf\xd3\n", "PDF"),
    "MP4": (b"\0\0\0\x18ftypisom\0\0\2\0isomiso2", "video"),
    "QuickTime": (b"\0\0\0\x14ftypqt  \0\0\2\0qt  ", "video"),
    "WebM": (b"\x1aE\xdf\xa3\x9fB\x86\x81\1", "video"),
    "AVI": (b"RIFF\0\1\0\0AVI LIST", "video"),
    "gzip": (gzip.compress(JPEG), "gzip"),
    "ZIP": (b"PK\3\4\x14\0\0\0", "ZIP"),
    "form": (b"image=" + BASE64, "form"),
    "multipart without its type": (b'--x\r\nContent-Disposition: form-data; name="image"\r\n\r\n', "multipart"),
    "address": (b"https://example.org/photo.jpg", "a URL"),
    "name of a file": (b"photo.jpg", "text"),
    "text": ("Grüße, und hier das Bild: ".encode() * 40, "text"),
    "curl -d of a PNG": (PNG.replace(b"\r", b"").replace(b"\n", b"").replace(b"\0", b""), "--data-binary"),
    "curl -d of a JPEG": (JPEG.replace(b"\r", b"").replace(b"\n", b"").replace(b"\0", b""), "--data-binary"),
}


@pytest.mark.parametrize("name", MISTAKES)
def test_mistake_is_named_with_what_to_send(name: str) -> None:
    content, word = MISTAKES[name]
    with pytest.raises(UnsupportedFormat, match=word) as refused:
        check_is_no_mistake(content)
    assert str(refused.value).endswith("send one of JPEG, PNG, WEBP, BMP, TIFF, HEIF")
    assert len(str(refused.value)) < 300


@pytest.mark.parametrize("file_format", [f.value for f in PictureFormat if f.written])
@pytest.mark.parametrize("size", [(1, 1), (8, 8), (300, 200)])
@pytest.mark.parametrize("value", [None, 0, 0x20, 0x41, 255])
def test_no_picture_is_taken_for_a_mistake(file_format: str, size: tuple[int, int], value: int | None) -> None:
    picture = noise(*size) if value is None else Image.fromarray(np.full((size[1], size[0], 3), value, np.uint8))
    check_is_no_mistake(encode(picture, file_format))


@pytest.mark.parametrize("cut", [0, 1, 3, 4, 10, 20, 100])
def test_picture_that_is_cut_off_is_left_to_the_decoder(cut: int) -> None:
    check_is_no_mistake(JPEG[:cut])


def test_heif_is_not_taken_for_a_video() -> None:
    for brand in (b"heic", b"mif1", b"msf1", b"heix", b"avif"):
        check_is_no_mistake(b"\0\0\0\x18ftyp" + brand + b"\0\0\0\0mif1heic")
