"""RetinaFace on a CPU: Facet's engine beside onnxruntime on the same weights, the RPC beside the call, large pictures.

    python -m benchmarks.detector [--rounds 15]

What is compared takes turns within each round, so that whatever else the machine does falls on all alike. onnxruntime
is measured where it and onnx are installed; Facet needs neither. ResNet-50's weights are random: speed does not depend
on them.
"""

from __future__ import annotations

import argparse
import importlib.util
import io
import resource
import statistics
import tempfile
import time
import warnings
from collections.abc import Callable
from functools import partial
from pathlib import Path

import grpc
import numpy as np
import torch
from PIL import Image
from rich.console import Console
from rich.table import Table
from skimage import data
from torch import Tensor, nn

from facet.v1 import detector_pb2, detector_pb2_grpc, image_pb2
from services.chassis.inference.openvino import Processors
from services.chassis.inference.precision import Precision
from services.chassis.models.store import ModelStore
from services.chassis.pictures.geometry import RgbImage
from services.chassis.process.memory import reuse_freed_memory
from services.chassis.process.processors import available_processors
from services.chassis.process.settings import ModelSettings, SharedSettings
from services.detector.detection import DetectionConfig, detect
from services.detector.models import DetectorModels, DetectorOptions
from services.detector.retinaface.checkpoint import load_network
from services.detector.retinaface.engine import InferenceEngine
from services.detector.retinaface.network import RetinaFaceNetwork, retinaface_resnet50
from tests.support.processes import start

SIDE_PX = 640
MEAN_BGR = torch.tensor((104.0, 117.0, 123.0))[:, None, None]
MODEL = "retinaface-mobilenet025"
MIB = 1024 * 1024

Work = Callable[[], object]


def main() -> None:
    """Prints three tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--rounds", type=int, default=15)
    rounds: int = parser.parse_args().rounds
    reuse_freed_memory()  # as the tier does
    torch.set_num_threads(1)
    console = Console()
    weights = ModelStore(ModelSettings()).require(MODEL)
    _large_pictures(console)  # first: the peak of memory is theirs
    _rpc_beside_call(console, rounds)
    for name, network in (("mobilenet0.25", load_network(weights)), ("ResNet-50", _random_resnet50())):
        _print(console, f"RetinaFace {name} at {SIDE_PX} x {SIDE_PX}, one thread", _engines(network), rounds)


def _engines(network: RetinaFaceNetwork) -> dict[str, Work]:
    picture = np.asarray(Image.fromarray(data.astronaut()).resize((SIDE_PX, SIDE_PX)), np.uint8)
    engines: dict[str, Work] = {}
    if importlib.util.find_spec("onnxruntime") and importlib.util.find_spec("onnx"):
        engines["onnxruntime fp32"] = _onnxruntime(network, picture)
    engines["torch fp32, eager"] = _eager(network, picture)
    engines["Facet fp32"] = partial(InferenceEngine(network, Precision.FP32), picture)
    if Processors().resolved(Precision.AUTO) is Precision.BF16:
        engines["Facet bf16"] = partial(InferenceEngine(network, Precision.BF16), picture)
    return engines


class _FromPicture(nn.Module):
    """The network from what Facet's engine is given: RGB bytes, H x W x 3."""

    def __init__(self, network: RetinaFaceNetwork) -> None:
        super().__init__()
        self._network = network

    def forward(self, picture: Tensor) -> object:
        """Prepares as the reference implementation does: BGR minus the mean, 1 x 3 x H x W."""
        return self._network((picture.permute(2, 0, 1)[[2, 1, 0]].float() - MEAN_BGR)[None])


def _onnxruntime(network: RetinaFaceNetwork, picture: RgbImage) -> Work:
    import onnxruntime  # noqa: PLC0415  (optional)

    with tempfile.TemporaryDirectory() as scratch, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        exported = Path(scratch) / "retinaface.onnx"
        example = (torch.from_numpy(picture),)
        torch.onnx.export(_FromPicture(network), example, exported, input_names=["picture"], dynamo=False)
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        session = onnxruntime.InferenceSession(exported, options, providers=["CPUExecutionProvider"])
    return lambda: session.run(None, {"picture": picture})


