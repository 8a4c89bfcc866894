"""Weights files for the embedder's tests."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from services.embedder.ir import IrNetwork, IrShape, Layout
from services.embedder.mobilefacenet import MobileFaceNet
from tests.support.embedders import MOBILEFACENET, SEEDED, Golden, golden_vectors, write_random_weights


@pytest.fixture(scope="module", params=[*SEEDED, MOBILEFACENET])
def golden(request: pytest.FixtureRequest, shared_dir: Path) -> Iterator[Golden]:
    with golden_vectors(request.param, shared_dir) as vectors:
        yield vectors


@pytest.fixture(scope="session")
def ir50_weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An IR-50 with 32 values an embedding."""
    network = IrNetwork(IrShape(depth=50, layout=Layout.OFFICIAL, dimension=32))
    return write_random_weights(network, tmp_path_factory.mktemp("weights") / "ir50.pth")


@pytest.fixture(scope="session")
def mobilefacenet_weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A MobileFaceNet with 48 values an embedding."""
    return write_random_weights(MobileFaceNet(48), tmp_path_factory.mktemp("weights") / "mobilefacenet.pth")
