"""Starts the embedder: `python -m services.embedder`."""

from __future__ import annotations

from functools import partial

from services.chassis.process.settings import load_settings
from services.chassis.rpc.server import run
from services.embedder.settings import EmbedderSettings
from services.embedder.tier import EmbedderTier

if __name__ == "__main__":
    settings = load_settings(EmbedderSettings)
    run("embedder", settings, partial(EmbedderTier, settings))
