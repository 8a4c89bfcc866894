"""Starts the anonymizer: `python -m services.anonymizer`."""

from __future__ import annotations

from functools import partial

from services.anonymizer.settings import AnonymizerSettings
from services.anonymizer.tier import AnonymizerTier
from services.chassis.server import run
from services.chassis.settings import load_settings

if __name__ == "__main__":
    settings = load_settings(AnonymizerSettings)
    run("anonymizer", settings, partial(AnonymizerTier, settings))
