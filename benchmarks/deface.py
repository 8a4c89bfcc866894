"""Finding faces beside deface's CenterFace, on the same pictures, both with all processors: time a picture.

    python -m benchmarks.deface PICTURES... [--rounds 3]

deface (`pip install --no-deps deface`) and onnxruntime are needed by this benchmark alone. Each side decodes the
picture itself. The two take turns on each picture.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
from deface.centerface import CenterFace
from rich.console import Console
from rich.table import Table

from services.chassis.models.store import ModelStore
from services.chassis.process.memory import reuse_freed_memory
from services.chassis.process.settings import ModelSettings, SharedSettings
from services.detector.detection import DetectionConfig, detect
from services.detector.models import DetectorModels, DetectorOptions
from services.detector.search import Recall

MODEL = "retinaface-mobilenet025"
THRESHOLD = 0.2  # deface's own


def main() -> None:
    """Prints the medians over all pictures."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("pictures", type=Path, nargs="+")
    parser.add_argument("--rounds", type=int, default=3)
    arguments = parser.parse_args()
    reuse_freed_memory()
    models = DetectorModels(ModelStore(ModelSettings()), DetectorOptions(default=MODEL))
    limits = SharedSettings().picture_limits
    centerface: Callable[..., tuple[list[object], object]] = CenterFace(in_shape=None, backend="onnxrt")

    def deface(content: bytes) -> int:
        pixels = cv2.cvtColor(np.asarray(cv2.imdecode(np.frombuffer(content, np.uint8), 1)), cv2.COLOR_BGR2RGB)
        faces, _ = centerface(pixels, threshold=THRESHOLD)
        return len(faces)

    def facet(content: bytes, recall: Recall) -> int:
        return len(detect(content, DetectionConfig(recall=recall), models=models, limits=limits).faces)

    works = {
        "deface": deface,
        "Facet, fast": lambda content: facet(content, Recall.FAST),
        "Facet, balanced": lambda content: facet(content, Recall.BALANCED),
    }
    times_ms: dict[str, list[float]] = {name: [] for name in works}
    for path in arguments.pictures:
        content = path.read_bytes()
        of_picture: dict[str, list[float]] = {name: [] for name in works}
        for _ in range(arguments.rounds):
            for name, work in works.items():
                started = time.perf_counter()
                work(content)  # type: ignore[no-untyped-call]
                of_picture[name].append(1000 * (time.perf_counter() - started))
        for name in works:
            times_ms[name].append(statistics.median(of_picture[name]))
    models.close()
    table = Table("", "ms a picture, median", "of deface's", title=f"{len(arguments.pictures)} pictures")
    for name, of_all in times_ms.items():
        median = statistics.median(of_all)
        table.add_row(name, f"{median:.0f}", f"{median / statistics.median(times_ms['deface']):.2f}")
    Console().print(table)


if __name__ == "__main__":
    main()
