"""`facet anonymize photo.jpg` without -o: the result lies beside the picture, and nothing is overwritten unasked."""

from __future__ import annotations

from pathlib import Path

import pytest
from PIL import Image, ImageFile

from tests.support.facet_command import facet
from tests.support.pictures import encode


@pytest.fixture
def photo(tmp_path: Path, astronaut_jpeg: bytes) -> Path:
    path = tmp_path / "photo.jpg"
    path.write_bytes(astronaut_jpeg)
    return path


def kind(path: Path) -> str | None:
    with Image.open(path) as picture:
        picture.load()
        return picture.get_format_mimetype() if isinstance(picture, ImageFile.ImageFile) else None


def test_one_file_is_answered_beside_it_and_once(gateway_url: str, photo: Path) -> None:
    run = ("anonymize", photo, "--target", gateway_url)
    done = facet(*run)
    hidden = photo.with_name("photo-hidden.jpg")
    assert done.returncode == 0
    assert "1 pictures done, 1 faces in " in done.stderr.decode()
    assert f"written to {hidden}\n" in done.stderr.decode()
    assert kind(hidden) == kind(photo) == "image/jpeg"

    hidden.write_bytes(b"mine")
    refused = facet(*run)
    assert refused.returncode == 1
    assert f"{hidden} exists; give another name, or --overwrite" in refused.stderr.decode()
    assert hidden.read_bytes() == b"mine"
    assert facet(*run, "--overwrite").returncode == 0
    assert hidden.read_bytes() != b"mine"


def test_name_follows_the_format_that_is_answered(gateway_url: str, photo: Path, astronaut: Image.Image) -> None:
    assert facet("anonymize", photo, "--format", "png", "--target", gateway_url).returncode == 0
    assert kind(photo.with_name("photo-hidden.png")) == "image/png"

    misnamed = photo.with_name("misnamed.jpg")
    misnamed.write_bytes(encode(astronaut, "PNG"))
    taken = photo.with_name("misnamed-hidden.png")
    taken.write_bytes(b"mine")
    assert facet("anonymize", misnamed, "--target", gateway_url).returncode == 3
    assert taken.read_bytes() == b"mine"
    assert facet("anonymize", misnamed, "--overwrite", "--target", gateway_url).returncode == 0
    assert kind(taken) == "image/png"


def test_original_that_is_a_link_to_the_results_name_stays(gateway_url: str, photo: Path) -> None:
    original = photo.with_name("photo-hidden.jpg")
    photo.rename(original)
    photo.symlink_to(original)
    before = original.read_bytes()
    refused = facet("anonymize", photo, "--overwrite", "--target", gateway_url)
    assert refused.returncode == 1
    assert b"is the picture itself" in refused.stderr
    assert original.read_bytes() == before


def test_more_than_one_file_needs_a_place(photo: Path) -> None:
    for paths in ([photo, photo], [photo.parent], [photo.parent / "*.jpg"], ["-"], ["s3://bucket/photo.jpg"]):
        refused = facet("anonymize", *paths, "--target", "http://127.0.0.1:1")
        assert refused.returncode == 2
        assert b"-o FOLDER" in refused.stderr


def test_one_file_that_is_not_there_is_named(photo: Path) -> None:
    refused = facet("anonymize", photo.with_name("other.jpg"), "--target", "http://127.0.0.1:1")
    assert refused.returncode == 1
    assert b"other.jpg: no such file or folder" in refused.stderr
