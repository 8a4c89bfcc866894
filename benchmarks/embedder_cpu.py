"""IR-101 on a CPU: Facet's engine beside torch and onnxruntime in one run, bare and through gRPC.

    python -m benchmarks.embedder_cpu [--threads 2] [--rounds 10]

Engines take turns within each round, so that whatever else the machine does falls on all of them alike. The weights are
random: speed does not depend on them. onnxruntime is measured where it and onnx are installed; Facet needs neither.
"""

from __future__ import annotations

import argparse
import asyncio
import importlib.util
import io
import os
import statistics
import subprocess
import sys
import tempfile
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import grpc
import numpy as np
import torch
from grpc_health.v1 import health_pb2, health_pb2_grpc

from benchmarks.embedder_load import faces_a_second, overload
from services.chassis.errors import NotReady
from services.chassis.inference.precision import Precision
from services.embedder.cuda_backend import PixelNetwork
from services.embedder.embeddings import FACE_SHAPE, FaceBatch, RawEmbeddings
from services.embedder.ir import IrNetwork, IrShape, Layout
from services.embedder.network import Network, load_network
from services.embedder.openvino_backend import OpenVinoBackend

BATCHES = (1, 8)
BASELINE = "torch fp32, eager"
CALLERS = 32
OVERLOAD = 4
DEADLINE_S = 10.0
PORT, METRICS_PORT = 50952, 59102
TARGET = f"127.0.0.1:{PORT}"
Infer = Callable[[FaceBatch], RawEmbeddings]


def main() -> None:
    """Prints the table, then the share of it that gRPC keeps."""
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    options.add_argument("--threads", type=int, default=len(os.sched_getaffinity(0)))
    options.add_argument("--rounds", type=int, default=10)
    options.add_argument("--seconds", type=float, default=20.0, help="how long to load the tier through gRPC; 0 = not")
    arguments = options.parse_args()
    torch.set_num_threads(arguments.threads)
    with tempfile.TemporaryDirectory() as scratch:
        weights = Path(scratch) / "ir101.pth"
        torch.save(IrNetwork(IrShape(depth=101, layout=Layout.OFFICIAL, dimension=512)).state_dict(), weights)
        engines = _engines(load_network(weights), arguments.threads)
        best_ms = _measure(engines, arguments.rounds)
        if arguments.seconds:
            _measure_tier(weights, arguments.threads, arguments.seconds, best_ms)


def _engines(network: Network, threads: int) -> dict[str, Infer]:
    engines: dict[str, Infer] = {BASELINE: _eager(network)}
    for dtype, name in ((torch.float32, "fp32"), (torch.bfloat16, "bf16")):
        engines[f"torch {name}, folded, channels last"] = _torch(
            PixelNetwork(network, dtype=dtype, device=torch.device("cpu"))
        )
    if importlib.util.find_spec("onnxruntime"):
        engines["onnxruntime fp32"] = _onnxruntime(network, threads)
    else:
        print("onnxruntime is not installed: left out")
    for precision in (Precision.FP32, Precision.BF16):
        try:
            engines[f"Facet {precision}"] = OpenVinoBackend(network, precision=precision, threads=threads).infer
        except NotReady as error:
            print(f"Facet {precision}: {error}")
    return engines


def _eager(network: Network) -> Infer:
    def infer(faces: FaceBatch) -> RawEmbeddings:
        with torch.inference_mode():
            raw: RawEmbeddings = network.module(_planes(faces)).numpy()
        return raw

    return infer


def _torch(network: PixelNetwork) -> Infer:
    def infer(faces: FaceBatch) -> RawEmbeddings:
        with torch.inference_mode():
            raw: RawEmbeddings = network(torch.from_numpy(faces)).numpy()
        return raw

    return infer


def _onnxruntime(network: Network, threads: int) -> Infer:
    import onnxruntime  # noqa: PLC0415  (optional)

    exported = io.BytesIO()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the exporter that needs no further package is the older one
        torch.onnx.export(
            network.module,
            (torch.zeros(1, 3, *FACE_SHAPE[:2]),),
            exported,  # type: ignore[arg-type]  # a file object, which this exporter takes and its signature forgets
            dynamo=False,
            input_names=["planes"],
            dynamic_axes={"planes": {0: "faces"}},
        )
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    session = onnxruntime.InferenceSession(exported.getvalue(), options, providers=["CPUExecutionProvider"])

    def infer(faces: FaceBatch) -> RawEmbeddings:
        raw: RawEmbeddings = session.run(None, {"planes": _planes(faces).numpy()})[0]
        return raw

    return infer


