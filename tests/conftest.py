"""Fixtures that all tests share: test data, a picture with a face, a running stack."""

from __future__ import annotations

import asyncio
import io
import os
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import pytest
from PIL import Image
from skimage import data

from services.chassis.models.store import ModelState, ModelStore
from services.chassis.process.settings import ModelSettings
from tests.support.event_loops import SuccessiveEventLoop
from tests.support.processes import REPOSITORY, Stack


def pytest_asyncio_loop_factories() -> Mapping[str, Callable[[], asyncio.AbstractEventLoop]]:
    """The loop that every asynchronous test runs on."""
    return {"successive": SuccessiveEventLoop}


@pytest.fixture(scope="session", autouse=True)
def state_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where this user's state lies, also for commands that tests run: not where the developer's own does."""
    folder = tmp_path_factory.mktemp("state")
    os.environ["XDG_STATE_HOME"] = str(folder)
    return folder


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
def identity_stack() -> Iterator[Stack]:
    """One stack with an embedder on the published light weights, for all tests that do not stop a part of it."""
    for name in ("retinaface-mobilenet025", "mobilefacenet"):
        if ModelStore(ModelSettings()).state(name) is not ModelState.INSTALLED:
            pytest.skip(f"needs the weights of {name}: run `facet models pull {name}`")
    running = Stack(embedder=True, FACET_EMBEDDER_MODEL="mobilefacenet")
    yield running
    running.stop()


@pytest.fixture(scope="session")
def compare_gateway_url(identity_stack: Stack) -> str:
    """The address of a page and REST calls with an embedder behind them."""
    return identity_stack.gateway.url


@pytest.fixture(scope="session")
def gateway_url(stack: Stack) -> str:
    """The address of the page and the REST calls."""
    return stack.gateway.url
