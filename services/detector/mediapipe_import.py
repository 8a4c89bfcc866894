"""Imports mediapipe without what one of its modules would draw with, and without its reports to its maker."""

from __future__ import annotations

import importlib
import os
import sys
from types import ModuleType

_MATPLOTLIB = ("matplotlib", "matplotlib.pyplot")
_OPENCV = "cv2"
_NO_WAY_OUT = {"https_proxy": "http://127.0.0.1:0", "no_proxy": "127.0.0.1,localhost,::1"}
"""Sends what libcurl sends to a port that nobody can listen on, without asking for a name first."""


def import_mediapipe() -> None:
    """Imports mediapipe; does nothing where it is imported already.

    With matplotlib that would take 0.3 s instead of 0.04 s, 35 MB of memory, 75 MB of disk, and a folder that
    matplotlib can write its caches to: on a read-only system the import fails. OpenCV may be left out (160 MB of disk),
    and the build of it that mediapipe asks for needs libGL, which a server lacks. Nothing is drawn here, so empty
    modules stand in while mediapipe is being imported.

    Its native library reports each use to play.googleapis.com and has no option that stops it. It does so through
    libcurl, which obeys this process's environment, the lower-case variables before all others. Nothing else in a
    detector goes through a proxy.
    """
    os.environ.update(_NO_WAY_OUT)
    stand_ins = [name for name in _MATPLOTLIB if name not in sys.modules]
    try:  # another thread may be importing it: where it can be had, nothing stands in
        importlib.import_module(_OPENCV)
    except ImportError:
        stand_ins.append(_OPENCV)
    sys.modules.update((name, ModuleType(name)) for name in stand_ins)
    try:
        importlib.import_module("mediapipe")
    finally:
        for name in stand_ins:
            del sys.modules[name]