def _planes(faces: FaceBatch) -> torch.Tensor:
    return ((torch.from_numpy(faces).permute(0, 3, 1, 2).float() - 127.5) / 127.5).contiguous()


def _measure(engines: dict[str, Infer], rounds: int) -> float:
    """Prints a row an engine; returns the best milliseconds a face of Facet's."""
    medians: dict[str, list[float]] = {name: [] for name in engines}
    for batch in BATCHES:
        faces = np.random.default_rng(0).integers(0, 256, (batch, *FACE_SHAPE), dtype=np.uint8)
        times_ms: dict[str, list[float]] = {name: [] for name in engines}
        for _ in range(rounds):
            for name, infer in engines.items():
                infer(faces)  # its turn begins with its weights and buffers back in the caches
                started_s = time.perf_counter()
                infer(faces)
                times_ms[name].append((time.perf_counter() - started_s) * 1000 / batch)
        for name, samples in times_ms.items():
            medians[name].append(statistics.median(samples))
    print(f"{'median ms a face at batch':34}" + "".join(f"{batch:>8}" for batch in BATCHES) + f"   times {BASELINE}")
    for name, row in medians.items():
        speed_ups = [baseline / time_ms for baseline, time_ms in zip(medians[BASELINE], row, strict=True)]
        print(
            f"{name:34}"
            + "".join(f"{time_ms:8.1f}" for time_ms in row)
            + "   "
            + "".join(f"{x:6.2f}" for x in speed_ups)
        )
    return min(min(row) for name, row in medians.items() if name.startswith("Facet"))


def _measure_tier(weights: Path, threads: int, seconds: float, best_ms: float) -> None:
    with _running_tier(weights, threads):
        rate = asyncio.run(faces_a_second(TARGET, callers=CALLERS, faces_a_call=1, duration_s=seconds))
    print(
        f"through gRPC, {CALLERS} callers of one face: {rate:.1f} faces/s, {rate * best_ms / 10:.0f} % of the bare best"
    )
    # Refusing costs processor time, and here so does sending: neither is taken from the engine.
    spared = max(1, threads - 1)
    with _running_tier(weights, spared):
        rate = asyncio.run(faces_a_second(TARGET, callers=CALLERS, faces_a_call=1, duration_s=seconds))
        came = asyncio.run(overload(TARGET, calls_a_second=OVERLOAD * rate, deadline_s=DEADLINE_S, duration_s=seconds))
    print(
        f"with {spared} thread(s), {OVERLOAD} times as many as the {rate:.1f} faces/s it can: "
        f"{came.answers_a_second:.1f} faces/s, {came.answers_a_second / rate:.0%}; "
        f"{len(came.refused_after_s)} refused after {1000 * statistics.median(came.refused_after_s):.0f} ms (median), "
        f"{len(came.answered_after_s)} answered, {came.late} of them late"
    )


@contextmanager
def _running_tier(weights: Path, threads: int) -> Iterator[None]:
    environment = os.environ | {
        "FACET_EMBEDDER_WEIGHTS": str(weights),
        "FACET_EMBEDDER_DEVICE": "cpu",
        "FACET_EMBEDDER_THREADS": str(threads),
        "FACET_EMBEDDER_PORT": str(PORT),
        "FACET_EMBEDDER_METRICS_PORT": str(METRICS_PORT),
        "FACET_DRAIN_S": "0",
    }
    tier = subprocess.Popen([sys.executable, "-m", "services.embedder"], env=environment, stderr=subprocess.DEVNULL)
    try:
        asyncio.run(_ready())
        yield
    finally:
        tier.terminate()
        tier.wait()


async def _ready() -> None:
    async with grpc.aio.insecure_channel(TARGET) as channel:
        watch = health_pb2_grpc.HealthStub(channel).Watch(
            health_pb2.HealthCheckRequest(service="facet.v1.EmbedderService"), wait_for_ready=True, timeout=120
        )
        async for answer in watch:
            if answer.status == health_pb2.HealthCheckResponse.SERVING:
                return


if __name__ == "__main__":
    main()
