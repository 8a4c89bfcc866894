"""Weights for the embedder's tests: random ones everywhere, golden ones where the published test data lie."""

from __future__ import annotations

import runpy
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from services.embedder.embeddings import FACE_SHAPE, FaceBatch
from tests.support.processes import RunningTier

SEEDED = ("curricular_ir50", "curricular_ir101", "curricular_tface_ir50", "curricular_tface_ir101")
MOBILEFACENET = "mobilefacenet"


@dataclass(frozen=True, kw_only=True)
class Golden:
    """A weights file, faces, and what the reference implementation answers."""

    weights: Path
    faces: FaceBatch
    embedding: NDArray[np.float32]
    flipped: NDArray[np.float32]
    norm: NDArray[np.float32]


@contextmanager
def golden_vectors(name: str, shared: Path) -> Iterator[Golden]:
    """The golden vectors of one of `SEEDED` or of MOBILEFACENET, with its weights for as long as the context lasts."""
    folder = shared / "golden"
    with tempfile.TemporaryDirectory() as scratch:  # 260 MB a file: pytest would keep three runs of its own folders
        if name == MOBILEFACENET:
            weights = shared / "weights" / "mobilefacenet.pt"
            vectors = np.load(folder / "mobilefacenet_published.npz")
        else:
            weights = Path(scratch) / f"{name}.pth"
            vectors = np.load(folder / f"{name}_seed1.npz")
            seeded_state = runpy.run_path(str(folder / "seeded_weights.py"))["seeded_state"]
            state = seeded_state(folder / f"{name}_keys.txt", seed=1)
            torch.save({key: torch.from_numpy(value) for key, value in state.items()}, weights)
        yield Golden(
            weights=weights,
            faces=vectors["rgb_u8_nhwc"],
            embedding=vectors["embedding"],
            flipped=vectors["embedding_flip_sum"],
            norm=vectors["norm"],
        )


def write_random_weights(network: nn.Module, path: Path) -> Path:
    """Saves a freshly made network, its batch norms moved away from the identity that untrained ones are."""
    draw = torch.Generator().manual_seed(1)
    state = network.state_dict()
    for key, value in state.items():
        if key.endswith("running_mean"):
            value.normal_(0, 0.1, generator=draw)
        elif key.endswith("running_var"):
            value.uniform_(0.5, 1.5, generator=draw)
    torch.save(state, path)
    return path


def random_faces(count: int) -> FaceBatch:
    """Noise, the same each time."""
    return np.random.default_rng(0).integers(0, 256, (count, *FACE_SHAPE), dtype=np.uint8)


@contextmanager
def running_embedder(**settings: str) -> Iterator[RunningTier]:
    """An embedder tier on the CPU with settings of its own; it has not loaded yet."""
    chosen = {f"FACET_EMBEDDER_{name.upper()}": value for name, value in settings.items()}
    ports = {"FACET_EMBEDDER_PORT": "0", "FACET_EMBEDDER_METRICS_PORT": "0", "FACET_DRAIN_S": "0"}
    tier = RunningTier("services.embedder", ports | {"FACET_EMBEDDER_DEVICE": "cpu"} | chosen)
    try:
        yield tier
    finally:
        assert tier.stop() == 0
