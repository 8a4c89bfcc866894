"""A folder of labelled pictures through `deface` and through `facet anonymize`: speed, faces hidden, what else changes.

    python -m benchmarks.deface_folder labels.json PICTURES-FOLDER [--copies 5] [--rounds 3]

Both commands run as a user would run them, start-up included, on the same files with black paint (the one style that
shows unmistakably what was hidden), and take turns. A labelled face counts as hidden where at least 80 % of the ellipse
in its box is black in the result and was not before. PSNR is taken over all pixels that neither tool painted and that
lie in no label, so that both are judged on the same pixels. deface and what it needs are benchmark-only dependencies.
"""

from __future__ import annotations

import argparse
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table

from cli.evaluate.labels import LabelledPicture, read_labels
from services.chassis.pictures.geometry import RgbImage

BLACK_LEVEL = 24
"""JPEG leaves black paint this bright at most, but for its edges."""
HIDDEN_SHARE = 0.8
BESIDE_PX = 9
"""Around paint and labels, what is not judged: encoders smear edges over a block."""
COMMANDS = Path(sys.executable).parent

Mask = NDArray[np.bool_]


@dataclass(slots=True)
class Judged:
    """What a tool did to the folder."""

    pictures_a_second: list[float] = field(default_factory=list)
    hidden: int = 0
    squared_error: float = 0.0
    samples: int = 0

    @property
    def psnr_db(self) -> float:
        """Of all judged pixels together; infinite where none changed."""
        if not self.squared_error:
            return float("inf")
        return float(10 * np.log10(255**2 / (self.squared_error / self.samples)))


def deface(folder: Path, out: Path) -> Path:
    """Runs deface, which writes beside its input."""
    work = out / "work"
    shutil.copytree(folder, work)
    _run(COMMANDS / "deface", "--replacewith", "solid", work)
    return work


def facet(folder: Path, out: Path) -> Path:
    """Runs Facet, tiers and all."""
    _run(COMMANDS / "facet", "anonymize", folder, "-o", out / "out", "--style", "solid")
    return out / "out"


def _run(*command: Path | str) -> None:
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)


def anonymized(tool: str, folder: Path, name: str) -> RgbImage:
    """A result."""
    stem, dot, suffix = name.rpartition(".")
    return _read(folder / (f"{stem}_anonymized{dot}{suffix}" if tool == "deface" else name))


def _read(path: Path) -> RgbImage:
    pixels = cv2.imread(str(path))
    if pixels is None:
        raise SystemExit(f"{path} is not there, or no picture")
    return pixels.astype(np.uint8)


def judge(picture: LabelledPicture, results: dict[str, RgbImage], judged: dict[str, Judged]) -> int:
    """Judges one picture for all tools; returns its counted faces."""
    original = _read(picture.path)
    was_black = _black(original)
    painted = {tool: _black(pixels) & ~was_black for tool, pixels in results.items()}
    labelled = np.zeros(original.shape[:2], np.uint8)
    for x_min, y_min, x_max, y_max in picture.boxes.astype(int):
        labelled[max(0, y_min) : y_max, max(0, x_min) : x_max] = 1
    left_out = np.logical_or.reduce([*painted.values(), labelled > 0]).astype(np.uint8)
    side = 2 * BESIDE_PX + 1
    outside = cv2.dilate(left_out, np.ones((side, side), np.uint8)) == 0
    for tool, pixels in results.items():
        difference = (pixels.astype(np.float64) - original)[outside]
        judged[tool].squared_error += float((difference**2).sum())
        judged[tool].samples += difference.size
        judged[tool].hidden += sum(
            _is_hidden(box, painted[tool], was_black)
            for box, counted in zip(picture.boxes, picture.counted, strict=True)
            if counted
        )
    return int(picture.counted.sum())


def _black(pixels: RgbImage) -> Mask:
    return np.asarray((pixels <= BLACK_LEVEL).all(axis=2))


def _is_hidden(box: NDArray[np.float64], painted: Mask, was_black: Mask) -> bool:
    x_min, y_min, x_max, y_max = box
    rows, columns = np.ogrid[: painted.shape[0], : painted.shape[1]]
    across = (columns + 0.5 - (x_min + x_max) / 2) / ((x_max - x_min) / 2)
    down = (rows + 0.5 - (y_min + y_max) / 2) / ((y_max - y_min) / 2)
    face = (across**2 + down**2 <= 1) & ~was_black
    return bool(face.any()) and float(painted[face].mean()) >= HIDDEN_SHARE


def main() -> None:
    """Measures and prints the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("labels", type=Path, help="COCO's JSON or WIDER FACE's text")
    parser.add_argument("pictures", type=Path, help="the folder of the pictures")
    parser.add_argument("--copies", type=int, default=5, help="how often the folder holds each picture")
    parser.add_argument("--rounds", type=int, default=3)
    arguments = parser.parse_args()
    pictures = read_labels(arguments.labels, arguments.pictures)
    tools = {"deface": deface, "Facet": facet}
    judged = {tool: Judged() for tool in tools}
    faces = 0
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place) / "in"
        folder.mkdir()
        for picture in pictures:
            for copy in range(arguments.copies):
                shutil.copy(picture.path, folder / f"{picture.path.stem}-{copy}{picture.path.suffix}")
        for number in range(arguments.rounds):
            written = {}
            for tool, run in tools.items():
                out = Path(place) / f"{tool}-{number}"
                out.mkdir()
                started_s = time.perf_counter()
                written[tool] = run(folder, out)
                seconds = time.perf_counter() - started_s
                judged[tool].pictures_a_second.append(len(pictures) * arguments.copies / seconds)
        for picture in pictures:
            name = f"{picture.path.stem}-0{picture.path.suffix}"
            faces += judge(picture, {tool: anonymized(tool, written[tool], name) for tool in tools}, judged)
    title = f"{len(pictures) * arguments.copies} pictures, {faces} labelled faces in {len(pictures)} of them"
    table = Table(title=title)
    for heading in ("", "pictures/s", "faces hidden", "of the labelled", "PSNR outside, dB"):
        table.add_column(heading, justify="left" if not heading else "right")
    for tool, of_tool in judged.items():
        rate = statistics.median(of_tool.pictures_a_second)
        table.add_row(
            tool, f"{rate:.1f}", str(of_tool.hidden), f"{of_tool.hidden / faces:.1%}", f"{of_tool.psnr_db:.1f}"
        )
    Console().print(table)


if __name__ == "__main__":
    main()
