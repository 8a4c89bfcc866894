"""Starts the anonymizer: `python -m services.anonymizer`."""

from __future__ import annotations

from functools import partial

from services.anonymizer.settings import AnonymizerSettings
from services.anonymizer.tier import AnonymizerTier
from services.chassis.server import run

if __name__ == "__main__":
    settings = AnonymizerSettings()
    run("anonymizer", settings, partial(AnonymizerTier, settings))
