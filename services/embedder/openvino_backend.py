"""Networks on the CPU, run by OpenVINO: on every processor measured it is faster than torch's own kernels."""

from __future__ import annotations

from services.chassis.errors import NotReady
from services.chassis.inference.folding import fold
from services.chassis.inference.openvino import Processors
from services.chassis.inference.translation import ANY, translated
from services.embedder.embeddings import FACE_SHAPE, FaceBatch, RawEmbeddings
from services.embedder.network import Network
from services.embedder.options import Precision


class OpenVinoBackend:
    """A compiled network on the CPU. `infer` is for one thread at a time."""

    def __init__(self, network: Network, *, precision: Precision, threads: int) -> None:
        """Compiles the network for any batch size.

        Args:
            network: what to run.
            precision: FP32 or BF16; AUTO takes BF16 where the processor computes in it.
            threads: processors to compute on.

        Raises:
            NotReady: OpenVINO is not installed, or the processor does not compute in the precision.
        """
        processors = Processors()
        self.precision = _resolve(precision, has_bf16=processors.have_bf16)
        self.device = f"{processors.name}, {threads} threads"
        model = translated(
            fold(network.module),
            shape=(ANY, *FACE_SHAPE),
            mean=network.normalisation.mean,
            deviation=network.normalisation.deviation,
        )
        compiled = processors.compile(model, bf16=self.precision is Precision.BF16, threads=threads)
        self._request = compiled.create_infer_request()

    def infer(self, faces: FaceBatch) -> RawEmbeddings:
        """RGB N x 112 x 112 x 3 to raw embeddings, N x dimension."""
        raw: RawEmbeddings = self._request.infer({0: faces})[0]
        return raw


def _resolve(asked: Precision, *, has_bf16: bool) -> Precision:
    if asked is Precision.AUTO:
        return Precision.BF16 if has_bf16 else Precision.FP32
    if asked is Precision.FP16:
        raise NotReady("precision fp16 needs a GPU: on a CPU use auto, fp32 or bf16")
    if asked is Precision.BF16 and not has_bf16:
        raise NotReady("this processor does not compute in bf16 (neither avx512_bf16 nor amx_bf16): use auto or fp32")
    return asked
