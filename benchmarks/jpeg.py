"""Hiding faces of JPEG files in their coefficients, beside decoding and encoding the same files with OpenCV.

    python -m benchmarks.jpeg PICTURES... [--rounds 7]

The two take turns on each picture, both on one thread. OpenCV's side hides nothing: it is the least that any tool does
which works on pixels.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
from rich.console import Console
from rich.table import Table
from threadpoolctl import threadpool_limits

from services.anonymizer.anonymization import anonymize
from services.anonymizer.redaction import Redaction
from services.anonymizer.regions import Region
from services.chassis.models.store import ModelStore
from services.chassis.process import logs
from services.chassis.process.memory import reuse_freed_memory
from services.chassis.process.settings import ModelSettings, SharedSettings
from services.detector.detection import DetectionConfig, detect
from services.detector.models import DetectorModels, DetectorOptions


def main() -> None:
    """Prints a row for each picture."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("pictures", type=Path, nargs="+")
    parser.add_argument("--rounds", type=int, default=7)
    arguments = parser.parse_args()
    logs.silence_native_libraries()
    reuse_freed_memory()  # as the tier does
    cv2.setNumThreads(1)
    threadpool_limits(1, "blas")
    limits = SharedSettings().picture_limits
    models = DetectorModels(ModelStore(ModelSettings()), DetectorOptions(default="blazeface-full"))
    table = Table(
        "picture", "megapixels", "faces", "Facet, ms", "OpenCV, ms", "ratio", title="Median time on one thread"
    )
    for path in arguments.pictures:
        content = path.read_bytes()
        found = detect(content, DetectionConfig(), models=models, limits=limits)
        regions = [Region(box=face.box, landmarks=face.landmarks) for face in found.faces]

        def hide(content: bytes = content, regions: list[Region] = regions) -> object:
            return anonymize(content, regions, Redaction(), limits=limits)

        def decode_and_encode(content: bytes = content) -> object:
            pixels = np.asarray(cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_COLOR))
            return cv2.imencode(".jpg", pixels)

        facet_ms, opencv_ms = _medians_ms(hide, decode_and_encode, rounds=arguments.rounds)
        megapixels = found.width_px * found.height_px / 1e6
        table.add_row(
            path.name,
            f"{megapixels:.1f}",
            str(len(regions)),
            f"{facet_ms:.0f}",
            f"{opencv_ms:.0f}",
            f"{facet_ms / opencv_ms:.2f}",
        )
    models.close()
    Console().print(table)


def _medians_ms(*works: Callable[[], object], rounds: int) -> list[float]:
    times_ms: list[list[float]] = [[] for _ in works]
    for _ in range(rounds):
        for work, times in zip(works, times_ms, strict=True):
            started = time.perf_counter()
            work()
            times.append(1000 * (time.perf_counter() - started))
    return [statistics.median(times[1:]) for times in times_ms]


if __name__ == "__main__":
    main()