def _eager(network: RetinaFaceNetwork, picture: RgbImage) -> Work:
    from_picture = _FromPicture(network)

    def work() -> object:
        with torch.inference_mode():
            return from_picture(torch.from_numpy(picture))

    return work


def _random_resnet50() -> RetinaFaceNetwork:
    torch.manual_seed(1)
    with tempfile.TemporaryDirectory() as scratch:
        path = Path(scratch) / "resnet50.pth"
        torch.save(retinaface_resnet50().state_dict(), path)
        return load_network(path)


def _rpc_beside_call(console: Console, rounds: int) -> None:
    content = _jpeg(Image.fromarray(data.astronaut()).resize((832, 832)))
    models = DetectorModels(ModelStore(ModelSettings()), DetectorOptions(default=MODEL))
    limits = SharedSettings().picture_limits
    tier = start("detector", FACET_DETECTOR_MODEL=MODEL)
    tier.wait_ready()
    with grpc.insecure_channel(tier.target) as channel:
        stub = detector_pb2_grpc.DetectorServiceStub(channel)
        request = detector_pb2.DetectFacesRequest(image=image_pb2.Image(content=content))
        works: dict[str, Work] = {
            "in process": lambda: detect(content, DetectionConfig(), models=models, limits=limits),
            "RPC": lambda: stub.DetectFaces(request),
        }
        _print(console, f"recall=balanced on 832 x 832, {available_processors()} processors", works, rounds)
    tier.stop()
    models.close()


def _large_pictures(console: Console) -> None:
    """A canvas of faces between 16 and 600 pixels, at 12 and 36 megapixels, decoding included."""
    models = DetectorModels(ModelStore(ModelSettings()), DetectorOptions(default=MODEL))
    limits = SharedSettings().picture_limits
    table = Table(title="recall=balanced, decoding included")
    for heading in ("picture", "seconds", "ms a megapixel", "peak memory of the process, MiB"):
        table.add_column(heading, justify="right")
    face = Image.fromarray(data.astronaut()).crop((150, 30, 300, 220))
    for width, height in ((4000, 3000), (7000, 5200)):
        canvas = Image.new("RGB", (width, height), (90, 110, 130))
        for index, size_px in enumerate((16, 24, 40, 80, 160, 300, 600)):
            canvas.paste(face.resize((size_px, size_px)), (100 + index * (width - 800) // 7, height // 3))
        content = _jpeg(canvas)
        seconds = []
        for _ in range(3):
            started = time.perf_counter()
            detect(content, DetectionConfig(), models=models, limits=limits)
            seconds.append(time.perf_counter() - started)
        median_s, megapixels = statistics.median(seconds), width * height / 1e6
        peak_mib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / MIB
        table.add_row(
            f"{width} x {height}", f"{median_s:.2f}", f"{1000 * median_s / megapixels:.0f}", f"{peak_mib:.0f}"
        )
    console.print(table)
    models.close()


def _print(console: Console, title: str, works: dict[str, Work], rounds: int) -> None:
    milliseconds: dict[str, list[float]] = {name: [] for name in works}
    for round_number in range(-2, rounds):
        for name, work in works.items():
            started = time.perf_counter()
            work()
            if round_number >= 0:  # the first two warm up
                milliseconds[name].append(1000 * (time.perf_counter() - started))
    medians = {name: statistics.median(times) for name, times in milliseconds.items()}
    first = next(iter(medians.values()))
    table = Table(title=title)
    for heading in ("", "median ms", "of the first row"):
        table.add_column(heading, justify="right" if heading else "left")
    for name, median in medians.items():
        table.add_row(name, f"{median:.1f}", f"{median / first:.2f}")
    console.print(table)


def _jpeg(image: Image.Image) -> bytes:
    file = io.BytesIO()
    image.save(file, "JPEG", quality=92)
    return file.getvalue()


if __name__ == "__main__":
    main()
