"""Starts the detector: `python -m services.detector`."""

from __future__ import annotations

from functools import partial

from services.chassis.server import run
from services.chassis.settings import load_settings
from services.detector.settings import DetectorSettings
from services.detector.tier import DetectorTier

if __name__ == "__main__":
    settings = load_settings(DetectorSettings)
    run("detector", settings, partial(DetectorTier, settings))
