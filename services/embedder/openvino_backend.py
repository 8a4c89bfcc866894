"""Networks on the CPU, run by OpenVINO: on every processor measured it is faster than torch's own kernels."""

from __future__ import annotations

import logging

import numpy as np
import torch

from services.chassis.inference.folding import fold
from services.chassis.inference.openvino import InferRequest, Model, Processors
from services.chassis.inference.precision import Precision
from services.chassis.inference.soundness import disagreement, torch_on_one_thread
from services.chassis.inference.translation import ANY, translated
from services.embedder.embeddings import FACE_SHAPE, FaceBatch, RawEmbeddings
from services.embedder.network import Network

MOST_OFF = 0.3
"""How far bf16 may be from fp32, as a share of the embeddings' length; MobileFaceNet was seen to be off by 0.05."""
_log = logging.getLogger("facet.embedder")


class OpenVinoBackend:
    """A compiled network on the CPU. `infer` is for one thread at a time."""

    def __init__(self, network: Network, *, precision: Precision, threads: int) -> None:
        """Compiles the network for any batch size. bf16 is tried out, and given up for fp32 where it computes wrongly.

        Args:
            network: what to run.
            precision: FP32 or BF16; AUTO takes BF16 where the processor computes in it.
            threads: processors to compute on.

        Raises:
            NotReady: OpenVINO is not installed, or the processor does not compute in the precision.
        """
        processors = Processors()
        self.precision = processors.resolved(precision)
        self.device = f"{processors.name}, {threads} threads"
        model = translated(
            fold(network.module),
            shape=(ANY, *FACE_SHAPE),
            mean=network.normalisation.mean,
            deviation=network.normalisation.deviation,
        )
        self._request = _compiled(processors, model, self.precision, threads)
        if self.precision is Precision.BF16 and (reason := _objection(self, network)):
            self.precision = Precision.FP32
            self._request = _compiled(processors, model, self.precision, threads)
            fields = {"reason": reason, "precision": self.precision}
            _log.warning("bf16 computes wrongly on this processor: fp32 is used", extra={"fields": fields})

    def infer(self, faces: FaceBatch) -> RawEmbeddings:
        """RGB N x 112 x 112 x 3 to raw embeddings, N x dimension."""
        raw: RawEmbeddings = self._request.infer({0: faces})[0]
        return raw


def _compiled(processors: Processors, model: Model, precision: Precision, threads: int) -> InferRequest:
    compiled = processors.compile(model, bf16=precision is Precision.BF16, threads=threads)
    return compiled.create_infer_request()


def _objection(backend: OpenVinoBackend, network: Network) -> str:
    """Why the backend's embeddings cannot be trusted; empty where they can."""
    dice = np.random.default_rng(0)
    batches = [dice.integers(0, 256, (count, *FACE_SHAPE), dtype=np.uint8) for count in (1, 2)]
    mean, deviation = (torch.tensor(values) for values in (network.normalisation.mean, network.normalisation.deviation))

    def reference(faces: FaceBatch) -> list[RawEmbeddings]:
        planes = ((torch.from_numpy(faces) - mean) / deviation).permute(0, 3, 1, 2)
        with torch.inference_mode():
            return [network.module(planes).numpy()]

    with torch_on_one_thread():
        return disagreement(lambda faces: [backend.infer(faces)], reference, batches, most=MOST_OFF)
