"""mediapipe without matplotlib and OpenCV, and without its reports to its maker."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from services.chassis.models.store import ModelState, ModelStore
from services.chassis.process.settings import ModelSettings
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


SEARCH = """
import sys, time
from pathlib import Path
import numpy as np
from services.detector.blazeface import BlazeFace
face = BlazeFace("blazeface-full", "", Path(sys.argv[1]))
face.detect([np.zeros((64, 64, 3), np.uint8)], min_confidence=0.5)
time.sleep(2)  # by then a report is on its way
face.close()
time.sleep(1)
"""
STRACE = "strace"


@pytest.mark.parametrize("without_proxies_for", ["", "*", ".googleapis.com"])
def test_mediapipe_reports_to_nobody(tmp_path: Path, without_proxies_for: str) -> None:
    if not shutil.which(STRACE):
        pytest.skip("needs strace: `apt-get install strace`")
    store = ModelStore(ModelSettings())
    if store.state("blazeface-full") is not ModelState.INSTALLED:
        pytest.skip("needs the weights of blazeface-full: run `facet models pull blazeface-full`")
    weights = ModelSettings().dir / store.entry("blazeface-full").file
    traced = tmp_path / "calls"
    tracing = (STRACE, "-f", "-e", "trace=connect,sendto,sendmsg,sendmmsg", "-o", traced)
    subprocess.run(
        [*tracing, sys.executable, "-c", SEARCH, weights],
        check=True,
        cwd=REPOSITORY,
        env={**os.environ, "no_proxy": without_proxies_for, "NO_PROXY": without_proxies_for},
    )
    sent = [line for line in traced.read_text().splitlines() if "AF_INET" in line and '"127.0.0.1"' not in line]
    assert sent == []
