"""IR-101 on an NVIDIA GPU: faces a second by batch size and precision, as a share of the GPU's own matrix peak.

    python -m benchmarks.embedder_gpu [--target 127.0.0.1:50052]

Needs torch, grpcio and numpy beside this repository. The weights are random: speed does not depend on them. With
--target the embedder running there is loaded too. Start it on the same GPU with an IR-101 file and a large batch:
FACET_EMBEDDER_DEVICE=cuda, FACET_EMBEDDER_WEIGHTS, FACET_EMBEDDER_MAX_BATCH=256, FACET_EMBEDDER_QUEUE_SIZE=4096.
"""

from __future__ import annotations

import argparse
import asyncio
import time

import numpy as np
import torch

from benchmarks.embedder_load import faces_a_second
from services.chassis.errors import NotReady
from services.chassis.inference.precision import Precision
from services.embedder.cuda_backend import DTYPES, CudaBackend
from services.embedder.embeddings import FACE_SHAPE
from services.embedder.ir import IrNetwork, IrShape, Layout
from services.embedder.network import SYMMETRIC, Network

FLOP_A_FACE = 24.2e9  # IR-101 at 112x112, a multiplication and an addition counted as two
BATCHES = (1, 2, 4, 8, 16, 32, 64, 128, 256, 512)
PRECISIONS = (Precision.FP32, Precision.BF16, Precision.FP16)
MATRIX_SIDE = 8192
MATRIX_RUNS = 20
MEASURED_S = 2.0
GRPC_SECONDS = 20.0
GRPC_LOADS = ((32, 1), (256, 1), (1024, 1), (64, 16))  # callers, faces a call


def main() -> None:
    """Prints a table a precision, then the rates through gRPC."""
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    options.add_argument("--target", help="a running embedder, host:port")
    target = options.parse_args().target
    if not torch.cuda.is_available():
        raise SystemExit("torch finds no GPU")
    print(f"{torch.cuda.get_device_name()}, torch {torch.__version__}, CUDA {torch.version.cuda}")
    peaks = {precision: _matrix_peak(DTYPES[precision]) for precision in PRECISIONS}
    for precision in PRECISIONS:
        print(f"\n{precision}: matrix peak {peaks[precision] / 1e12:.0f} TFLOP/s")
        print(f"{'batch':>6}{'faces/s':>10}{'of peak':>9}")
        for batch, rate in _bare_rates(precision).items():
            print(f"{batch:6}{rate:10.0f}{rate * FLOP_A_FACE / peaks[precision]:9.1%}")
    if target is not None:
        print(f"\nthrough gRPC at {target}, as a share of the bf16 peak")
        print(f"{'callers':>8}{'faces a call':>14}{'faces/s':>10}{'of peak':>9}")
        for callers, faces in GRPC_LOADS:
            rate = asyncio.run(faces_a_second(target, callers=callers, faces_a_call=faces, duration_s=GRPC_SECONDS))
            print(f"{callers:8}{faces:14}{rate:10.0f}{rate * FLOP_A_FACE / peaks[Precision.BF16]:9.1%}")


def _matrix_peak(dtype: torch.dtype) -> float:
    """Operations a second of the largest plain matrix product, the best of several."""
    first, second = (torch.randn(MATRIX_SIDE, MATRIX_SIDE, device="cuda", dtype=dtype) for _ in range(2))
    best_s = float("inf")
    for _ in range(MATRIX_RUNS):
        torch.cuda.synchronize()
        started_s = time.perf_counter()
        torch.mm(first, second)
        torch.cuda.synchronize()
        best_s = min(best_s, time.perf_counter() - started_s)
    return 2 * MATRIX_SIDE**3 / best_s


def _bare_rates(precision: Precision) -> dict[int, float]:
    """Faces a second by batch size, copies to and from the GPU included."""
    network = Network(
        architecture="IR-101",
        module=IrNetwork(IrShape(depth=101, layout=Layout.OFFICIAL, dimension=512)).eval().requires_grad_(False),
        normalisation=SYMMETRIC,
        dimension=512,
    )
    try:
        backend = CudaBackend(network, precision=precision, max_batch=BATCHES[-1])
    except NotReady as error:
        raise SystemExit(str(error)) from error
    faces = np.random.default_rng(0).integers(0, 256, (BATCHES[-1], *FACE_SHAPE), dtype=np.uint8)
    rates = {}
    for batch in BATCHES:
        backend.infer(faces[:batch])
        runs = 0
        started_s = time.perf_counter()
        while (elapsed_s := time.perf_counter() - started_s) < MEASURED_S:
            backend.infer(faces[:batch])
            runs += 1
        rates[batch] = runs * batch / elapsed_s
    return rates


if __name__ == "__main__":
    main()
