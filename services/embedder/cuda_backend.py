"""Networks on an NVIDIA GPU: a few batch sizes captured as CUDA graphs, so that launching kernels costs nothing."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn.utils import convert_conv2d_weight_memory_format

from services.chassis.errors import NotReady
from services.chassis.inference.folding import fold
from services.chassis.inference.precision import Precision
from services.embedder.embeddings import FACE_SHAPE, FaceBatch, RawEmbeddings
from services.embedder.network import Network

WARM_UP_RUNS = 3  # before a capture: cuDNN picks its kernels and workspaces are allocated
DTYPES = {Precision.FP32: torch.float32, Precision.BF16: torch.bfloat16, Precision.FP16: torch.float16}


class PixelNetwork(nn.Module):
    """A folded network from pixels to raw embeddings, weights and activations in one dtype, channels last in memory."""

    def __init__(self, network: Network, *, dtype: torch.dtype, device: torch.device) -> None:
        super().__init__()
        self._dtype = dtype
        self._network = fold(network.module).to(device, dtype)
        convert_conv2d_weight_memory_format(self._network, torch.channels_last)
        self._mean = torch.tensor(network.normalisation.mean, device=device)[:, None, None]
        self._scale = 1 / torch.tensor(network.normalisation.deviation, device=device)[:, None, None]

    def forward(self, faces: Tensor) -> Tensor:
        """Uint8 N x 112 x 112 x 3 to float32 N x dimension."""
        planes = ((faces.permute(0, 3, 1, 2).float() - self._mean) * self._scale).to(self._dtype)
        raw: Tensor = self._network(planes)
        return raw.float()


@dataclass(frozen=True, slots=True, kw_only=True)
class _Captured:
    graph: torch.cuda.CUDAGraph
    raw: Tensor  # on the GPU; overwritten by each replay


class CudaBackend:
    """A network captured for a few batch sizes; a batch in between is padded to the next. One thread at a time."""

    def __init__(self, network: Network, *, precision: Precision, max_batch: int) -> None:
        """Uploads the network and captures it.

        Args:
            network: what to run.
            precision: AUTO takes BF16 where the GPU computes in it natively, else FP16.
            max_batch: most faces of one batch.

        Raises:
            NotReady: There is no GPU that torch finds.
        """
        if not torch.cuda.is_available():
            raise NotReady(
                "a GPU was asked for, but torch finds none: check the driver and that this torch is built for CUDA, or "
                "set FACET_EMBEDDER_DEVICE=cpu"
            )
        self.precision = _resolve(precision)
        device = torch.device("cuda")
        self.device = torch.cuda.get_device_name(device)
        self._stream = torch.cuda.Stream(device)  # type: ignore[no-untyped-call]
        forward = PixelNetwork(network, dtype=DTYPES[self.precision], device=device)
        pixels = (max_batch, *FACE_SHAPE)
        self._pinned_faces = torch.zeros(pixels, dtype=torch.uint8, pin_memory=True)
        self._pinned_raw = torch.empty((max_batch, network.dimension), dtype=torch.float32, pin_memory=True)
        with torch.inference_mode():
            self._faces = torch.zeros(pixels, dtype=torch.uint8, device=device)
            self._captured = self._capture(forward, captured_sizes(max_batch))

    def infer(self, faces: FaceBatch) -> RawEmbeddings:
        """RGB N x 112 x 112 x 3, N at most `max_batch`, to raw embeddings, N x dimension."""
        count = len(faces)
        captured = self._captured[next(size for size in sorted(self._captured) if size >= count)]
        self._pinned_faces[:count].numpy()[...] = faces
        with torch.inference_mode(), torch.cuda.stream(self._stream):
            self._faces[:count].copy_(self._pinned_faces[:count], non_blocking=True)
            captured.graph.replay()
            self._pinned_raw[:count].copy_(captured.raw[:count], non_blocking=True)
        self._stream.synchronize()
        return self._pinned_raw[:count].numpy().copy()

    def _capture(self, forward: PixelNetwork, sizes: tuple[int, ...]) -> dict[int, _Captured]:
        captured: dict[int, _Captured] = {}
        pool = torch.cuda.graph_pool_handle()  # graphs never run at once, so they share their memory
        # Without TF32: fp32 was asked for, and means it.
        with torch.backends.cudnn.flags(enabled=True, benchmark=True, allow_tf32=False):
            for size in reversed(sizes):  # the largest first: the others fit into its memory
                faces = self._faces[:size]
                with torch.cuda.stream(self._stream):
                    for _ in range(WARM_UP_RUNS):
                        forward(faces)
                self._stream.synchronize()
                graph = torch.cuda.CUDAGraph()
                with torch.cuda.graph(graph, pool=pool, stream=self._stream):
                    raw = forward(faces)
                captured[size] = _Captured(graph=graph, raw=raw)
        return captured


def captured_sizes(max_batch: int) -> tuple[int, ...]:
    """Powers of two below `max_batch`, and `max_batch`: padding costs at most half of a batch, and none under load."""
    return (*(1 << power for power in range((max_batch - 1).bit_length())), max_batch)


def _resolve(asked: Precision) -> Precision:
    if asked is not Precision.AUTO:
        return asked
    return Precision.BF16 if torch.cuda.is_bf16_supported(including_emulation=False) else Precision.FP16
