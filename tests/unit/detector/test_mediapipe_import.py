"""mediapipe without matplotlib and OpenCV."""

from __future__ import annotations

import subprocess
import sys

import pytest

from tests.support.processes import REPOSITORY


def result_of(program: str) -> str:
    """What a program prints in an interpreter of its own, where nothing is imported yet."""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, cwd=REPOSITORY)
    return done.stdout.strip()


def test_mediapipe_is_imported_and_nothing_stands_in_for_matplotlib_afterwards() -> None:
    program = """
import sys
from services.detector.mediapipe_import import import_mediapipe
import_mediapipe()
print(sorted({name.partition(".")[0] for name in sys.modules} & {"matplotlib", "mediapipe"}))
"""
    assert result_of(program) == "['mediapipe']"


def test_matplotlib_that_somebody_has_imported_is_left_alone() -> None:
    pytest.importorskip("matplotlib", reason="asks how the two live together")
    program = """
import matplotlib.pyplot
from services.detector.mediapipe_import import import_mediapipe
import_mediapipe()
print(matplotlib.pyplot.plot.__name__)
"""
    assert result_of(program) == "plot"


def test_mediapipe_needs_neither_matplotlib_nor_opencv_on_the_disk() -> None:
    program = """
import sys

class NothingToDrawWith:
    def __init__(self, finder):
        self._finder = finder

    def find_spec(self, name, path=None, target=None):
        absent = name.partition(".")[0] in ("cv2", "matplotlib")
        return None if absent else self._finder.find_spec(name, path, target)

sys.meta_path[:] = [NothingToDrawWith(finder) for finder in sys.meta_path]
from services.detector.mediapipe_import import import_mediapipe
import_mediapipe()
from mediapipe.tasks.python.vision import FaceDetector
print(FaceDetector.__name__)
"""
    assert result_of(program) == "FaceDetector"
