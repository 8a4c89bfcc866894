"""Faces to embeddings: chooses where the network runs, adds the flip test, normalises."""

from __future__ import annotations

from pathlib import Path
from typing import Protocol

import numpy as np
import torch

from services.chassis.inference.precision import Precision
from services.embedder.cuda_backend import CudaBackend
from services.embedder.embeddings import FACE_SHAPE, Embeddings, FaceBatch, RawEmbeddings
from services.embedder.network import Network, load_network
from services.embedder.openvino_backend import OpenVinoBackend
from services.embedder.options import Device, EngineOptions


class Backend(Protocol):
    """A network ready to run on one device. Used by one thread at a time."""

    device: str
    """What it computes on, for people."""
    precision: Precision
    """What it computes in, never AUTO."""

    def infer(self, faces: FaceBatch) -> RawEmbeddings:
        """Raw embeddings, N x dimension. A face's answer does not depend on the others."""


class Engine:
    """Embeds faces on one device. Blocking; used by one thread at a time."""

    def __init__(self, network: Network, backend: Backend, *, flip_test: bool, max_batch: int) -> None:
        self.architecture = network.architecture
        self.dimension = network.dimension
        self.device = backend.device
        self.precision = backend.precision
        self.max_batch = max_batch
        self._backend = backend
        self._flip_test = flip_test

    def embed(self, faces: FaceBatch) -> Embeddings:
        """Embeds a batch of at most `max_batch` faces.

        With the flip test the direction is that of f(face) + f(mirrored face), as in CurricularFace's benchmark; the
        norm is f(face)'s in either case.
        """
        if self._flip_test:
            both = self._backend.infer(np.concatenate([faces, faces[:, :, ::-1]]))
            raw, directions = both[: len(faces)], both[: len(faces)] + both[len(faces) :]
        else:
            raw = directions = self._backend.infer(faces)
        return Embeddings(
            values=directions / np.linalg.norm(directions, axis=1, keepdims=True), norms=np.linalg.norm(raw, axis=1)
        )

    def warm_up(self) -> None:
        """Runs the smallest and the largest batch, so that the first caller does not pay for preparations."""
        for size in (1, self.max_batch):
            self.embed(np.zeros((size, *FACE_SHAPE), np.uint8))


def open_engine(weights: Path, options: EngineOptions) -> Engine:
    """Loads weights and prepares them to run.

    Raises:
        NotReady: The weights cannot be used, or the device or the precision that was asked for is not there.
    """
    network = load_network(weights)
    largest = options.max_batch * (2 if options.flip_test else 1)
    backend: Backend
    if options.device is Device.CUDA or (options.device is Device.AUTO and torch.cuda.is_available()):
        backend = CudaBackend(network, precision=options.precision, max_batch=largest)
    else:
        backend = OpenVinoBackend(network, precision=options.precision, threads=options.threads)
    return Engine(network, backend, flip_test=options.flip_test, max_batch=options.max_batch)
