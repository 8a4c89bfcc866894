"""Fixtures that all tests share: test data, a picture with a face, a running stack."""

from __future__ import annotations

import io
from collections.abc import Iterator
from pathlib import Path

import pytest
from PIL import Image
from skimage import data

from tests.support.processes import REPOSITORY, Stack


@pytest.fixture(scope="session")
def shared_dir() -> Path:
    """The folder of published test data beside the repository."""
    folder = REPOSITORY.parent / "shared"
    if not (folder / "images").is_dir():
        pytest.skip("needs the published test pictures and weights in ../shared, which are not in the repository")
    return folder


@pytest.fixture(scope="session")
def astronaut() -> Image.Image:
    """512 x 512 RGB, one face around (224, 120)."""
    return Image.fromarray(data.astronaut())


@pytest.fixture(scope="session")
def astronaut_jpeg(astronaut: Image.Image) -> bytes:
    """The same as a JPEG file."""
    file = io.BytesIO()
    astronaut.save(file, "JPEG", quality=95)
    return file.getvalue()


@pytest.fixture(scope="session")
def stack() -> Iterator[Stack]:
    """One stack for all tests that do not stop a part of it."""
    running = Stack()
    yield running
    running.stop()


@pytest.fixture(scope="session")
def gateway_url(stack: Stack) -> str:
    """The address of the page and the REST calls."""
    return stack.gateway.url
