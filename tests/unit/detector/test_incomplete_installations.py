"""Where OpenCV is installed and cannot be imported: what mediapipe asks for needs libGL, which servers lack."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.processes import REPOSITORY

NO_LIBRARY = "libGL.so.1: cannot open shared object file"
BLAZEFACE = """
from services.detector.mediapipe_import import import_mediapipe
import_mediapipe()
from mediapipe.tasks.python.vision import FaceDetector
import sys
print(FaceDetector.__name__, "cv2" in sys.modules)
"""
RETINAFACE = """
import sys
from pathlib import Path
from services.chassis.errors import NotReady
from services.chassis.models.store import ModelStore
from services.chassis.process.settings import ModelSettings
from services.detector.models import DetectorModels, DetectorOptions
try:
    DetectorModels(ModelStore(ModelSettings()), DetectorOptions(weights=Path(sys.argv[1]))).search("")
except NotReady as error:
    print(error)
"""


@pytest.fixture
def without_libgl(tmp_path: Path) -> dict[str, str]:
    """An environment whose OpenCV fails as it does without libGL."""
    (tmp_path / "cv2").mkdir()
    (tmp_path / "cv2" / "__init__.py").write_text(f"raise ImportError({NO_LIBRARY!r})\n")
    return {**os.environ, "PYTHONPATH": str(tmp_path)}


def test_blazeface_works_where_opencv_cannot_be_imported(without_libgl: dict[str, str]) -> None:
    assert _said(without_libgl, BLAZEFACE) == "FaceDetector False"


def test_retinaface_says_what_opencv_lacks(without_libgl: dict[str, str], tmp_path: Path) -> None:
    weights = tmp_path / "own.pth"
    weights.write_bytes(b"not looked at before the libraries are")
    told = _said(without_libgl, RETINAFACE, str(weights))
    assert NO_LIBRARY in told
    assert "apt-get install libgl1" in told


def _said(environment: dict[str, str], program: str, *arguments: str) -> str:
    command = [sys.executable, "-c", program, *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=REPOSITORY, env=environment)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()
