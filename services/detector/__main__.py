"""Starts the detector: `python -m services.detector`."""

from __future__ import annotations

from functools import partial

from services.chassis.process.settings import load_settings
from services.chassis.rpc.server import run
from services.detector.settings import DetectorSettings
from services.detector.tier import DetectorTier

if __name__ == "__main__":
    settings = load_settings(DetectorSettings)
    run("detector", settings, partial(DetectorTier, settings))
