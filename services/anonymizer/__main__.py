"""Starts the anonymizer: `python -m services.anonymizer`."""

from __future__ import annotations

from functools import partial

from services.anonymizer.settings import AnonymizerSettings
from services.anonymizer.tier import AnonymizerTier
from services.chassis.process.settings import load_settings
from services.chassis.rpc.server import run

if __name__ == "__main__":
    settings = load_settings(AnonymizerSettings)
    run("anonymizer", settings, partial(AnonymizerTier, settings))
