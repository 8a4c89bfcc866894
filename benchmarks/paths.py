"""REST, gRPC and the same work in one process, side by side: what the services cost and how they hold under load.

Run with `make bench`. One 12-megapixel JPEG with one face is anonymized over and over by 1, 4, 16 and 32 concurrent
clients. The three paths take turns within every round, so that a machine that slows down slows all of them.
"""

from __future__ import annotations

import argparse
import io
import statistics
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial

import grpc
import httpx
import numpy as np
from PIL import Image
from rich.console import Console
from rich.progress import track
from rich.table import Table
from skimage import data

from facet.v1 import anonymizer_pb2, anonymizer_pb2_grpc, detector_pb2, detector_pb2_grpc, image_pb2
from services.anonymizer.anonymization import anonymize
from services.anonymizer.redaction import Redaction
from services.anonymizer.regions import Region
from services.chassis.models.store import ModelStore
from services.chassis.process import logs
from services.chassis.process.memory import reuse_freed_memory
from services.chassis.process.processors import available_processors
from services.chassis.process.settings import ModelSettings, SharedSettings
from services.detector.detection import DetectionConfig, detect
from services.detector.models import DetectorModels, DetectorOptions
from tests.support.processes import Stack

CLIENTS = (1, 4, 16, 32)
TIMEOUT_S = 120.0
MODEL = "blazeface-full"
"""The fastest model: the services' own share of the time is the largest with it."""

Work = Callable[[], int]
"""Anonymizes the picture once and returns how many faces were hidden."""


@dataclass(slots=True)
class Measured:
    """The calls of one path at one number of clients."""

    seconds: list[float] = field(default_factory=list)
    pictures_per_second: list[float] = field(default_factory=list)


def twelve_megapixels() -> bytes:
    """A 4000 x 3000 JPEG of about 4 MB: one face, and noise like a camera's."""
    picture = Image.fromarray(np.asarray(data.astronaut())[:384]).resize((4000, 3000), Image.Resampling.BICUBIC)
    noise = np.random.default_rng(1).normal(0, 4, (3000, 4000, 3))
    pixels = np.clip(np.asarray(picture) + noise, 0, 255).astype(np.uint8)
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "JPEG", quality=95)
    return file.getvalue()


def in_process(content: bytes) -> tuple[Work, Callable[[], None]]:
    """The tiers' own domain code, on a pool of as many workers as a tier has."""
    models = DetectorModels(ModelStore(ModelSettings()), DetectorOptions(default=MODEL))
    limits = SharedSettings().picture_limits
    pool = ThreadPoolExecutor(available_processors())

    def both() -> int:
        found = detect(content, DetectionConfig(), models=models, limits=limits)
        regions = [Region(box=face.box, landmarks=face.landmarks) for face in found.faces]
        return anonymize(content, regions, Redaction(), limits=limits).hidden_regions

    def close() -> None:
        pool.shutdown()
        models.close()

    return lambda: pool.submit(both).result(), close


def over_grpc(content: bytes, stack: Stack) -> Work:
    """Detector, then anonymizer, called directly."""
    options = [("grpc.max_send_message_length", -1), ("grpc.max_receive_message_length", -1)]
    detector = detector_pb2_grpc.DetectorServiceStub(grpc.insecure_channel(stack.detector.target, options))
    anonymizer = anonymizer_pb2_grpc.AnonymizerServiceStub(grpc.insecure_channel(stack.anonymizer.target, options))
    image = image_pb2.Image(content=content)

    def work() -> int:
        found = detector.DetectFaces(detector_pb2.DetectFacesRequest(image=image), timeout=TIMEOUT_S)
        regions = [anonymizer_pb2.Region(box=face.box, landmarks=face.landmarks) for face in found.faces]
        request = anonymizer_pb2.AnonymizeImageRequest(image=image, regions=regions)
        return anonymizer.AnonymizeImage(request, timeout=TIMEOUT_S).hidden_regions

    return work


def over_rest(content: bytes, stack: Stack, client: httpx.Client) -> Work:
    """`POST /v1/anonymize`."""

    def work() -> int:
        answer = client.post(
            f"{stack.gateway.url}/v1/anonymize", content=content, headers={"Content-Type": "image/jpeg"}
        )
        answer.raise_for_status()
        return int(answer.headers["X-Facet-Faces"])

    return work


def load(work: Work, *, clients: int, pictures: int, into: Measured) -> None:
    """Has `clients` threads share `pictures` calls."""

    def timed(_: int) -> float:
        started = time.perf_counter()
        if work() != 1:
            raise SystemExit("the face was not hidden: nothing to measure")
        return time.perf_counter() - started

    started = time.perf_counter()
    with ThreadPoolExecutor(clients) as pool:
        into.seconds += list(pool.map(timed, range(pictures)))
    into.pictures_per_second.append(pictures / (time.perf_counter() - started))


def main() -> None:
    """Measures and prints the table and the two ratios."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0] if __doc__ else None)
    parser.add_argument("--rounds", type=int, default=5, help="how often the paths take turns (default 5)")
    parser.add_argument("--pictures", type=int, default=16, help="pictures a path, round and number of clients")
    arguments = parser.parse_args()

    logs.silence_native_libraries()
    reuse_freed_memory()  # as the tiers do, so that nothing but the services differs
    content = twelve_megapixels()
    console = Console()
    stack = Stack(FACET_DETECTOR_MODEL=MODEL)
    local, close = in_process(content)
    limits = httpx.Limits(max_connections=max(CLIENTS), max_keepalive_connections=max(CLIENTS))
    with httpx.Client(timeout=TIMEOUT_S, limits=limits, trust_env=False) as client:
        paths = {"in process": local, "gRPC": over_grpc(content, stack), "REST": over_rest(content, stack, client)}
        measured = {(name, clients): Measured() for name in paths for clients in CLIENTS}
        for work in paths.values():
            load(work, clients=2, pictures=4, into=Measured())
        turns = [(clients, name) for _ in range(arguments.rounds) for clients in CLIENTS for name in paths]
        for clients, name in track(turns, "measuring", console=Console(stderr=True)):
            pictures = max(arguments.pictures, 2 * clients) if clients > 1 else arguments.pictures // 2
            load(partial(paths[name]), clients=clients, pictures=pictures, into=measured[name, clients])
    stack.stop()
    close()

    table = Table(title=f"Anonymizing a 12-megapixel JPEG ({len(content) / 1e6:.1f} MB), {available_processors()} CPUs")
    for heading in ("path", "clients", "p50 ms", "p95 ms", "pictures/s"):
        table.add_column(heading, justify="left" if heading == "path" else "right")
    for (name, clients), result in measured.items():
        milliseconds = sorted(1000 * seconds for seconds in result.seconds)
        p95 = milliseconds[min(len(milliseconds) - 1, round(0.95 * len(milliseconds)))]
        rate = statistics.median(result.pictures_per_second)
        table.add_row(name, str(clients), f"{statistics.median(milliseconds):.0f}", f"{p95:.0f}", f"{rate:.1f}")
    console.print(table)

    one = {name: statistics.median(measured[name, 1].seconds) for name in paths}
    rest = {clients: statistics.median(measured["REST", clients].pictures_per_second) for clients in CLIENTS}
    console.print(f"REST over in process at 1 client: {100 * (one['REST'] / one['in process'] - 1):+.0f} % time")
    console.print(f"gRPC over in process at 1 client: {100 * (one['gRPC'] / one['in process'] - 1):+.0f} % time")
    console.print(f"REST at 32 clients: {100 * rest[32] / max(rest.values()):.0f} % of its best throughput")


if __name__ == "__main__":
    main()
